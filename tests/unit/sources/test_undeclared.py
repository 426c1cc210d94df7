"""Text files without a schema: a column gets the type that all its values have; damage is named without values."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_processing.errors import SourceUnreadable
from batch_processing.sources.undeclared import TextFormat, land_undeclared


def land(folder: Path, *texts: str, format: TextFormat = "csv") -> pa.Table:
    work = folder / "work"
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"in [{number}]*.{format}")
        files[-1].write_text(text)
    work.mkdir()
    return pq.read_table(land_undeclared(files, format=format, folder=work))


def test_a_column_has_the_narrowest_type_of_all_its_values(tmp_path: Path) -> None:
    found = land(
        tmp_path,
        "id,amount,day,at,flag,code,long,mixed,none\n"
        "1,1,2026-11-01,2026-11-01T02:00:00+02:00,true,007,12345678901234567890,1,\n"
        "-2,1.5,2026-11-02,2026-11-01 02:00,FALSE,010,1,x,\n"
        ",,,,,,,,\n",
    )
    kinds = {field.name: str(field.type) for field in found.schema}
    assert kinds == {
        "id": "int64", "amount": "double", "day": "date32[day]", "at": "timestamp[us, tz=UTC]", "flag": "bool",
        "code": "string", "long": "string", "mixed": "string", "none": "string",
    }  # fmt: skip
    assert sorted(found["id"].to_pylist(), key=str) == [-2, 1, None]
    assert {str(at) for at in found["at"].to_pylist()} == {
        "2026-11-01 00:00:00+00:00",
        "2026-11-01 02:00:00+00:00",
        "None",
    }


def test_a_type_is_found_in_all_rows_and_not_in_the_first_ones(tmp_path: Path) -> None:
    found = land(tmp_path, "a\n" + "1\n" * 50_000 + "x\n")
    assert (str(found.schema.field("a").type), found.num_rows) == ("string", 50_001)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_of_the_header(tmp_path: Path, delimiter: str) -> None:
    found = land(tmp_path, f'a{delimiter}b "q"\n1{delimiter}"x{delimiter}\ny"\n'.replace(' "q"', ""))
    assert found.to_pylist() == [{"a": 1, "b": f"x{delimiter}\ny"}]


def test_files_are_read_together_and_must_have_the_same_columns(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "three").mkdir()
    assert land(tmp_path / "one", "a,b\n1,2\n", "a,b\n3,x\n").num_rows == 2
    with pytest.raises(SourceUnreadable, match="it has c, which the first has not; it lacks b, which"):
        land(tmp_path / "two", "a,b\n1,2\n", "a,c\n3,4\n")
    with pytest.raises(SourceUnreadable, match="fields end at ';', those of the first at ','"):
        land(tmp_path / "three", "a,b\n1,2\n", "b;a\n3;4\n")


def test_the_order_of_columns_may_differ_between_files(tmp_path: Path) -> None:
    found = land(tmp_path, "a,b\n1,x\n", "b,a\ny,2\n")
    assert sorted(found.to_pylist(), key=str) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_spaces_around_names_are_not_part_of_them(tmp_path: Path) -> None:
    assert land(tmp_path, "a, b ,c\n1,2,3\n").to_pylist() == [{"a": 1, "b": 2, "c": 3}]


def test_delimiters_within_quotes_do_not_count(tmp_path: Path) -> None:
    assert land(tmp_path, '"a, b, c";d\n1;2\n').to_pylist() == [{"a, b, c": 1, "d": 2}]


def test_fields_of_a_tsv_file_end_at_tabs(tmp_path: Path) -> None:
    (file := tmp_path / "a.tsv").write_text("a, b, c\td\n1\t2\n")
    (work := tmp_path / "work").mkdir()
    found = pq.read_table(land_undeclared([file], format="csv", folder=work))
    assert found.to_pylist() == [{"a, b, c": 1, "d": 2}]


def test_gzip_is_read_by_its_suffix_and_damage_is_told(tmp_path: Path) -> None:
    good, bad, work = tmp_path / "a.csv.gz", tmp_path / "b.csv.gz", tmp_path / "work"
    good.write_bytes(gzip.compress(b"a\n1\n"))
    bad.write_bytes(gzip.compress(b"a\n1\n")[:-6])
    work.mkdir()
    assert pq.read_table(land_undeclared([good], format="csv", folder=work)).to_pylist() == [{"a": 1}]
    with pytest.raises(SourceUnreadable, match="damaged"):
        land_undeclared([bad], format="csv", folder=work)


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz"])
def test_a_byte_order_mark_before_json_lines_is_no_data(tmp_path: Path, suffix: str) -> None:
    text = b'\xef\xbb\xbf{"a": 1}\n' + b'{"a": 2}\n' * 200_000
    (file := tmp_path / f"in.{suffix}").write_bytes(gzip.compress(text) if suffix.endswith("gz") else text)
    (work := tmp_path / "work").mkdir()
    found = pq.read_table(land_undeclared([file], format="jsonl", folder=work))
    assert found.num_rows == 200_001
    assert found["a"].to_pylist().count(1) == 1


def test_json_lines_keep_what_is_nested(tmp_path: Path) -> None:
    found = land(
        tmp_path,
        '{"id": 1, "at": "2026-11-01T02:00:00Z", "n": {"a": 1}, "l": [1], "x": null}\n{"id": 2}\n',
        format="jsonl",
    )
    assert found.num_rows == 2
    assert [str(field.type) for field in found.schema][:2] == ["int64", "timestamp[us, tz=UTC]"]
    assert pa.types.is_struct(found.schema.field("n").type)
    assert pa.types.is_string(found.schema.field("x").type)


@pytest.mark.parametrize(
    ("text", "format", "words"),
    [
        ("", "csv", "empty"),
        ("", "jsonl", "empty"),
        ("a,b\n", "csv", "no rows"),
        ("a,b\n1,2\n1,2,secret\n", "csv", "1 of 2 records"),
        ("a,a\n1,2\n", "csv", "does not name the columns"),
        ("a,\n1,2\n", "csv", "does not name the columns"),
        ("a, a\n1,2\n", "csv", "does not name the columns"),
        ('a,"b\n1,secret\n', "csv", "header line cannot be read"),
        ('a,"b\n' + "1,secret\n" * 20_000, "csv", "header line cannot be read"),
        ("_source_file\n1\n", "csv", "cannot be one"),
        ("PAR1xxxx", "csv", "another format"),
        ('{"a": 1}\nsecret\n', "jsonl", "record 2 of"),
        ("[1, 2]\n", "jsonl", "JSON array, not JSON lines"),
        ('\n [{"a": "secret"}]\n', "jsonl", "JSON array, not JSON lines"),
        ("1\n2\n", "jsonl", "record 1 of"),
        ('{"a": 1}\n\n{"a": "secret', "jsonl", "record 2 of"),
        ("{}\n{}\n", "jsonl", "no object with a key"),
        ('{"a": "secret", "A": 1}\n', "jsonl", "only the case tells apart: A, a"),
        ('{"a": 1, "a": "secret"}\n', "jsonl", "record 1 of"),
        ("PAR1xxxx", "jsonl", "another format"),
    ],
)
def test_what_cannot_be_read_is_named_without_its_values(
    tmp_path: Path, text: str, format: TextFormat, words: str
) -> None:
    with pytest.raises(SourceUnreadable, match=words) as caught:
        land(tmp_path, text, format=format)
    assert "secret" not in str(caught.value)
    assert f"in [0]*.{format}" in str(caught.value)
