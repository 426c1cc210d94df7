"""CSV: every record is landed or rejected, under its own number."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from batch_processing.errors import SourceSchemaError, SourceUnreadable, UsageError
from batch_processing.sources import framing
from batch_processing.sources.casting import cast_text
from batch_processing.sources.delimited import _parse_typed, _Reading
from batch_processing.sources.framing import Dialect, Framer

from .landed import land, rejected, rejects, rows, values

ABC = {"a": "bigint", "b": "string", "c": "bigint"}


def test_typed_values_land_exactly(tmp_path: Path) -> None:
    columns = {
        "f": "boolean", "s": "smallint", "i": "int", "b": "bigint", "x": "double", "t": "string", "d": "date",
        "z": "timestamp", "n": "timestamp_ntz", "m": "decimal(10,2)",
    }  # fmt: skip
    text = (
        "f,s,i,b,x,t,d,z,n,m\n"
        "true,-32768,2147483647,9223372036854775807,1.5e3, é ,2026-11-01,2026-11-01T02:00:00+02:00,"
        "2026-11-01 02:00:00.123456,12345678.90\n"
        "N,1,2,3,4,,2024-02-29,2026-11-01 02:00:00,2026-11-01,0.1\n"
    )
    landed = land(tmp_path, text.encode(), columns)
    first, second = values(landed)
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    assert first[1:] == (
        True, -32768, 2147483647, 9223372036854775807, 1500.0, " é ", date(2026, 11, 1), moment,
        moment.replace(hour=2, microsecond=123456, tzinfo=None), Decimal("12345678.90"),
    )  # fmt: skip
    assert second[1] is False
    assert second[6] is None
    assert second[8] == moment.replace(hour=2)
    schema = pq.read_schema(landed.files[0])
    assert str(schema.field("z").type) == "timestamp[us, tz=UTC]"
    assert str(schema.field("n").type) == "timestamp[us]"
    assert str(schema.field("_source_file").type) == "string"


@pytest.mark.parametrize(
    ("declared", "good", "bad"),
    [
        ("bigint", "7", "9223372036854775808"),
        ("bigint", "+7", "1.5"),
        ("int", "-2147483648", "2147483648"),
        ("smallint", "32767", "0x10"),
        ("double", "1e300", "1e400"),
        ("double", ".5", "NaN"),
        ("double", "-3", "inf"),
        ("float", "1.5", "-Infinity"),
        ("decimal(5,2)", "1.20", "1.234"),
        ("decimal(5,2)", "999.99", "1000.00"),
        ("date", "2024-02-29", "2026-02-30"),
        ("date", "2026-11-01", "01.11.2026"),
        ("timestamp", "2026-11-01 00:00:00Z", "2026-11-01 25:00:00"),
        ("timestamp", "2026-11-01 00:00:00", "2026-11-01 00:00:00.1234567"),
        ("timestamp_ntz", "2026-11-01 00:00:00", "2026-11-01 00:00:00Z"),
        ("boolean", "Yes", "maybe"),
        ("string", "x", "nul\0"),
    ],
)
def test_a_value_that_does_not_fit_is_a_reject_and_its_neighbours_land(
    tmp_path: Path, declared: str, good: str, bad: str
) -> None:
    landed = land(tmp_path, f"id,v\n1,{good}\n2,{bad}\n3,{good}\n".encode(), {"id": "bigint", "v": declared})
    assert [r["_source_row"] for r in rows(landed)] == [1, 3]
    assert rejected(landed) == [(2, "v", f"2,{bad}")]
    assert rejects(landed)[0]["error"] == f"v: not a valid {declared}"
    assert (landed.read, landed.landed, landed.rejected) == (3, 2, 1)


def test_one_record_with_many_errors_is_one_reject(tmp_path: Path) -> None:
    landed = land(tmp_path, b"a,b,c\nx,y,z\n", ABC)
    assert rejected(landed) == [(1, "a, c", "x,y,z")]
    assert rejects(landed)[0]["error"] == "a: not a valid bigint; c: not a valid bigint"


def test_malformed_records_cost_only_their_own_line(tmp_path: Path) -> None:
    content = (
        b'a,b,c\n1,"a\nb",1\n2,x,y,z\n3,"unbal,3\n4,"ok",4\n5,q"uo,5\n6\n7,"abc"def,7\n\n8,n\x00ul,8\n'
        b'9,lat\xe9in,9\n10,fin,10\n11,"tail\n'
    )
    landed = land(tmp_path, content, ABC)
    assert values(landed) == [(1, 1, "a\nb", 1), (4, 4, "ok", 4), (5, 5, 'q"uo', 5), (10, 10, "fin", 10)]
    assert rejected(landed) == [
        (2, None, "2,x,y,z"),
        (3, None, '3,"unbal,3'),
        (6, None, "6"),
        (7, None, '7,"abc"def,7'),
        (8, "b", "8,n\0ul,8"),
        (9, "b", r"9,lat\xe9in,9"),
        (11, None, '11,"tail'),
    ]
    assert landed.read == 11


def test_a_bare_carriage_return_is_no_line_end(tmp_path: Path) -> None:
    landed = land(tmp_path, b'a,b,c\r\n1,x,1\r\n2,"in\rside",2\r\n3,o\rut,3\r\n4,y,4\r\n', ABC)
    assert values(landed) == [(1, 1, "x", 1), (2, 2, "in\rside", 2), (4, 4, "y", 4)]
    assert rejected(landed) == [(3, None, "3,o\rut,3")]


def test_a_file_of_bare_carriage_returns_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="carriage returns"):
        land(tmp_path, b"a,b,c\r1,x,2\r", ABC)


def test_columns_match_by_name_in_any_order_after_a_byte_order_mark(tmp_path: Path) -> None:
    landed = land(tmp_path, b"\xef\xbb\xbfc,a,b\r\n3,1,x\r\n", ABC)
    assert values(landed) == [(1, 1, "x", 3)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"a,b\n1,x\n", "missing: c"),
        (b"a,b,C\n1,x,2\n", r"missing: c \(is it C\?\)"),
        (b"a,b,c,d\n1,x,2,3\n", "not declared: d"),
        (b"a,b,c,a\n1,x,2,3\n", "more than one column is named a"),
    ],
)
def test_another_header_than_declared_is_a_schema_error(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(SourceSchemaError, match=said):
        land(tmp_path, content, ABC)


def test_extra_columns_can_be_ignored(tmp_path: Path) -> None:
    landed = land(tmp_path, b"a,n\xe9,b,n\xe9,c\n1,\xff,x,z,2\n", ABC, extra_columns="ignore")
    assert values(landed) == [(1, 1, "x", 2)]


def test_a_header_alone_lands_no_rows_and_a_typed_file(tmp_path: Path) -> None:
    landed = land(tmp_path, b"a,b,c\n", ABC)
    assert (landed.read, landed.landed, landed.rejected, len(landed.files)) == (0, 0, 0, 1)
    assert pq.read_schema(landed.files[0]).names == ["a", "b", "c", "_source_file", "_source_row"]


def test_a_file_without_header_is_read_by_position(tmp_path: Path) -> None:
    assert values(land(tmp_path, b"1,x,2\n", ABC, header=False)) == [(1, 1, "x", 2)]
    assert land(tmp_path, b"", ABC, header=False).read == 0


def test_the_last_record_may_lack_its_line_end(tmp_path: Path) -> None:
    assert values(land(tmp_path, b'a,b,c\n1,x,2\n3,"y",4', ABC)) == [(1, 1, "x", 2), (2, 3, "y", 4)]


def test_declared_null_texts_are_null(tmp_path: Path) -> None:
    landed = land(tmp_path, b"a,b,c\nNULL,NULL,1\n2,,3\n", ABC, null_values=["NULL"])
    assert values(landed) == [(1, None, None, 1), (2, 2, "", 3)]


def test_an_empty_line_is_a_null_record_only_in_a_single_column(tmp_path: Path) -> None:
    assert values(land(tmp_path, b"a\n1\n\n3\n", {"a": "bigint"})) == [(1, 1), (2, None), (3, 3)]
    assert values(land(tmp_path, b"a,b,c\n\n1,x,2\n\r\n3,y,4\n", ABC)) == [(1, 1, "x", 2), (2, 3, "y", 4)]


def test_other_dialects(tmp_path: Path) -> None:
    content = b"a|b|c\n1|'it\\'s | \\\\ \n here'|2\n3|'x'|y\n"
    landed = land(tmp_path, content, ABC, delimiter="|", quote="'", escape="\\")
    assert values(landed) == [(1, 1, "it's | \\ \n here", 2)]
    assert rejected(landed) == [(2, "c", "3|'x'|y")]


@pytest.mark.parametrize("options", [{"delimiter": "é"}, {"quote": "ß"}, {"escape": "\n"}])
def test_a_dialect_that_cannot_be_is_refused(tmp_path: Path, options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        land(tmp_path, b"a,b,c\n", ABC, **options)


def test_compressed_files_are_read(tmp_path: Path) -> None:
    plain = b"a,b,c\n1,x,2\n"
    assert values(land(tmp_path, gzip.compress(plain), ABC, name="in.csv.gz")) == [(1, 1, "x", 2)]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("in.csv", plain)
    assert values(land(tmp_path, buffer.getvalue(), ABC, name="in.csv.zip")) == [(1, 1, "x", 2)]


def _zip_of(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"a,b,c\n")
    return buffer.getvalue()


DAMAGED = {
    "cut.csv.gz": gzip.compress(b"a,b,c\n" + b"1,x,2\n" * 1000)[:-20],
    "plain.csv.gz": b"a,b,c\n1,x,2\n",
    "two.csv.zip": _zip_of("a.csv", "b.csv"),
    "none.csv.zip": _zip_of(),
    "plain.csv.zip": b"a,b,c\n",
    "gz.csv": gzip.compress(b"a,b,c\n"),
    "zip.csv": _zip_of("a.csv"),
    "parquet.csv": b"PAR1\0\0",
    "utf16.csv": "a,b,c\n".encode("utf-16"),
    "open.csv": b'"a,b,c\n1,x,2\n',
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_and_other_formats_are_unreadable(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceUnreadable):
        land(tmp_path, DAMAGED[name], ABC, name=name)


def test_a_very_long_value_lands(tmp_path: Path) -> None:
    long = "x" * (20 << 20)
    landed = land(tmp_path, f'a,b,c\n1,"{long}",2\n3,y,4\n'.encode(), ABC)
    assert [len(r["b"]) for r in rows(landed)] == [20 << 20, 1]


def test_a_line_beyond_the_limit_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "MAX_RECORD_BYTES", 1 << 20)
    with pytest.raises(SourceUnreadable, match=r"line is longer.*record 2"):
        land(tmp_path, b"a,b,c\n1,x,2\n3," + b"y" * (40 << 20), ABC)


def test_too_many_rejects_fail_after_they_are_kept(tmp_path: Path) -> None:
    content = b"a,b,c\n1,x,2\nz,x,2\n"
    assert land(tmp_path, content, ABC, max_rejected=0.5).rejected == 1
    with pytest.raises(SourceSchemaError, match="1 of 2 records"):
        land(tmp_path, content, ABC, max_rejected=0.4)
    assert pq.read_table(tmp_path / "landed" / "rejects-00000.parquet").num_rows == 1


FIELD = st.text(alphabet='ab1 ,"\n\ré\\', max_size=6)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(st.tuples(FIELD, FIELD), min_size=1, max_size=12), block=st.integers(1, 64))
def test_what_a_csv_writer_wrote_comes_back_under_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: list[tuple[str, str]], block: int
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *records])
    monkeypatch.setattr(Framer.__init__, "__kwdefaults__", {"block": block})
    landed = land(tmp_path, text.getvalue().encode(), {"a": "string", "b": "string"}, null_values=[])
    assert values(landed) == [(i, *r) for i, r in enumerate(records, 1)]


@settings(deadline=None, max_examples=200)
@given(
    data=st.binary(max_size=80) | st.text(alphabet='1,"\n\rx', max_size=60).map(str.encode), block=st.integers(1, 32)
)
def test_no_byte_is_lost_whatever_the_text_and_the_block_size(data: bytes, block: int) -> None:
    stream = io.BytesIO(data)
    framer = Framer(stream.read, dialect=Dialect(blank_records=True), path="p", block=block)
    pieces: dict[int, bytes] = {}
    for frame in framer.frames():
        pieces.update(
            zip(frame.numbers.tolist(), frame.raw_records(range(len(frame.numbers)), quote=b'"'), strict=True)
        )
        pieces.update({b.number: b.raw for b in frame.broken})
    assert sorted(pieces) == list(range(1, framer.records + 1))
    joined = b"".join(pieces[n] for n in sorted(pieces))
    assert joined.replace(b"\n", b"").replace(b"\r", b"") == data.replace(b"\n", b"").replace(b"\r", b"")


TYPED_TEXT = st.text(alphabet="0123456789+-.eETZ: nainftrueXx_", max_size=12) | st.sampled_from(
    [
        "2026-11-01",
        "2026-11-01 10:00",
        "2026-11-01T10:00:00.5Z",
        "2026-11-01 1000",
        "true",
        "TRUE",
        " 5 ",
        "1e5",
        "0x1F",
    ]
)


@example(text="1000000", declared="decimal(8,2)")
@settings(deadline=None, max_examples=400)
@given(
    text=TYPED_TEXT,
    declared=st.sampled_from(
        ["boolean", "bigint", "smallint", "double", "date", "timestamp", "timestamp_ntz", "decimal(8,2)"]
    ),
)
def test_the_fast_way_accepts_nothing_that_the_exact_way_refuses(text: str, declared: str) -> None:
    import pyarrow as pa

    from batch_processing.sources.delimited import _suspicious

    data = f"1,{text}\n".encode()
    columns = {"k": "bigint", "v": declared}
    table = _parse_typed(data, _Reading("p", Dialect(), (), ("k", "v"), columns), [])
    if table is not None and not _suspicious(data):
        exact = cast_text(pa.array([text]), declared)
        assert exact.values.equals(table.column("v").combine_chunks())
        assert exact.misfit is None
