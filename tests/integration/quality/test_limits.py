"""Where the gate closes, to the row: real data on every engine, one row below each limit, at it, and one above."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import functions as F  # noqa: N812

from batch_processing.errors import UsageError
from batch_processing.quality import Checks, Limit, Validated, parse_suite, row_check, validate, validate_data
from batch_processing.results import Outcome, QualityResult

ROWS = 100
AT = (-1, 0, 1)


def rule(kind: str, severity: str = "critical", **kwargs: Any) -> dict[str, Any]:
    return {
        "type": f"expect_column_values_{kind}",
        "kwargs": {"column": "amount", **kwargs},
        "severity": severity,
        "meta": {"rule_id": "positive"},
    }


POSITIVE = rule("to_be_between", min_value=0)


def rows(spark: Any, bad: int, *, nulls: int = 0) -> Any:
    """ROWS rows: the first `bad` have a negative amount, the last `nulls` none."""
    amount = F.when(F.col("id") < bad, -1.0).when(F.col("id") < ROWS - nulls, 1.0)
    return spark.range(ROWS).select("id", amount.alias("amount"))


def judge(df: Any, *, expectation: dict[str, Any] = POSITIVE, threshold: float = 0.0, **more: Any) -> Validated:
    suite = parse_suite({"name": "s", "expectations": [expectation]})
    return validate(df, suite=suite, threshold=threshold, **more)


def agrees(found: Validated, step: int, words: str) -> None:
    """One row below the limit and at it pass; one row above fails, and says by what."""
    if step > 0:
        assert found.result.outcome is Outcome.FAIL
        assert words in found.result.message
    else:
        assert (found.result.outcome, found.result.message) == (Outcome.PASS_WITH_QUARANTINE, "")


@pytest.mark.parametrize("step", AT)
def test_the_threshold_to_one_row(spark: Any, step: int) -> None:
    agrees(judge(rows(spark, 10 + step), threshold=0.9), step, "score 0.8900 is below the threshold 0.9 (11 of 100")


@pytest.mark.parametrize("step", AT)
@pytest.mark.parametrize("limit", [Limit(share=0.03), Limit(count=3)], ids=["share", "count"])
def test_a_rules_share_and_count_to_one_row(spark: Any, limit: Limit, step: int) -> None:
    words = "failing share 0.04 is above its limit 0.03 (4 of 100" if limit.share else "4 failing rows are above its"
    agrees(judge(rows(spark, 3 + step), limits={"positive": limit}), step, f"positive: {words}")


@pytest.fixture(scope="module")
def history(spark_embedded: Any) -> list[QualityResult]:
    """Verdicts of three earlier slices with 1, 3 and 2 bad rows of 100."""
    return [judge(rows(spark_embedded, bad)).result for bad in (1, 3, 2)]


@pytest.mark.parametrize("step", AT)
def test_a_rule_against_its_history_to_one_row(spark: Any, history: list[QualityResult], step: int) -> None:
    found = judge(rows(spark, 5 + step), limits={"positive": Limit(worse_by=0.03)}, history=history)
    agrees(found, step, "positive: failing share 0.06 is above 0.05, the median 0.02 of 3 earlier slices plus 0.03")


@pytest.mark.parametrize("step", AT)
def test_the_score_against_its_history_to_one_row(spark: Any, history: list[QualityResult], step: int) -> None:
    found = judge(rows(spark, 5 + step), limits={"score": Limit(worse_by=0.03)}, history=history)
    agrees(found, step, "score 0.94 is below 0.95, the median 0.98 of 3 earlier slices minus 0.03")


def test_too_short_a_history_is_said_and_does_not_close_the_gate(spark: Any, history: list[QualityResult]) -> None:
    found = judge(rows(spark, 90), limits={"score": Limit(worse_by=0.0)}, history=history[:2]).result
    assert found.outcome is Outcome.PASS_WITH_QUARANTINE
    assert [limit.message for limit in found.limits] == ["score: worse_by 0.0 is not judged yet: 2 of 3 earlier slices"]


def test_a_limit_of_a_warning_fails_the_data_and_quarantines_no_row(spark: Any) -> None:
    warning = rule("to_be_between", "warning", min_value=0)
    found = judge(rows(spark, 2), expectation=warning, threshold=1.0, limits={"positive": Limit(count=1)})
    assert (found.result.outcome, found.result.score, found.bad_rows()) == (Outcome.FAIL, 1.0, None)


def test_the_share_is_of_the_rows_judged(spark: Any) -> None:
    found = judge(rows(spark, 2, nulls=50), limits={"positive": Limit(share=0.03)}).result
    assert "failing share 0.04 is above its limit 0.03 (2 of 50 rows judged)" in found.message
    assert (found.rules[0].score, found.score) == (0.96, 0.98)


def test_rows_outside_a_row_condition_are_not_judged(spark: Any) -> None:
    some = rule("to_be_between", min_value=0, row_condition="id < 50", condition_parser="spark")
    found = judge(rows(spark, 2), expectation=some, limits={"positive": Limit(share=0.03)}).result
    assert "failing share 0.04 is above its limit 0.03 (2 of 50 rows judged)" in found.message


def test_every_rules_own_score_and_limits_are_in_the_json_result(spark: Any) -> None:
    facts = judge(rows(spark, 2), limits={"positive": Limit(count=3)}).gx_result["meta"]["batch_processing"]
    assert facts["rules"] == [{"id": "positive", "score": 0.98, "failing": 2, "judged": 100}]
    assert [(limit["rule"], limit["state"]) for limit in facts["limits"]] == [("positive", "held")]


def test_a_row_check_has_limits_too(spark: Any) -> None:
    @row_check
    def not_negative(df: Any) -> Any:
        return df.amount >= 0

    limits = {"not_negative": Limit(count=1)}
    found = validate(rows(spark, 2), checks=Checks((not_negative,)), threshold=0.0, limits=limits)
    assert "not_negative: 2 failing rows are above its limit 1" in found.result.message


def test_a_rule_that_falls_back_to_gx_has_limits_too(spark_embedded: Any) -> None:
    df = spark_embedded.createDataFrame([("2026-11-01",), ("x",), ("y",)], "amount string")
    dates = rule("to_match_strftime_format", "warning", strftime_format="%Y-%m-%d")
    found = judge(df, expectation=dates, limits={"positive": Limit(share=0.5)}).result
    assert found.rules[0].engine == "gx"
    assert "positive: failing share 0.6667 is above its limit 0.5 (2 of 3 rows judged)" in found.message


def test_a_limit_of_no_rule_is_refused_before_anything_is_read(spark: Any) -> None:
    suite = {"name": "s", "expectations": [POSITIVE]}
    with pytest.raises(UsageError, match=r"limits\.positiv: unknown rule, did you mean 'positive'\?"):
        validate_data(rows(spark, 0), suite, limits={"positiv": Limit(count=0)})
