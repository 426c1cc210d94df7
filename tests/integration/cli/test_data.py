"""The data that `batchctl check` and `batchctl profile` take: what people have, in every way it is written."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from tests.integration.cli.conftest import NOT_NULL, Command

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def suite_of(*expectations: dict[str, Any]) -> None:
    Path("s.json").write_text(json.dumps({"name": "s", "expectations": list(expectations)}))


def rule(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_column_{kind}", "kwargs": kwargs}


def verdict(command: Command, data: str, *arguments: str) -> dict[str, Any]:
    code, out, err = command("check", data, "--suite", "s.json", "--json", *arguments)
    assert out, (code, err)
    found: dict[str, Any] = json.loads(out)
    return found


ODD = {
    "nanoseconds": (pa.array([NOON, None], pa.timestamp("ns")), ["2026-11-01T12:00:00", "2026-11-01T12:00:00"]),
    "nanoseconds with a zone": (pa.array([NOON, None], pa.timestamp("ns", "UTC")), ["2026-11-01T12:00:00Z"] * 2),
    "seconds": (pa.array([NOON, None], pa.timestamp("s")), ["2026-11-01T12:00:00"] * 2),
    "day as milliseconds": (pa.array([date(2026, 11, 1), None], pa.date64()), ["2026-11-01"] * 2),
    "half": (pa.array(np.array([1.5, 2.5], dtype=np.float16)), [1.5, 2.5]),
    "uint8": (pa.array([200, 255], pa.uint8()), [200, 255]),
    "uint16": (pa.array([40_000, 65_535], pa.uint16()), [40_000, 65_535]),
    "uint32": (pa.array([3_000_000_000, None], pa.uint32()), [3_000_000_000] * 2),
    "time in nanoseconds": (pa.array([time(1), time(2)], pa.time64("ns")), None),
    "duration in nanoseconds": (pa.array([timedelta(1), timedelta(2)], pa.duration("ns")), None),
    "short decimal": (pa.array([Decimal("1.50"), None], pa.decimal32(5, 2)), [1.5, 1.5]),
    "long decimal": (pa.array([Decimal("1.50"), None], pa.decimal256(40, 2)), [1.5, 1.5]),
    "uuid": (pa.array([b"0123456789abcdef", b"0123456789abcdee"], pa.binary(16)).cast(pa.uuid()), None),
    "uint64": (pa.array([2**64 - 1, 1], pa.uint64()), [1, 2**64 - 1]),
}


@pytest.mark.parametrize("name", ODD)
def test_types_that_spark_does_not_have_are_judged_by_their_values(command: Command, name: str) -> None:
    values, bounds = ODD[name]
    pq.write_table(pa.table({"id": [1, 2], "v": values}), "odd.parquet")
    if bounds:
        low, high = bounds
        suite_of(
            rule("values_to_be_between", column="v", min_value=low, max_value=high),
            rule("min_to_be_between", column="v", min_value=low, max_value=low),
        )
    else:
        suite_of(rule("values_to_be_unique", column="v"), rule("values_to_not_be_null", column="v", mostly=0.5))
    assert verdict(command, "odd.parquet")["outcome"] == "PASS"
    assert command("profile", "odd.parquet", "-o", "drafted.json")[0] == 0
    assert command("check", "odd.parquet", "--suite", "drafted.json")[0] == 0


# Without the schema of Arrow a file has whole numbers in place of durations.
@pytest.mark.parametrize(
    ("kind", "store_schema"),
    [(pa.duration("ns"), True)]
    + [
        (kind, kept)
        for kind in (pa.timestamp("ns"), pa.timestamp("ns", "UTC"), pa.time64("ns"))
        for kept in (True, False)
    ],
)
def test_values_finer_than_microseconds_are_not_cut_off(
    command: Command, kind: pa.DataType, store_schema: bool
) -> None:
    values = pa.array([1_001, 1_002], pa.int64()).cast(kind)
    pq.write_table(pa.table({"id": [1, 2], "at": values}), "fine.parquet", store_schema=store_schema)
    suite_of(rule("values_to_be_unique", column="at"))
    code, out, err = command("check", "fine.parquet", "--suite", "s.json")
    assert (code, out) == (3, "")
    assert f"at is {kind}, with values finer than a microsecond" in err
    assert "fine.parquet" in err


def test_durations_that_the_file_has_as_whole_numbers_are_judged_as_those(command: Command) -> None:
    values = pa.array([1_001, 1_002], pa.int64()).cast(pa.duration("ns"))
    pq.write_table(pa.table({"id": [1, 2], "at": values}), "fine.parquet", store_schema=False)
    suite_of(rule("values_to_be_unique", column="at"), rule("max_to_be_between", column="at", min_value=1_002))
    assert verdict(command, "fine.parquet")["outcome"] == "PASS"


def test_decimals_that_no_type_of_spark_holds_are_told(command: Command) -> None:
    suite_of(NOT_NULL)
    for kind, value in ((pa.decimal256(40, 2), Decimal("1e37")), (pa.decimal256(60, 40), Decimal(1))):
        pq.write_table(pa.table({"id": [1], "amount": pa.array([value], kind)}), "wide.parquet")
        code, _, err = command("check", "wide.parquet", "--suite", "s.json")
        assert code == 3
        assert f"amount is {kind}" in err


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (pa.time64("us"), time(1), time(2)),
        (pa.time32("ms"), time(1), time(2)),
        (pa.duration("us"), timedelta(1), timedelta(2)),
        (pa.binary(2), b"aa", b"ab"),
        (pa.bool_(), True, False),
        (pa.list_(pa.int32()), [1], [2]),
    ],
)
def test_repeated_values_of_rare_types_are_counted(command: Command, kind: pa.DataType, one: Any, other: Any) -> None:
    pq.write_table(pa.table({"id": [1, 2, 3], "at": pa.array([one, one, other], kind)}), "times.parquet")
    suite_of(rule("values_to_be_unique", column="at"))
    assert verdict(command, "times.parquet", "--threshold", "0.1")["rows"] == {"looked_at": 3, "valid": 1, "bad": 2}


def write_two(one: pa.Table, other: pa.Table) -> None:
    Path("two").mkdir()
    pq.write_table(one, "two/a.parquet")
    pq.write_table(other, "two/b.parquet")


def test_a_column_of_two_types_takes_the_one_that_holds_both(command: Command) -> None:
    # As pandas writes a column of whole numbers in one file, and with nulls among them in the next.
    write_two(
        pa.table({"id": [1, 2], "n": pa.array([1, 2]), "d": pa.array([Decimal("1.25")] * 2), "more": ["x", "x"]}),
        pa.table({"d": pa.array([Decimal("100.5")] * 2), "n": pa.array([1.5, None]), "id": pa.nulls(2, pa.int16())}),
    )
    suite_of(
        rule("sum_to_be_between", column="n", min_value=4.5, max_value=4.5),
        rule("max_to_be_between", column="d", min_value=100.5, max_value=100.5),
        rule("values_to_be_unique", column="id"),
        rule("distinct_values_to_equal_set", column="more", value_set=["x"]),
        rule("values_to_not_be_null", column="more", mostly=0.5),
    )
    found = verdict(command, "two")
    assert [one["outcome"] for one in found["rules"]] == ["PASS"] * 5
    assert found["rows"]["looked_at"] == 4


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ([1], ["1"], "id is int64 in"),
        ([2**53 + 1], [1.5], "id is int64, and double does not hold them"),
        ([date(2026, 11, 1)], [1], "id is date32[day] in"),
        ([[1]], [1], "id is list<element: int64> in"),
    ],
)
def test_types_that_do_not_go_together_are_told(command: Command, one: list, other: list, words: str) -> None:
    write_two(pa.table({"id": one}), pa.table({"id": other}))
    suite_of(NOT_NULL)
    code, _, err = command("check", "two", "--suite", "s.json")
    assert code == 3
    assert words in err
    assert "two/a.parquet" in err


def test_files_whose_names_differ_by_case_are_told(command: Command) -> None:
    write_two(pa.table({"id": [1]}), pa.table({"ID": [1]}))
    suite_of(NOT_NULL)
    code, _, err = command("check", "two", "--suite", "s.json")
    assert code == 3
    assert "found: id, ID" in " ".join(err.split())


def test_a_file_without_columns_is_told(command: Command) -> None:
    pq.write_table(pa.table({}), "none.parquet")
    suite_of(NOT_NULL)
    code, _, err = command("check", "none.parquet", "--suite", "s.json")
    assert code == 3
    assert "no columns" in err


def test_old_timestamps_keep_years_that_nanoseconds_do_not_have(command: Command) -> None:
    old = pa.array([NOON.replace(year=1500, tzinfo=None), NOON.replace(tzinfo=None)], pa.timestamp("us"))
    table = pa.table({"id": [1, 2], "at": old, "word": pa.array(["a", "b"]).dictionary_encode()})
    pq.write_table(table, "old.parquet", use_deprecated_int96_timestamps=True)
    suite_of(rule("min_to_be_between", column="at", max_value="1500-12-31T00:00:00"))
    assert verdict(command, "old.parquet")["outcome"] == "PASS"


def test_categories_are_texts_wherever_they_are(command: Command) -> None:
    words = pa.array(["a", "b", None]).dictionary_encode()
    table = pa.table({"id": [1, 2, 3], "word": words, "st": pa.StructArray.from_arrays([words], ["word"])})
    Path("parts/day=1").mkdir(parents=True)
    Path("parts/day=2").mkdir()
    pq.write_table(table, "parts/day=1/a.parquet")
    plain = pa.schema({"id": pa.int64(), "word": pa.string(), "st": pa.struct({"word": pa.string()})})
    pq.write_table(table.cast(plain), "parts/day=2/a.parquet")
    suite_of(
        rule("values_to_be_in_set", column="word", value_set=["a", "b"]),
        rule("values_to_be_in_set", column="st.word", value_set=["a", "b"]),
        rule("distinct_values_to_equal_set", column="day", value_set=[1, 2]),
    )
    found = verdict(command, "parts")
    assert (found["outcome"], found["rows"]["looked_at"]) == ("PASS", 6)


@pytest.mark.parametrize(
    ("names", "words"),
    [(["id", ""], "a column has no name"), (["id", "ID"], "found: id, ID"), (["id", "id"], "found: id, id")],
)
def test_columns_that_cannot_be_told_apart_are_refused(command: Command, names: list[str], words: str) -> None:
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=names), "a.parquet")
    suite_of(NOT_NULL)
    for arguments in (("check", "a.parquet", "--suite", "s.json"), ("profile", "a.parquet", "-o", "x.json")):
        code, _, err = command(*arguments)
        assert code == 3
        assert words in err


def test_a_damaged_file_is_named(command: Command) -> None:
    pq.write_table(pa.table({"id": [1]}), "good.parquet")
    Path("all").mkdir()
    Path("good.parquet").rename("all/good.parquet")
    Path("all/torn.parquet").write_bytes(b"PAR1 and no more")
    suite_of(NOT_NULL)
    code, _, err = command("check", "all", "--suite", "s.json")
    assert code == 3
    assert "torn.parquet" in err


@pytest.mark.parametrize("text", ["id\tamount\n1\t2.5\n2\t3\n", "id;amount\r\n1;2.5\r\n2;3\r\n"])
def test_text_of_every_line_end_and_delimiter(command: Command, text: str) -> None:
    name = "a.tsv" if "\t" in text else "a.csv"
    Path(name).write_bytes(text.encode())
    suite_of(NOT_NULL, rule("sum_to_be_between", column="amount", min_value=5.5, max_value=5.5))
    assert verdict(command, name)["outcome"] == "PASS"


def test_lines_that_end_in_carriage_returns_alone_are_told(command: Command) -> None:
    Path("a.csv").write_bytes(b"id,amount\r1,2.5\r2,3\r")
    suite_of(NOT_NULL)
    code, _, err = command("check", "a.csv", "--suite", "s.json")
    assert code == 3
    assert "carriage returns, and no line feed" in err


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_pattern_names_files(command: Command, suffix: str) -> None:
    Path("in").mkdir()
    for name, number in (("orders_1", 1), ("orders_2", 2), ("other", 3)):
        if suffix == "csv":
            Path(f"in/{name}.csv").write_text(f"id\n{number}\n")
        else:
            pq.write_table(pa.table({"id": [number]}), f"in/{name}.parquet")
    suite_of(rule("values_to_be_between", column="id", max_value=2))
    found = verdict(command, f"in/orders_*.{suffix}")
    assert (found["outcome"], found["rows"]["looked_at"]) == ("PASS", 2)
    code, _, err = command("check", f"in/customers_*.{suffix}", "--suite", "s.json")
    assert code == 2
    assert "no file matches" in err


def test_files_of_other_columns_are_told_apart_by_name(command: Command) -> None:
    Path("in").mkdir()
    Path("in/a.csv").write_text("id,amount\n1,2\n")
    Path("in/b.csv").write_text("id,amuont\n1,2\n")
    suite_of(NOT_NULL)
    code, out, err = command("check", "in", "--suite", "s.json")
    assert (code, out) == (3, "")
    assert "other header than the first, a.csv" in err
    assert "b.csv" in err
    assert "it has amuont, which the first has not; it lacks amount" in " ".join(err.split())


@pytest.mark.parametrize("inside", ["t/day=1", "t/_delta_log", "t/day=*/*.parquet"])
def test_a_part_of_a_delta_table_is_not_its_rows(command: Command, inside: str) -> None:
    write_deltalake("t", pa.table({"id": [1], "day": ["1"]}), partition_by=["day"])
    suite_of(NOT_NULL)
    code, _, err = command("check", inside, "--suite", "s.json")
    assert code == 2
    assert "part of a Delta table" in err
    assert "give the table's folder" in err


@pytest.mark.parametrize("folder", ["lake", "."])
def test_a_table_further_down_is_named(command: Command, folder: str) -> None:
    write_deltalake("lake/orders", pa.table({"id": [1]}))
    suite_of(NOT_NULL)
    code, _, err = command("check", folder, "--suite", "s.json")
    assert code == 2
    assert "further down" in err
    assert "lake/orders" in err


@pytest.mark.parametrize("threshold", ["1.5", "-0.1", "nan", "most"])
def test_a_threshold_that_is_none_is_told_before_the_data_is_read(command: Command, threshold: str) -> None:
    suite_of(NOT_NULL)
    Path("a.csv").write_text("")  # would be refused when it is read
    code, _, err = command("check", "a.csv", "--suite", "s.json", "--threshold", threshold)
    assert code == 2
    assert "threshold" in err
    assert "correct validation_threshold" not in err


def test_where_a_rule_could_not_judge_there_is_no_score(command: Command) -> None:
    Path("a.csv").write_text("id\n1\n2\n")
    suite_of(NOT_NULL, rule("values_to_not_be_null", column="idd"))
    found = verdict(command, "a.csv", "--html", "a.html")
    assert (found["outcome"], found["score"], found["rows"]) == (
        "ERROR", None, {"looked_at": 2, "valid": None, "bad": None},
    )  # fmt: skip
    _, out, _ = command("check", "a.csv", "--suite", "s.json")
    assert "no score" in out
    for page in (out, Path("a.html").read_text()):
        assert "100 %" not in page.split("Rule")[0]


def test_json_is_alone_on_stdout_also_where_great_expectations_runs(command: Command) -> None:
    Path("a.csv").write_text('id,s\n1,"{}"\n')
    suite_of(
        rule("values_to_be_json_parseable", column="s"),
        rule("kl_divergence_to_be_less_than", column="id", threshold=0.1,
             partition_object={"values": [1], "weights": [1.0]}),
    )  # fmt: skip
    assert [one["outcome"] for one in verdict(command, "a.csv")["rules"]] == ["PASS", "PASS"]


def test_json_is_alone_on_stdout_whatever_a_check_prints(command: Command) -> None:
    Path("noisy.py").write_text(
        "from batch_processing.quality.checks import TableCheckResult, row_check, table_check\n"
        "from pyspark.sql import functions as F\n"
        "print('at import')\n"
        "@row_check(columns=('id',))\n"
        "def rows(df):\n    print('rows')\n    return F.col('id') > 0\n"
        "@table_check\n"
        "def table(df):\n    print('table')\n    return TableCheckResult(success=True)\n"
    )
    Path("a.csv").write_text("id\n1\n")
    suite_of(NOT_NULL)
    arguments = ("check", "a.csv", "--suite", "s.json", "--checks", "noisy.rows", "--checks", "noisy.table")
    code, out, err = command(*arguments, "--json")
    assert (code, json.loads(out)["outcome"]) == (0, "PASS")
    for word in ("at import", "rows", "table"):
        assert word in err
    assert "rows" in command(*arguments)[1]


def test_a_suite_may_begin_with_a_byte_order_mark(command: Command) -> None:
    Path("a.csv").write_text("id\n1\n")
    suite_of(NOT_NULL)
    Path("s.json").write_bytes(b"\xef\xbb\xbf" + Path("s.json").read_bytes())
    assert verdict(command, "a.csv")["outcome"] == "PASS"
