"""Values that engines, files and processes take differently: NaN of either sign, time zones, the year 10000."""

from __future__ import annotations

import json
import math
import os
import struct
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_processing.quality import Validated
from tests.integration.quality.judging import e, judge

NEGATIVE_NAN = struct.unpack("<d", struct.pack("<Q", 0xFFF8000000000000))[0]
"""What a processor makes of 0.0 / 0.0."""


def between(column: str, **kwargs: Any) -> dict[str, Any]:
    return e("column_values_to_be_between", column=column, rule_id="bounds", **kwargs)


def stored(spark: Any, folder: Path, **columns: Any) -> Any:
    """A DataFrame of a file as pyarrow writes it, with statistics of every column."""
    file = folder / "rows.parquet"
    pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), file)
    return spark.read.parquet(str(file))


def bad_ids(found: Validated) -> list[int]:
    bad = found.bad_rows()
    return sorted(row["id"] for row in bad.collect()) if bad is not None else []


def test_a_nan_beside_one_number_is_not_read_as_that_number(spark: Any, tmp_path: Path) -> None:
    """The file's statistics say that every value is 3."""
    df = stored(spark, tmp_path, id=[1, 2, 3], x=[3.0, math.nan, 3.0])
    assert bad_ids(judge(df, between("x", min_value=0, max_value=10), threshold=0)) == [2]
    unique = e("column_values_to_be_unique", column="x", rule_id="unique")
    assert bad_ids(judge(df, unique, threshold=0)) == [1, 3]
    assert not judge(df, e("column_max_to_be_between", column="x", max_value=10))


def test_a_nan_is_above_all_numbers_whatever_its_sign(spark: Any, tmp_path: Path) -> None:
    df = stored(spark, tmp_path, id=[1, 2, 3, 4], x=[NEGATIVE_NAN, 1.0, math.nan, 5.0])
    assert bad_ids(judge(df, between("x", max_value=10), threshold=0)) == [1, 3]
    assert bad_ids(judge(df, between("x", min_value=2), threshold=0)) == [2]
    assert bad_ids(judge(df, e("column_values_to_be_unique", column="x", rule_id="u"), threshold=0)) == [1, 3]
    assert not judge(df, e("column_max_to_be_between", column="x", max_value=10))
    found = judge(df, e("column_min_to_be_between", column="x", min_value=1, max_value=1))
    assert (found.result.outcome, found.result.message) == ("PASS", "")


_IN_ZONE = """
import json, sys
from batch_processing.quality import validate
from batch_processing.quality import parse_suite
from batch_processing.spark.session import get_spark_session
df = get_spark_session().read.parquet(sys.argv[1])
suite = parse_suite({"name": "s", "expectations": json.loads(sys.argv[2])})
found = validate(df, suite=suite, threshold=0)
print(json.dumps([[rule.unexpected_count, rule.observed, rule.outcome.value] for rule in found.result.rules]))
"""


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Europe/Berlin"])
def test_a_bound_without_zone_is_utc_wherever_the_process_runs(tmp_path: Path, zone: str) -> None:
    new_year = datetime(2024, 1, 1)  # noqa: DTZ001 - a timestamp without zone is what is tested
    times = [datetime(2023, 12, 31, 23, 30), new_year]  # noqa: DTZ001
    table = pa.table(
        {
            "t": pa.array([time.replace(tzinfo=UTC) for time in times], pa.timestamp("us", "UTC")),
            "tn": pa.array(times, pa.timestamp("us")),
            "d": pa.array([time.date() for time in times]),
        }
    )
    pq.write_table(table, tmp_path / "times.parquet")
    since = "2024-01-01T00:00:00"
    rules = [e("column_values_to_be_between", column=name, min_value=since) for name in ("t", "tn", "d")]
    rules += [e("column_max_to_be_between", column=name, min_value=since, max_value=since) for name in ("t", "tn")]
    done = subprocess.run(
        [sys.executable, "-c", _IN_ZONE, str(tmp_path / "times.parquet"), json.dumps(rules)],
        env={**os.environ, "TZ": zone}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    bounded, extremes = [1, None, "FAIL"], [None, since, "PASS"]
    assert json.loads(done.stdout) == [bounded, bounded, bounded, extremes, extremes]


@pytest.mark.parametrize(
    ("column", "bound"), [("id", "2020-01-01"), ("id", "2020-01-01T00:00:00"), ("day", "2020"), ("day", 20200101)]
)
def test_a_bound_of_another_kind_is_an_error_and_no_pass(spark_embedded: Any, column: str, bound: Any) -> None:
    df = spark_embedded.createDataFrame([(19000101, date(1990, 1, 1))], "id int, day date")
    found = judge(df, between(column, min_value=bound)).result
    assert found.outcome == "ERROR"
    assert "its bounds have to be" in found.message


def test_a_day_that_python_cannot_hold_is_an_error_of_its_rule(spark_embedded: Any, tmp_path: Path) -> None:
    df = stored(spark_embedded, tmp_path, id=[1], day=pa.array([2_932_900], pa.int32()).cast(pa.date32()))
    late = e("column_max_to_be_between", column="day", max_value="2030-01-01", rule_id="late")
    found = judge(df, late, between("id", min_value=0)).result
    assert {rule.rule_id: rule.outcome.value for rule in found.rules} == {"late": "ERROR", "bounds": "PASS"}
    assert "late: the engine could not evaluate it: Python cannot hold a value that was measured" in found.message


def test_conditions_and_names_that_look_alike_are_measured_apart(spark_embedded: Any) -> None:
    df = spark_embedded.createDataFrame([(1, None, 1), (None, 5, 1), (None, 6, 0)], "a int, `a|b` int, c int")
    one = e("column_values_to_be_between", column="a", min_value=0, row_condition="b|c > 0", condition_parser="spark")
    df = df.selectExpr("a", "`a|b`", "c", "c as b")
    other = e("column_values_to_be_between", column="a|b", min_value=0, row_condition="c > 0", condition_parser="spark")
    alone = [judge(df, rule).result.rules[0].missing_count for rule in (one, other)]
    assert [rule.missing_count for rule in judge(df, one, other).result.rules] == alone


def test_fields_of_structs_can_be_summed(spark_embedded: Any) -> None:
    df = spark_embedded.createDataFrame([((1, 2), 3), ((1, 1), 1)], "st struct<a: int, b: int>, n int")
    found = judge(df, e("multicolumn_sum_to_equal", column_list=["st.a", "n"], sum_total=4, rule_id="sum"), threshold=0)
    assert found.result.rules[0].unexpected_count == 1
