"""Validation by known answers, worked out by hand, on every engine."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.errors.exceptions.connect import SparkConnectGrpcException
from pyspark.sql import functions as F  # noqa: N812

from batch_processing.errors import BatchError, CheckError, EngineError, UsageError
from batch_processing.quality import (
    Checks,
    parse_suite,
    row_check,
    validate,
)
from batch_processing.quality.split import Split
from batch_processing.results import Outcome
from tests.integration.quality.judging import ORDERS, POSITIVE, PRESENT, UNIQUE, e, judge, rule


def test_good_rows_pass_and_stay_the_same_dataframe(orders: Any) -> None:
    good = orders.where("id in (1, 6)")
    found = judge(good, UNIQUE, PRESENT, POSITIVE)
    assert found
    assert (found.result.outcome, found.result.score, found.result.rows) == (Outcome.PASS, 1.0, 2)
    assert found.bad_rows() is None
    assert found.valid_rows() is good


def test_a_row_that_breaks_several_rules_counts_once_and_names_them_all(orders: Any) -> None:
    found = judge(orders, UNIQUE, PRESENT, POSITIVE, threshold=0.3)
    assert found.result.outcome is Outcome.PASS_WITH_QUARANTINE
    assert (found.result.rows, found.result.valid, found.result.quarantined) == (6, 2, 4)
    bad = found.bad_rows()
    assert bad is not None
    assert bad.columns == ["id", "amount", "mail", "country", "_reasons"]
    reasons = {(row["id"], row["amount"]): sorted(row["_reasons"]) for row in bad.collect()}
    assert reasons == {
        (2, -5.0): ["positive", "unique"],
        (2, None): ["unique"],
        (None, 1.0): ["present"],
        (5, -1.0): ["positive"],
    }


def test_valid_rows_are_the_exact_complement(orders: Any) -> None:
    found = judge(orders, UNIQUE, PRESENT, POSITIVE, threshold=0)
    bad = found.bad_rows()
    assert bad is not None
    assert found.valid_rows().columns == orders.columns
    together = [tuple(row) for row in found.valid_rows().collect()] + [tuple(row)[:-1] for row in bad.collect()]
    assert sorted(map(str, together)) == sorted(map(str, ORDERS))


def test_overlapping_uniqueness_rules_count_each_row_once(spark: Any) -> None:
    df = spark.createDataFrame([(1, 1), (1, 2), (2, 2), (3, 3), (None, None), (None, None)], "a int, b int")
    found = judge(
        df,
        e("column_values_to_be_unique", column="a", rule_id="a"),
        e("column_values_to_be_unique", column="b", rule_id="b"),
        threshold=0,
    )
    assert found.result.quarantined == 3
    bad = found.bad_rows()
    assert bad is not None
    assert sorted((row["a"], row["b"], tuple(row["_reasons"])) for row in bad.collect()) == [
        (1, 1, ("a",)),
        (1, 2, ("a", "b")),
        (2, 2, ("b",)),
    ]
    assert found.valid_rows().count() == 3


def test_compound_uniqueness_takes_nulls_as_equal_and_leaves_out_rows_that_are_all_null(spark: Any) -> None:
    rows = [(1, None), (1, None), (1, 2), (None, None), (None, None)]
    df = spark.createDataFrame(rows, "a int, b int")
    found = judge(df, e("compound_columns_to_be_unique", column_list=["a", "b"], rule_id="ab"), threshold=0)
    assert (found.result.quarantined, rule(found, "ab").missing_count) == (2, 2)
    never = judge(
        df, e("compound_columns_to_be_unique", column_list=["a", "b"], ignore_row_if="never", rule_id="ab"), threshold=0
    )
    assert never.result.quarantined == 4


def test_both_zeros_and_all_nans_are_duplicates(spark: Any) -> None:
    nan = float("nan")
    df = spark.createDataFrame([(0.0,), (-0.0,), (nan,), (nan,), (1.0,)], "x double")
    found = judge(df, e("column_values_to_be_unique", column="x", rule_id="x"), threshold=0)
    bad = found.bad_rows()
    assert bad is not None
    assert (found.result.quarantined, bad.count(), found.valid_rows().count()) == (4, 4, 1)


def test_uniqueness_with_a_row_condition_judges_only_its_rows(spark: Any) -> None:
    df = spark.createDataFrame([(1, "x"), (1, "y"), (2, "x"), (2, "x")], "id int, kind string")
    found = judge(
        df,
        e("column_values_to_be_unique", column="id", row_condition="kind = 'x'", condition_parser="spark", rule_id="u"),
        threshold=0,
    )
    bad = found.bad_rows()
    assert bad is not None
    assert [tuple(row)[:2] for row in bad.collect()] == [(2, "x"), (2, "x")]
    assert rule(found, "u").element_count == 3


def test_warnings_keep_the_row_but_are_named_beside_other_reasons(orders: Any) -> None:
    warned = e("column_values_to_match_regex", "warning", column="mail", regex="@", rule_id="mail")
    kept = judge(orders, warned)
    assert (kept.result.outcome, kept.result.quarantined) == (Outcome.PASS, 0)
    assert (rule(kept, "mail").outcome, rule(kept, "mail").unexpected_count) == (Outcome.FAIL, 2)
    both = judge(orders, warned, POSITIVE, threshold=0)
    bad = both.bad_rows()
    assert bad is not None
    assert {row["id"]: row["_reasons"] for row in bad.collect()} == {2: ["positive"], 5: ["mail", "positive"]}


def test_mostly_decides_the_expectation_and_not_the_rows(orders: Any) -> None:
    found = judge(orders, {**POSITIVE, "kwargs": {**POSITIVE["kwargs"], "mostly": 0.5}}, threshold=0.5)
    assert found.gx_result["success"] is True
    assert (rule(found, "positive").outcome, found.result.quarantined) == (Outcome.PASS, 2)


@pytest.mark.parametrize(("threshold", "outcome"), [(0.8, Outcome.PASS_WITH_QUARANTINE), (0.81, Outcome.FAIL)])
def test_below_the_threshold_fails_and_says_how_far(spark: Any, threshold: float, outcome: Outcome) -> None:
    df = spark.createDataFrame([(i, -1.0 if i < 2 else 1.0) for i in range(10)], "id int, amount double")
    found = judge(df, POSITIVE, threshold=threshold)
    assert (found.result.outcome, bool(found)) == (outcome, outcome.passed)
    if outcome is Outcome.FAIL:
        assert found.result.message == (
            "Data validation failed: score 0.8000 is below the threshold 0.81 (2 of 10 rows broke a rule)"
        )


def test_a_critical_table_rule_fails_the_run_whatever_the_score(orders: Any) -> None:
    found = judge(orders, PRESENT, e("table_row_count_to_equal", value=7), threshold=0)
    assert found.result.outcome is Outcome.FAIL
    assert "expect_table_row_count_to_equal failed (observed 6, expected 7)" in found.result.message
    assert judge(orders, PRESENT, e("table_row_count_to_equal", "warning", value=7), threshold=0)


VACUOUS: list[tuple[str, list[dict[str, Any]], str]] = [
    ("no expectation", [], "the suite is empty"),
    ("a missing column", [e("column_values_to_not_be_null", column="amuont")], "near names: amount"),
    ("a missing column of an aggregate", [e("column_max_to_be_between", column="idd", max_value=9)], "near names: id"),
    ("a missing column of a pair", [e("column_pair_values_to_be_equal", column_A="id", column_B="x1")], "'x1'"),
    (
        "a broken condition",
        [{**PRESENT, "kwargs": {"column": "id", "row_condition": "nope > 1", "condition_parser": "spark"}}],
        "present",
    ),
    ("a broken regex", [e("column_values_to_match_regex", column="mail", regex="(")], "regular expression"),
    ("a type without order", [e("column_values_to_be_between", column="mail", min_value=1)], "is string"),
    ("a sum of text", [e("column_sum_to_be_between", column="mail", min_value=1)], "needs a number"),
    ("an unknown type name", [e("column_values_to_be_of_type", column="id", type_="bigint")], "no such Spark type"),
]


@pytest.mark.parametrize(("expectations", "words"), [case[1:] for case in VACUOUS], ids=[case[0] for case in VACUOUS])
def test_what_cannot_run_is_never_a_pass(orders: Any, expectations: Sequence[dict[str, Any]], words: str) -> None:
    found = judge(orders, *expectations, threshold=0)
    assert found.result.outcome is Outcome.ERROR
    assert not found
    assert words in found.result.message


def test_no_rows_are_an_error_unless_allowed(orders: Any) -> None:
    nothing = orders.where("id > 100")
    found = judge(nothing, UNIQUE, POSITIVE)
    assert found.result.outcome is Outcome.ERROR
    assert "no rows" in found.result.message
    allowed = judge(
        nothing, UNIQUE, POSITIVE, e("column_mean_to_be_between", column="amount", min_value=1), allow_empty=True
    )
    assert (allowed.result.outcome, allowed.result.score) == (Outcome.PASS, 1.0)


def test_an_all_null_column_is_no_pass_unless_the_suite_says_it_may_be(spark: Any) -> None:
    df = spark.createDataFrame([(None, 1), (None, 2)], "amount double, id int")
    found = judge(df, POSITIVE)
    assert found.result.outcome is Outcome.ERROR
    assert "every value is null" in found.result.message
    said = {**POSITIVE["kwargs"], "row_condition": "amount IS NOT NULL", "condition_parser": "spark"}
    assert judge(df, {**POSITIVE, "kwargs": said})


def test_one_broken_rule_does_not_hide_the_verdicts_of_the_others(
    orders: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = judge(
            orders,
            UNIQUE,
            POSITIVE,
            e("column_values_to_match_regex", column="mail", regex="(", rule_id="broken"),
            threshold=0,
        )
    assert rule(found, "broken").outcome is Outcome.ERROR
    assert (rule(found, "positive").unexpected_count, rule(found, "unique").unexpected_count) == (2, 2)
    assert found.result.quarantined == 3
    assert "looking for the rule" in caplog.text


def test_results_hold_no_value_of_a_row(orders: Any) -> None:
    found = judge(
        orders,
        e("column_values_to_be_in_set", column="mail", value_set=["zz"]),
        e("column_distinct_values_to_be_in_set", column="mail", value_set=["zz"]),
        threshold=0,
    )
    text = str(found.gx_result) + str(found.result)
    assert not any(mail in text for mail in ("a@x", "b@x", "c@x"))


def test_an_engine_message_that_quotes_a_value_is_not_passed_on(orders: Any) -> None:
    @row_check
    def casts(df: Any) -> Any:
        return F.col("mail").cast("int") > 0

    @row_check
    def compares(df: Any) -> Any:
        return F.expr("cast(mail as bigint) = id")

    found = validate(orders, checks=Checks(row=(casts, compares)), threshold=0)
    assert "a@x" not in str(found.result)


def test_the_gx_result_counts_as_gx_does(orders: Any) -> None:
    found = judge(orders, POSITIVE, PRESENT, threshold=0, meta={"run_id": "r1"}).gx_result
    assert found["success"] is False
    assert found["statistics"] == {
        "evaluated_expectations": 2,
        "successful_expectations": 0,
        "unsuccessful_expectations": 2,
        "success_percent": 0.0,
    }
    assert found["results"][0]["result"] == {
        "element_count": 6,
        "unexpected_count": 2,
        "unexpected_percent": 40.0,
        "partial_unexpected_list": [],
        "missing_count": 1,
        "missing_percent": pytest.approx(100 / 6),
        "unexpected_percent_total": pytest.approx(200 / 6),
        "unexpected_percent_nonmissing": 40.0,
    }
    assert found["meta"]["run_id"] == "r1"


def test_like_patterns_and_the_median_by_known_answers(spark: Any) -> None:
    rows = [("a_1", 1.0), ("ab1", 2.0), (None, float("nan")), ("b", 4.0), ("a", None), ("c", 10.0)]
    df = spark.createDataFrame(rows, "s string, x double")
    found = judge(
        df,
        e("column_values_to_match_like_pattern", column="s", like_pattern="a%", rule_id="like"),
        e("column_values_to_match_like_pattern", column="s", like_pattern="a!_%", escape="!", rule_id="escaped"),
        e("column_values_to_not_match_like_pattern", column="s", like_pattern="%1", rule_id="unlike"),
        e("column_values_to_match_like_pattern_list", column="s", like_pattern_list=["a%", "b"], rule_id="any"),
        e("column_values_to_not_match_like_pattern_list", column="s", like_pattern_list=["a%", "b"], rule_id="none"),
        e("column_median_to_be_between", column="x", min_value=3, max_value=3, rule_id="median"),
        threshold=0,
    )
    counts = {result.rule_id: result.unexpected_count for result in found.result.rules}
    assert counts == {"like": 2, "escaped": 4, "unlike": 2, "any": 1, "none": 4, "median": None}
    assert (rule(found, "median").outcome, rule(found, "median").observed) == (Outcome.PASS, 3.0)


def test_a_pair_in_a_set_honours_its_row_condition(spark: Any) -> None:
    df = spark.createDataFrame([(1, 1), (2, 2), (3, 3)], "a int, b int")
    found = judge(
        df,
        e("column_pair_values_to_be_in_set", column_A="a", column_B="b", value_pairs_set=[[1, 1]],
          row_condition="a < 3", condition_parser="spark", rule_id="pair"),
        threshold=0,
    )  # fmt: skip
    assert (rule(found, "pair").element_count, rule(found, "pair").unexpected_count) == (2, 1)


def test_column_names_with_dots_and_spaces_work(spark: Any) -> None:
    df = spark.createDataFrame([(1, 1), (1, None)], "`a.b` int, `c d` int")
    found = judge(
        df,
        e("column_values_to_be_unique", column="a.b", rule_id="unique"),
        e("column_values_to_not_be_null", column="c d", rule_id="present"),
        threshold=0,
    )
    bad = found.bad_rows()
    assert bad is not None
    assert sorted(len(row["_reasons"]) for row in bad.collect()) == [1, 2]
    assert bad.columns == ["a.b", "c d", "_reasons"]


def test_gx_conditions_as_objects_are_compiled(orders: Any) -> None:
    german = {"type": "comparison", "column": {"name": "country"}, "operator": "==", "parameter": "DE"}
    found = judge(orders, {**POSITIVE, "kwargs": {**POSITIVE["kwargs"], "row_condition": german}}, threshold=0)
    assert (rule(found, "positive").engine, rule(found, "positive").element_count) == ("compiled", 3)
    assert found.result.quarantined == 1


def test_hundreds_of_rules_and_long_lists_fit_into_one_query(orders: Any) -> None:
    rules = [e("column_values_to_be_between", column="id", min_value=-i - 1) for i in range(250)]
    many = e("column_values_to_match_regex_list", column="country", regex_list=["."] * 150, match_on="all")
    pairs = e(
        "column_pair_values_to_be_in_set",
        "warning",
        column_A="id",
        column_B="id",
        value_pairs_set=[[i, i] for i in range(150)],
    )
    found = judge(orders, *rules, many, pairs, PRESENT, threshold=0)
    assert found.result.quarantined == 1


def test_a_threshold_outside_0_to_1_is_refused(orders: Any) -> None:
    with pytest.raises(UsageError, match="from 0 to 1"):
        judge(orders, PRESENT, threshold=95)


def test_an_id_for_two_rules_is_refused(orders: Any) -> None:
    @row_check(id="present")
    def check(df: Any) -> Any:
        return F.lit(True)

    with pytest.raises(UsageError, match="'present' is a rule of the suite"):
        judge(orders, PRESENT, checks=Checks(row=(check,)))


def test_data_that_cannot_be_read_is_a_check_error(spark: Any) -> None:
    broken = spark.createDataFrame([("x",)], "s string").select(F.expr("raise_error('gone')").cast("int").alias("id"))
    with pytest.raises(CheckError, match="cannot be read"):
        validate(broken.where("id > 0"), suite=parse_suite({"name": "s", "expectations": [PRESENT]}))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SparkConnectGrpcException("status = StatusCode.UNAVAILABLE, details = Connection refused"), EngineError),
        (PySparkException("cannot cast 'secret'"), CheckError),
    ],
    ids=["engine gone", "rows that cannot be joined"],
)
def test_an_engine_that_fails_while_repeated_rows_are_counted_is_an_error_of_this_package(
    spark_embedded: Any, monkeypatch: pytest.MonkeyPatch, error: PySparkException, expected: type[BatchError]
) -> None:
    def dies(split: Split) -> int:
        raise error

    monkeypatch.setattr(Split, "count", dies)
    with pytest.raises(expected, match=r"\[orders\]") as caught:
        judge(spark_embedded.createDataFrame([(1,), (1,)], "id bigint"), UNIQUE, dataset="orders")
    assert caught.value.__cause__ is error
    assert "secret" not in str(caught.value)
