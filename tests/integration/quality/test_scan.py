"""What is measured once for many rules, and files whose statistics do not tell the whole truth."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import PySparkException

from batch_processing.quality import Validated, parse_suite, scan, staged_scan, validate
from batch_processing.results import RuleResult

NAN = math.nan


def e(kind: str, severity: str = "critical", **kwargs: Any) -> dict[str, Any]:
    meta = {"rule_id": kwargs.pop("rule_id")} if "rule_id" in kwargs else {}
    return {"type": f"expect_{kind}", "kwargs": kwargs, "severity": severity, "meta": meta}


def judge(df: Any, expectations: list[dict[str, Any]], **more: Any) -> Validated:
    return validate(df, suite=parse_suite({"name": "s", "expectations": expectations}), **{"threshold": 0, **more})


def between(column: str, low: Any = None, high: Any = None, **more: Any) -> dict[str, Any]:
    bounds = {name: value for name, value in (("min_value", low), ("max_value", high)) if value is not None}
    return e("column_values_to_be_between", column=column, **bounds, **more)


@pytest.fixture
def measured(spark: Any, tmp_path: Path) -> Any:
    """A file of two row groups as pyarrow writes it: the statistics of `x` say 1 to 3 and know nothing of its NaN."""
    table = pa.table({"id": list(range(8)), "x": [1.0, 2.0, NAN, 3.0, 1.0, None, 2.0, 3.0]})
    pq.write_table(table, tmp_path / "measured.parquet", row_group_size=4)
    return spark.read.parquet(str(tmp_path / "measured.parquet"))


@pytest.mark.parametrize("rules", [1, staged_scan.MANY], ids=["few rules", "many rules"])
def test_a_nan_that_the_statistics_of_a_file_leave_out_is_quarantined(measured: Any, rules: int) -> None:
    found = judge(measured, [between("x", 0, 10 + extra) for extra in range(rules)])
    assert (found.result.rows, found.result.quarantined) == (8, 1)
    bad = found.bad_rows()
    assert bad is not None
    assert [row["id"] for row in bad.collect()] == [2]
    assert sorted(row["id"] for row in found.valid_rows().collect()) == [0, 1, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("rules", [1, staged_scan.MANY], ids=["few rules", "many rules"])
def test_a_nan_is_the_greatest_value_of_a_file(measured: Any, rules: int) -> None:
    found = judge(measured, [e("column_max_to_be_between", column="x", max_value=3 + extra) for extra in range(rules)])
    assert not any(result["success"] for result in found.gx_result["results"])


def test_a_row_condition_reaches_the_nan_of_a_file(measured: Any) -> None:
    unique = e("column_values_to_be_unique", column="x", row_condition="x > 2", condition_parser="spark")
    result = judge(measured, [unique]).gx_result["results"][0]["result"]
    assert (result["element_count"], result["unexpected_count"]) == (3, 2)


CHANCE = random.Random(20261122)
ROWS = [
    (
        i,
        CHANCE.choice([None, 0, 1, 5, 9]),
        CHANCE.choice([None, 0.5, -1.0, 3.0, NAN]),
        CHANCE.choice([None, "", "new", "paid", "ä"]),
        f"note {i}",
    )
    for i in range(60)
]
COLUMNS = "id bigint, n int, x double, status string, note string"
RULES = [
    e("column_values_to_not_be_null", column="id"),
    e("column_values_to_not_be_null", column="n"),
    e("column_values_to_be_null", column="x"),
    e("column_values_to_not_be_null", column="x", row_condition="n > 1", condition_parser="spark"),
    between("id", 0, 59),
    between("id", 0, 58, strict_min=True),
    between("n", 0, 9),
    between("n", 0, 9, strict_max=True),
    between("n", 0, 9, row_condition="x > 0", condition_parser="spark"),
    between("x", -1),
    between("x", -1, 3),
    between("x", 0, 3),
    between("x", None, 3, strict_max=True),
    e("column_values_to_be_in_set", column="status", value_set=["new", "paid", "", "ä"]),
    e("column_values_to_be_in_set", column="status", value_set=["new"]),
    e("column_values_to_not_be_in_set", column="status", value_set=["ä"]),
    e("column_values_to_match_regex", column="status", regex="^[a-z]*$"),
    e("column_value_lengths_to_be_between", column="status", min_value=1),
    e("column_values_to_match_regex", column="note", regex="^note"),
    e("column_values_to_match_regex", column="note", regex="7"),
    e("column_values_to_be_unique", column="n"),
    e("column_min_to_be_between", column="n", min_value=0),
    e("column_max_to_be_between", column="x", max_value=3),
    e("column_mean_to_be_between", column="n", min_value=0, max_value=9),
    e("column_pair_values_a_to_be_greater_than_b", column_A="id", column_B="n"),
    e("column_values_to_be_between", "warning", column="id", min_value=30),
]


@pytest.mark.parametrize("stored", [False, True], ids=["in memory", "in a file"])
def test_many_rules_find_in_stages_what_one_scan_finds(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    df = spark.createDataFrame(ROWS, COLUMNS)
    if stored:
        schema = pa.schema(
            [("id", pa.int64()), ("n", pa.int32()), ("x", pa.float64()), ("status", pa.string()), ("note", pa.string())]
        )
        columns = dict(zip(schema.names, zip(*ROWS, strict=True), strict=True))
        pq.write_table(pa.table(columns, schema=schema), tmp_path / "rows.parquet", row_group_size=20)
        df = spark.read.parquet(str(tmp_path / "rows.parquet"))
    staged = judge(df, RULES)
    monkeypatch.setattr(scan, "MANY", len(RULES) + 1)
    plain = judge(df, RULES)
    assert [_counts(rule) for rule in staged.result.rules] == [_counts(rule) for rule in plain.result.rules]
    bad, valid = staged.bad_rows(), staged.valid_rows()
    assert bad is not None
    assert (bad.count(), valid.count()) == (staged.result.quarantined, staged.result.valid)
    assert staged.result.quarantined == plain.result.quarantined


def test_many_rules_together_find_what_each_finds_alone(spark_embedded: Any) -> None:
    df = spark_embedded.createDataFrame(ROWS, COLUMNS)
    alone = [judge(df, [one]).result.rules[0] for one in RULES]
    assert [_counts(rule) for rule in judge(df, RULES).result.rules] == [_counts(rule) for rule in alone]


def _counts(rule: RuleResult) -> tuple[Any, ...]:
    observed = "NaN" if rule.observed != rule.observed else rule.observed
    return rule.expectation_type, rule.outcome, rule.element_count, rule.unexpected_count, rule.missing_count, observed


def test_a_row_that_breaks_many_rules_is_one_bad_row(spark_embedded: Any) -> None:
    df = spark_embedded.createDataFrame(ROWS, COLUMNS)
    found = judge(df, [between("id", 10 + extra) for extra in range(staged_scan.MANY)])
    assert found.result.quarantined == 10 + staged_scan.MANY - 1
    only_one = judge(df, [between("id", 0 if extra else 7, rule_id=str(extra)) for extra in range(staged_scan.MANY)])
    assert (only_one.result.quarantined, [r.unexpected_count for r in only_one.result.rules]) == (7, [7, *[0] * 8])


def test_many_rules_on_no_rows_and_on_nulls_only_judge_nothing(spark_embedded: Any) -> None:
    rules = [between("n", 0, extra) for extra in range(staged_scan.MANY)]
    empty = spark_embedded.createDataFrame([], COLUMNS)
    assert judge(empty, rules).result.outcome == "ERROR"
    nulls = spark_embedded.createDataFrame([(1, None, None, None, None)], COLUMNS)
    found = judge(nulls, rules)
    assert {rule.outcome for rule in found.result.rules} == {"ERROR"}
    assert "no row was judged" in found.result.message


def test_one_rule_among_many_that_the_engine_refuses_is_named_and_the_others_are_judged(spark_embedded: Any) -> None:
    df = spark_embedded.createDataFrame(ROWS, COLUMNS)
    broken = e("column_values_to_match_regex", column="note", regex="(", rule_id="broken")
    found = judge(df, [*RULES, broken])
    errors = [rule.rule_id for rule in found.result.rules if rule.outcome == "ERROR"]
    assert errors == ["broken"]
    assert len(found.result.rules) == len(RULES) + 1


def test_where_the_stages_cannot_run_the_rows_are_read_in_one_scan(
    spark_embedded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise PySparkException("a function the engine lacks")

    df = spark_embedded.createDataFrame(ROWS, COLUMNS)
    staged = judge(df, RULES)
    monkeypatch.setattr(scan, "scan_in_stages", refuse)
    plain = judge(df, RULES)
    assert [_counts(rule) for rule in plain.result.rules] == [_counts(rule) for rule in staged.result.rules]
    assert plain.result.quarantined == staged.result.quarantined
