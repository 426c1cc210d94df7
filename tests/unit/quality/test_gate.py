"""The gate decides exactly, and never merges "bad" with "could not tell"."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_processing.errors import UsageError
from batch_processing.quality.gate import decide, decide_table_checks, exact_threshold
from batch_processing.results import Outcome, RuleResult, Severity


def rule(
    outcome: Outcome = Outcome.PASS, *, severity: str = "critical", kind: str = "row", message: str = ""
) -> RuleResult:
    return RuleResult("r", kind, outcome, Severity(severity), message=message)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "threshold", "allowed"),
    [
        (10_000, 0.95, 500),
        (10, 0.9, 1),
        (3, 1.0, 0),
        (1_000_000, 0.999999, 1),
        (10, 0.7, 3),
        (7, 0.0, 7),
        (30, 0.1, 27),
    ],
)
def test_the_boundary_is_exact_to_one_row(rows: int, threshold: float, allowed: int) -> None:
    at = decide([rule()], rows=rows, bad=allowed, threshold=threshold)
    assert at.outcome is (Outcome.PASS_WITH_QUARANTINE if allowed else Outcome.PASS)
    if allowed < rows:
        assert decide([rule()], rows=rows, bad=allowed + 1, threshold=threshold).outcome is Outcome.FAIL


@given(rows=st.integers(1, 10**9), percent=st.integers(0, 100))
def test_a_share_written_in_percent_divides_the_rows_exactly(rows: int, percent: int) -> None:
    needed = -(-rows * percent // 100)
    at = decide([rule()], rows=rows, bad=rows - needed, threshold=percent / 100)
    assert at.outcome.passed
    if needed:
        assert decide([rule()], rows=rows, bad=rows - needed + 1, threshold=percent / 100).outcome is Outcome.FAIL


def test_the_failure_says_score_threshold_and_rows() -> None:
    found = decide([rule()], rows=10_000, bad=679, threshold=0.95)
    assert found.message == (
        "Data validation failed: score 0.9321 is below the threshold 0.95 (679 of 10,000 rows broke a rule)"
    )


def test_the_score_shown_is_never_rounded_up_to_the_threshold() -> None:
    found = decide([rule()], rows=10_000_000, bad=500_001, threshold=0.95)
    assert "score 0.9499 is below" in found.message
    assert "score 0.9999 is below the threshold 1.0" in decide([rule()], rows=10**7, bad=1, threshold=1.0).message


def test_a_critical_table_rule_closes_the_gate_and_a_warning_does_not() -> None:
    failed = rule(Outcome.FAIL, kind="table", message="observed 3")
    found = decide([failed], rows=5, bad=0, threshold=0.5)
    assert (found.outcome, found.message) == (Outcome.FAIL, "Data validation failed: r failed (observed 3)")
    assert decide([rule(Outcome.FAIL, kind="table", severity="warning")], rows=5, bad=0, threshold=0.5).outcome.passed


def test_a_row_rule_that_fails_is_left_to_the_score() -> None:
    assert decide([rule(Outcome.FAIL)], rows=5, bad=1, threshold=0.8).outcome is Outcome.PASS_WITH_QUARANTINE


@pytest.mark.parametrize("severity", ["critical", "warning", "info"])
def test_a_rule_that_could_not_run_is_an_error_before_anything_else(severity: str) -> None:
    found = decide([rule(Outcome.ERROR, severity=severity, message="no column")], rows=5, bad=5, threshold=1)
    assert (found.outcome, found.message) == (
        Outcome.ERROR,
        "Data validation could not run: 1 rule could not run: r: no column",
    )


def test_no_rule_and_no_row_are_errors() -> None:
    assert "empty" in decide([], rows=5, bad=0, threshold=0).message
    assert decide([rule()], rows=0, bad=0, threshold=0).outcome is Outcome.ERROR
    assert decide([rule()], rows=0, bad=0, threshold=1, allow_empty=True).outcome is Outcome.PASS
    assert decide([], rows=5, bad=0, threshold=0, rules_expected=False).outcome is Outcome.PASS


def test_many_failures_are_counted_and_not_all_listed() -> None:
    found = decide([rule(Outcome.ERROR, message="x")] * 40, rows=5, bad=0, threshold=0)
    assert "40 rules" in found.message
    assert found.message.endswith("and 35 more")


def test_table_checks_have_the_same_outcomes() -> None:
    fail, error = rule(Outcome.FAIL, kind="check_table"), rule(Outcome.ERROR, kind="check_table", message="m")
    assert decide_table_checks([]).outcome is Outcome.PASS
    assert decide_table_checks([fail]).outcome is Outcome.FAIL
    assert decide_table_checks([fail, error]).outcome is Outcome.ERROR


@pytest.mark.parametrize("threshold", [-0.1, 1.01, 95, float("nan"), float("inf")])
def test_a_threshold_outside_0_to_1_is_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match="from 0 to 1"):
        exact_threshold(threshold)
