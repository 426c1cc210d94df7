"""Limits of single rules and of the score: exact at the boundary, and never judged on nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_processing.errors import UsageError
from batch_processing.quality import Limit, parse_suite, row_check, table_check
from batch_processing.quality.checks import Checks
from batch_processing.quality.gate import Decision, decide
from batch_processing.quality.limits import limit_problems, require_limits
from batch_processing.results import Outcome, QualityResult, RuleResult, Severity

SUITE = parse_suite(
    {
        "name": "s",
        "expectations": [
            {
                "type": "expect_column_values_to_be_between",
                "kwargs": {"column": "amount", "min_value": 0},
                "meta": {"rule_id": "amount_is_positive"},
            },
            {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}, "meta": {"rule_id": "filled"}},
            {
                "type": "expect_column_values_to_be_of_type",
                "kwargs": {"column": "amount", "type_": "double"},
                "meta": {"rule_id": "typed"},
            },
        ],
    }
)


def rule(failing: int, rows: int, *, nulls: int | None = None, severity: str = "critical") -> RuleResult:
    outcome = Outcome.FAIL if failing else Outcome.PASS
    return RuleResult(
        "r", "row", outcome, Severity(severity), element_count=rows, unexpected_count=failing, missing_count=nulls
    )


def earlier(*verdicts: tuple[int, int]) -> tuple[QualityResult, ...]:
    """Earlier verdicts of (failing, rows), the latest first; the rule's share is the score's."""
    return tuple(
        QualityResult(
            "d", "s", "", Outcome.PASS, (rows - bad) / rows, 0.0, rows, rows - bad, bad, rules=(rule(bad, rows),)
        )
        for bad, rows in verdicts
    )


def limited(
    failing: int, rows: int, limit: Limit, *, name: str = "r", history: Sequence[QualityResult] = ()
) -> Decision:
    return decide([rule(failing, rows)], rows=rows, bad=failing, threshold=0.0, limits={name: limit}, history=history)


@given(rows=st.integers(1, 10**7), percent=st.integers(0, 99))
def test_a_share_written_in_percent_is_exact_to_one_row(rows: int, percent: int) -> None:
    allowed = rows * percent // 100
    limit = Limit(share=percent / 100)
    assert limited(allowed, rows, limit).outcome.passed
    assert limited(allowed + 1, rows, limit).outcome is Outcome.FAIL


def test_a_broken_share_fails_whatever_the_score_and_says_the_numbers() -> None:
    found = limited(101, 10_000, Limit(share=0.01))
    assert (found.outcome, found.score) == (Outcome.FAIL, 0.9899)
    assert found.message == (
        "Data validation failed: r: failing share 0.0101 is above its limit 0.01 (101 of 10,000 rows judged)"
    )


def test_numbers_that_differ_are_shown_differing() -> None:
    found = limited(100_001, 10_000_000, Limit(share=0.01))
    assert "failing share 0.0100001 is above its limit 0.01 " in found.message


def test_the_share_is_of_the_rows_judged_without_the_nulls_left_out() -> None:
    judged = rule(2, 100, nulls=50)
    assert (judged.judged_count, judged.failing_share, judged.score) == (50, 0.04, 0.96)
    found = decide([judged], rows=100, bad=2, threshold=0.0, limits={"r": Limit(share=0.03)})
    assert "failing share 0.04 is above its limit 0.03 (2 of 50 rows judged)" in found.message


@pytest.mark.parametrize("severity", ["critical", "warning", "info"])
def test_a_limit_is_a_demand_whatever_the_severity(severity: str) -> None:
    bad = 1 if severity == "critical" else 0
    found = decide([rule(1, 10, severity=severity)], rows=10, bad=bad, threshold=0.0, limits={"r": Limit(count=0)})
    assert (found.outcome, found.message) == (
        Outcome.FAIL,
        "Data validation failed: r: 1 failing row is above its limit 0 (10 rows judged)",
    )


def test_share_and_count_both_have_to_hold() -> None:
    both = Limit(share=0.5, count=3)
    assert limited(3, 6, both).outcome.passed
    assert limited(3, 5, both).outcome is Outcome.FAIL
    assert limited(4, 100, both).outcome is Outcome.FAIL
    assert [(found.kind, found.state) for found in limited(4, 100, both).limits] == [
        ("share", "held"),
        ("count", "broken"),
    ]


HISTORY = earlier((2, 100), (1, 100), (3, 100))


def test_a_share_against_the_median_of_earlier_slices_is_exact_to_one_row() -> None:
    limit = Limit(worse_by=0.01)
    assert limited(30, 1000, limit, history=HISTORY).outcome.passed
    found = limited(31, 1000, limit, history=HISTORY)
    assert found.outcome is Outcome.FAIL
    assert found.message == (
        "Data validation failed: r: failing share 0.031 is above 0.03, the median 0.02 of 3 earlier slices plus 0.01 "
        "(31 of 1,000 rows judged)"
    )


def test_the_score_against_the_median_of_earlier_slices_is_exact_to_one_row() -> None:
    limit = Limit(worse_by=0.02)
    assert limited(40, 1000, limit, name="score", history=HISTORY).outcome.passed
    found = limited(41, 1000, limit, name="score", history=HISTORY)
    assert found.outcome is Outcome.FAIL
    assert found.message == (
        "Data validation failed: score 0.959 is below 0.96, the median 0.98 of 3 earlier slices minus 0.02 "
        "(41 of 1,000 rows broke a rule)"
    )
    (limit_result,) = found.limits
    assert (limit_result.observed, limit_result.median, limit_result.slices) == (0.959, 0.98, 3)


def test_better_than_before_is_no_worse() -> None:
    assert limited(0, 10, Limit(worse_by=0.0), name="score", history=HISTORY).outcome is Outcome.PASS


def test_the_median_of_an_even_number_is_the_middle_of_the_two() -> None:
    history = earlier((0, 10), (1, 10), (2, 10), (3, 10))
    assert limited(15, 100, Limit(worse_by=0), history=history).outcome.passed
    assert limited(16, 100, Limit(worse_by=0), history=history).outcome is Outcome.FAIL


def test_only_the_last_slices_asked_for_count() -> None:
    history = earlier((0, 10), (0, 10), (0, 10), (9, 10), (9, 10), (9, 10), (9, 10))
    assert limited(1, 10, Limit(worse_by=0.05, last=3), history=history).outcome is Outcome.FAIL
    assert limited(1, 10, Limit(worse_by=0.05, last=7), history=history).outcome.passed


def test_too_few_earlier_slices_are_not_judged_and_that_is_said() -> None:
    found = limited(10, 10, Limit(worse_by=0.0), history=HISTORY[:2])
    assert found.outcome.passed
    (limit,) = found.limits
    assert (limit.state, limit.message) == (
        "not_judged",
        "r: failing share: worse_by 0.0 is not judged yet: 2 of 3 earlier slices",
    )
    assert limited(10, 10, Limit(worse_by=0.0, at_least=2), history=HISTORY[:2]).outcome is Outcome.FAIL
    assert limited(10, 10, Limit(worse_by=0.0, last=1), history=HISTORY[:1]).outcome is Outcome.FAIL


def test_an_earlier_slice_without_the_rule_or_without_rows_does_not_count() -> None:
    bare = QualityResult("d", "s", "", Outcome.PASS, 1.0, 0.0, 0, 0, 0)
    found = limited(1, 10, Limit(worse_by=0.0), history=(bare, *HISTORY[:2]))
    assert [limit.slices for limit in found.limits] == [2]
    found = limited(1, 10, Limit(worse_by=0.0), name="score", history=(bare, *HISTORY[:2]))
    assert [limit.slices for limit in found.limits] == [2]


def test_slices_that_do_not_count_leave_the_place_to_those_before_them() -> None:
    empty = QualityResult("d", "s", "", Outcome.PASS, 1.0, 0.0, 0, 0, 0, rules=(rule(0, 0),))
    without_rule = QualityResult("d", "s", "", Outcome.PASS, 1.0, 0.0, 100, 100, 0)
    all_null = QualityResult("d", "s", "", Outcome.PASS, 1.0, 0.0, 100, 100, 0, rules=(rule(0, 100, nulls=100),))
    limit = Limit(worse_by=0.01, last=3)
    for history in ((empty, without_rule, all_null, *HISTORY), (*HISTORY[:1], all_null, *HISTORY[1:], without_rule)):
        found = limited(31, 1000, limit, history=history)
        assert found.outcome is Outcome.FAIL
        assert "above 0.03, the median 0.02 of 3 earlier slices plus 0.01" in found.message
    found = limited(41, 1000, Limit(worse_by=0.02, last=3), name="score", history=(empty, *HISTORY))
    assert "below 0.96, the median 0.98 of 3 earlier slices minus 0.02" in found.message


def test_where_no_row_was_judged_the_limit_is_not_judged() -> None:
    for limit in (Limit(share=0.0), Limit(worse_by=0.0)):
        found = decide(
            [rule(0, 0)], rows=0, bad=0, threshold=1.0, limits={"r": limit}, history=HISTORY, allow_empty=True
        )
        assert found.outcome is Outcome.PASS
        assert [one.state for one in found.limits] == ["not_judged"]


def test_a_result_that_did_not_come_back_is_an_error_and_not_a_limit_that_holds() -> None:
    limits = {"gone": Limit(count=0)}
    found = decide([rule(0, 10)], rows=10, bad=0, threshold=0.0, limits=limits)
    assert (found.outcome, found.message) == (
        Outcome.ERROR,
        "Data validation could not run: limits.gone: the rule gave no result",
    )
    silent = RuleResult("gone", "table", Outcome.PASS, engine="gx")
    found = decide([silent], rows=10, bad=0, threshold=0.0, limits=limits)
    assert (found.outcome, found.message) == (
        Outcome.ERROR,
        "Data validation could not run: limits.gone: the rule came back without a count of rows",
    )


def test_the_score_and_every_broken_limit_are_told_together() -> None:
    found = decide([rule(5, 10)], rows=10, bad=5, threshold=0.9, limits={"r": Limit(share=0.1, count=1)})
    assert found.message.count(";") == 2
    assert "score 0.5 is below" in found.message.replace("0.5000", "0.5")


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"share": 1.01},
        {"share": float("nan")},
        {"count": -1},
        {"count": 1.5},
        {"worse_by": -0.1},
        {"worse_by": 0.1, "last": 0},
        {"worse_by": 0.1, "last": 3, "at_least": 4},
        {"share": 0.1, "last": 3},
        {"share": "0.1"},
        {"share": True},
        {"count": "5"},
        {"count": True},
        {"count": 5.0},
        {"count": float("nan")},
        {"worse_by": "0.1"},
        {"worse_by": False},
        {"worse_by": float("nan")},
        {"worse_by": 0.1, "last": "3"},
        {"worse_by": 0.1, "last": True},
        {"worse_by": 0.1, "last": None},
        {"worse_by": 0.1, "at_least": "1"},
    ],
)
def test_a_limit_that_means_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="not a limit"):
        Limit(**wrong)  # type: ignore[arg-type]


def test_a_number_in_quotes_is_shown_in_quotes() -> None:
    with pytest.raises(UsageError, match="count='5'"):
        Limit(count="5")  # type: ignore[arg-type]


def test_a_whole_number_is_a_share_too() -> None:
    assert limited(10, 10, Limit(share=1)).outcome.passed
    assert limited(1, 10, Limit(share=0)).outcome is Outcome.FAIL


@row_check(id="no_future_dates")
def _dates(df: object) -> object:
    return df


@table_check(id="many_customers")
def _customers(df: object) -> bool:
    return bool(df)


CHECKS = Checks((_dates,), (_customers,))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("amount_is_positve", "unknown rule, did you mean 'amount_is_positive'?"),
        ("zzz", "unknown rule; rules with rows to count: amount_is_positive, no_future_dates"),
        ("filled", "judges the whole table and counts no failing rows"),
        ("typed", "judges the whole table and counts no failing rows"),
        ("many_customers", "judges the whole table and counts no failing rows"),
        ("score", "the score takes worse_by; its lowest value is `threshold`"),
    ],
)
def test_a_limit_that_no_rule_can_be_held_to_is_refused_by_name(name: str, words: str) -> None:
    limits = {name: Limit(count=1), "no_future_dates": Limit(count=1)}
    (problem,) = limit_problems(limits, suite=SUITE, checks=CHECKS)
    assert problem[0] == name
    assert words in problem[1]
    with pytest.raises(UsageError, match="a limit cannot be judged"):
        require_limits(limits, suite=SUITE, checks=CHECKS, dataset="orders")


def test_a_rule_named_like_the_score_cannot_be_limited() -> None:
    suite = parse_suite(
        {
            "name": "s",
            "expectations": [
                {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a"}, "meta": {"rule_id": "score"}}
            ],
        }
    )
    (problem,) = limit_problems({"score": Limit(worse_by=0.1)}, suite=suite, checks=None)
    assert "have the same name" in problem[1]
    assert limit_problems({"score": Limit(worse_by=0.1)}, suite=SUITE, checks=None) == ()
