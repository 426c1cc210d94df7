"""Python checks: they join the scan, and what they raise is an error of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import Window
from pyspark.sql import functions as F  # noqa: N812

from batch_processing.errors import UsageError
from batch_processing.quality import (
    Checks,
    TableCheckResult,
    row_check,
    run_table_checks,
    table_check,
    validate,
)
from batch_processing.results import Outcome
from tests.integration.quality.judging import UNIQUE, ids, judge, rule


def test_row_checks_join_and_null_is_bad(orders: Any) -> None:
    @row_check(columns=("amount",))
    def above_zero(df: Any) -> Any:
        return F.col("amount") > 0

    found = judge(orders, UNIQUE, checks=Checks(row=(above_zero,)), threshold=0)
    assert rule(found, "above_zero").unexpected_count == 3
    assert rule(found, "above_zero").kind == "check_row"
    bad = found.bad_rows()
    assert bad is not None
    assert ids(bad) == [2, 2, 5]


@pytest.mark.parametrize("others", [0, 1])
def test_a_check_may_call_a_python_function(spark: Any, others: int) -> None:
    is_even = F.udf(lambda number: None if number is None else number % 2 == 0, "boolean")

    @row_check(columns=("n",))
    def even(df: Any) -> Any:
        return is_even(F.col("n"))

    @row_check(columns=("n",))
    def small(df: Any) -> Any:
        return F.col("n") < 3

    numbers = spark.createDataFrame([(0,), (1,), (2,), (4,), (None,)], "n int")
    found = validate(numbers, checks=Checks(row=(even, small)[: 1 + others]), threshold=0)

    assert rule(found, "even").unexpected_count == 2
    assert found.result.quarantined == 2 + others
    bad = found.bad_rows()
    assert bad is not None
    assert sorted(str(row.n) for row in bad.collect()) == ["1", *["4"][:others], "None"]


def test_what_is_no_name_is_refused_where_it_is_written() -> None:
    with pytest.raises(UsageError, match="columns are names"):
        row_check(columns=[1])(lambda df: df)  # type: ignore[list-item]
    with pytest.raises(UsageError, match="id is text"):
        table_check(id=5)(lambda df: True)  # type: ignore[call-overload]


def test_a_rule_and_a_table_check_with_one_id_are_refused(orders: Any) -> None:
    @table_check(id=UNIQUE["meta"]["rule_id"])
    def same(df: Any) -> bool:
        return True

    with pytest.raises(UsageError, match="is a rule of the suite and the id of a check"):
        judge(orders, UNIQUE, checks=Checks(table=(same,)))


def test_a_check_that_raises_is_an_error_of_its_own(orders: Any) -> None:
    @row_check
    def bug(df: Any) -> Any:
        raise RuntimeError("no such luck")

    @row_check
    def no_column(df: Any) -> Any:
        return True

    @row_check(columns=["emial"])
    def misspelt(df: Any) -> Any:
        return F.col("emial") == ""

    @row_check
    def not_boolean(df: Any) -> Any:
        return F.col("nowhere") > 1

    found = validate(orders, checks=Checks(row=(bug, no_column, misspelt, not_boolean)), threshold=0)
    assert found.result.outcome is Outcome.ERROR
    messages = [result.message for result in found.result.rules]
    assert messages[0] == "the check raised RuntimeError: no such luck"
    assert messages[1].startswith("the check returned bool, expected a Spark Column")
    assert "near names: mail" in messages[2] or "there is no column 'emial'" in messages[2]
    assert all(result.outcome is Outcome.ERROR for result in found.result.rules)


def test_table_checks_give_a_verdict_each(orders: Any) -> None:
    @table_check
    def enough(df: Any) -> bool:
        return bool(df.count() > 3)

    @table_check(severity="warning")
    def countries(df: Any) -> TableCheckResult:
        return TableCheckResult(False, observed=2, message="only two countries", unexpected_count=1)

    @table_check
    def bug(df: Any) -> bool:
        raise ValueError("nope")

    @table_check
    def silent(df: Any) -> bool:
        return None  # type: ignore[return-value]

    found = run_table_checks(orders, Checks(table=(enough, countries, bug, silent)), dataset="orders")
    assert [result.outcome for result in found] == [Outcome.PASS, Outcome.FAIL, Outcome.ERROR, Outcome.ERROR]
    assert found[1].observed == 2
    assert found[2].message == "the check raised ValueError: nope"
    assert "returned NoneType" in found[3].message


def test_the_failing_rows_of_a_table_check_are_counted_and_kept_up_to_a_limit(
    orders: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch_processing.quality.table_checks.EVIDENCE_ROWS", 2)
    three = orders.where("id <= 3")

    @table_check
    def few(df: Any) -> TableCheckResult:
        return TableCheckResult(False, message="two are odd", failing_rows=three.limit(2))

    @table_check(id="many/rows")
    def many(df: Any) -> TableCheckResult:
        return TableCheckResult(False, failing_rows=three)

    @table_check
    def known(df: Any) -> TableCheckResult:
        return TableCheckResult(False, unexpected_count=30, failing_rows=three.select("id"))

    @table_check
    def good(df: Any) -> TableCheckResult:
        return TableCheckResult(True, failing_rows=three)

    @table_check
    def raising(df: Any) -> TableCheckResult:
        return TableCheckResult(False, failing_rows=df.where("cast(mail as bigint) = id"))

    @table_check
    def listed(df: Any) -> TableCheckResult:
        return TableCheckResult(False, failing_rows=["a@x"])  # type: ignore[arg-type]

    folder = tmp_path / "evidence" / "orders"
    checks = Checks(table=(few, many, known, good, raising, listed))
    found = {r.rule_id: r for r in run_table_checks(orders, checks, dataset="orders", evidence=folder)}

    assert {name: r.unexpected_count for name, r in found.items()} == {
        "few": 2, "many/rows": 3, "known": 30, "good": None, "raising": None, "listed": None,
    }  # fmt: skip
    assert found["few"].message == f"two are odd; all 2 failing rows are in {folder}/few.parquet"
    assert "the first 2 failing rows are in" in found["many/rows"].message
    names = sorted(file.stem.partition("-")[0] for file in folder.iterdir())
    assert names == ["few", "known", "many_rows"]
    kept = pq.read_table(folder / "few.parquet")
    assert (kept.column_names, kept.num_rows) == (orders.columns, 2)
    assert pq.read_table(folder / "known.parquet").column_names == ["id"]
    assert pq.read_table(next(folder.glob("many*"))).num_rows == 2
    assert all(found[name].outcome is Outcome.FAIL for name in found if name != "good")
    assert "could not be kept" in found["raising"].message
    assert "list" in found["listed"].message
    assert not any("a@x" in r.message for r in found.values())
    without = run_table_checks(orders, Checks(table=(few,)), dataset="orders")
    assert (without[0].unexpected_count, without[0].message) == (2, "two are odd")


def test_code_that_ends_the_process_is_an_error_and_no_pass(orders: Any) -> None:
    @row_check
    def leaves(df: Any) -> Any:
        raise SystemExit(0)

    @table_check
    def leaves_too(df: Any) -> bool:
        raise SystemExit(0)

    assert validate(orders, checks=Checks(row=(leaves,)), threshold=0).result.outcome is Outcome.ERROR
    (found,) = run_table_checks(orders, Checks(table=(leaves_too,)), dataset="orders")
    assert (found.outcome, "SystemExit" in found.message) == (Outcome.ERROR, True)


@pytest.mark.parametrize("column", ["id", "amount", "mail"])
def test_a_row_check_that_forgot_to_compare_is_an_error(orders: Any, column: str) -> None:
    @row_check
    def present(df: Any) -> Any:
        return F.col(column)

    (found,) = validate(orders, checks=Checks(row=(present,)), threshold=0).result.rules
    assert (found.outcome, "expected boolean" in found.message) == (Outcome.ERROR, True)


MORE_THAN_A_ROW = {
    "aggregate": lambda: F.count("id") > 1,
    "window": lambda: F.row_number().over(Window.partitionBy("mail").orderBy("id")) < 3,
    "explode": lambda: F.explode(F.array(F.lit(True), F.lit(False))),
    "chance": lambda: F.rand() > 0.5,
}


@pytest.mark.parametrize("name", MORE_THAN_A_ROW)
def test_a_row_check_of_more_than_a_row_is_an_error_of_its_own(orders: Any, name: str) -> None:
    @row_check
    def wide(df: Any) -> Any:
        return MORE_THAN_A_ROW[name]()

    @row_check
    def narrow(df: Any) -> Any:
        return F.lit(True)

    wide_one, narrow_one = validate(orders, checks=Checks(row=(wide, narrow)), threshold=0).result.rules
    assert (wide_one.outcome, narrow_one.outcome) == (Outcome.ERROR, Outcome.PASS)
    assert len(wide_one.message.split("Exception", 1)[1]) > 30, "more than the class of the error"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (TableCheckResult("no"), "success is str, expected bool"),  # type: ignore[arg-type]
        (TableCheckResult(1), "success is int, expected bool"),  # type: ignore[arg-type]
        (TableCheckResult(True, unexpected_count=-5), "unexpected_count is not a number of rows"),
        (TableCheckResult(False, unexpected_count="3"), "unexpected_count is not a number of rows"),  # type: ignore[arg-type]
    ],
)
def test_a_result_that_is_no_verdict_is_an_error(orders: Any, given: TableCheckResult, words: str) -> None:
    @table_check
    def odd(df: Any) -> TableCheckResult:
        return given

    (found,) = run_table_checks(orders, Checks(table=(odd,)), dataset="orders")
    assert (found.outcome, words in found.message) == (Outcome.ERROR, True)
