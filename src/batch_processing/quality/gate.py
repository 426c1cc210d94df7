"""The gate: from counts and verdicts to an outcome. Pure; no engine, no clock.

Shares are compared exactly, as fractions: a float would let a row through, or stop one, at the boundary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction

from batch_processing.errors import UsageError
from batch_processing.quality.limits import Limits, judge_limits, uncounted
from batch_processing.results import LimitResult, Outcome, QualityResult, RuleResult, Severity

_NAMED = 5
_FAILED = "Data validation failed"


@dataclass(frozen=True)
class Decision:
    """The gate's decision: the outcome, the score (valid / rows), why it closed, or "", and what came of each limit."""

    outcome: Outcome
    score: float
    message: str = ""
    limits: tuple[LimitResult, ...] = ()


def decide(
    rules: Sequence[RuleResult],
    *,
    rows: int,
    bad: int,
    threshold: float,
    limits: Limits | None = None,
    history: Sequence[QualityResult] = (),
    allow_empty: bool = False,
    rules_expected: bool = True,
    suite_empty: bool = False,
) -> Decision:
    """The verdict on one dataset.

    Args:
        rules: every rule's result.
        rows: rows looked at.
        bad: rows that broke a critical row rule, each counted once.
        threshold: least score, 0..1.
        limits: limits of single rules and of the score; a broken one fails the dataset whatever the score.
        history: verdicts on the same dataset in earlier slices, the latest first.
        allow_empty: no rows is not an error.
        rules_expected: no rule at all is an error.
        suite_empty: there is a suite without an expectation, which is an error also beside checks.

    Raises:
        UsageError: a threshold outside 0..1.
    """
    limit = exact_threshold(threshold)
    score = (rows - bad) / rows if rows else 1.0
    demands = limits or {}
    empty = suite_empty or (rules_expected and not rules)
    if problem := _error(rules, demands, rows=rows, allow_empty=allow_empty, empty=empty):
        return Decision(Outcome.ERROR, score, problem)
    judged = judge_limits(demands, rules, rows=rows, bad=bad, history=history)
    failures = []
    if not passes(rows=rows, bad=bad, threshold=limit):
        failures.append(
            f"score {_shown(Fraction(rows - bad, rows), limit)} is below the threshold {_plain(threshold)} "
            f"({bad:,} of {rows:,} rows broke a rule)"
        )
    failures += table_failures(rules)
    failures += _listed([found.message for found in judged if found.state == "broken"])
    if failures:
        return Decision(Outcome.FAIL, score, f"{_FAILED}: {'; '.join(failures)}", judged)
    return Decision(Outcome.PASS_WITH_QUARANTINE if bad else Outcome.PASS, score, limits=judged)


def decide_table_checks(rules: Sequence[RuleResult]) -> Decision:
    """The verdict on table checks alone; they have no score of their own (1.0)."""
    if errors := _unable(rules):
        return Decision(Outcome.ERROR, 1.0, errors)
    failures = table_failures(rules)
    return Decision(Outcome.FAIL, 1.0, f"{_FAILED}: {'; '.join(failures)}") if failures else Decision(Outcome.PASS, 1.0)


def passes(*, rows: int, bad: int, threshold: Fraction) -> bool:
    """True where valid / rows >= threshold, compared exactly. No rows pass."""
    return rows == 0 or Fraction(rows - bad, rows) >= threshold


def exact_threshold(threshold: float) -> Fraction:
    """The threshold as it is written in decimal, not as a binary float has it.

    Raises:
        UsageError: outside 0..1.
    """
    limit = Decimal(str(threshold))
    if not limit.is_finite() or not 0 <= limit <= 1:
        raise UsageError(
            "the threshold is not a number from 0 to 1",
            found=str(threshold),
            fix="give the share of rows that must be valid, as 0.95; a pipeline has it as validation_threshold",
        )
    return Fraction(limit)


def table_failures(rules: Sequence[RuleResult]) -> list[str]:
    """One text for each critical rule that cannot quarantine rows and failed."""
    failed = [
        rule
        for rule in rules
        if rule.outcome is Outcome.FAIL and rule.severity is Severity.CRITICAL and rule.kind in ("table", "check_table")
    ]
    return _listed([f"{rule.rule_id} failed" + (f" ({rule.message})" if rule.message else "") for rule in failed])


def _error(rules: Sequence[RuleResult], limits: Limits, *, rows: int, allow_empty: bool, empty: bool) -> str:
    if empty:
        return "Data validation could not run: the suite is empty, so nothing was judged"
    if unable := _unable(rules):
        return unable
    if rows == 0 and not allow_empty:
        return "Data validation could not run: there are no rows to judge (allow_empty: true accepts that)"
    if unknown := uncounted(limits, rules, rows=rows):
        return f"Data validation could not run: {'; '.join(_listed(unknown))}"
    return ""


def _unable(rules: Sequence[RuleResult]) -> str:
    errors = [f"{rule.rule_id}: {rule.message}" for rule in rules if rule.outcome is Outcome.ERROR]
    if not errors:
        return ""
    count = f"{len(errors)} rule{'s' if len(errors) != 1 else ''} could not run"
    return f"Data validation could not run: {count}: {'; '.join(_listed(errors))}"


def _listed(texts: list[str]) -> list[str]:
    return texts if len(texts) <= _NAMED else [*texts[:_NAMED], f"and {len(texts) - _NAMED} more"]


def _shown(score: Fraction, limit: Fraction) -> str:
    """The score in decimal, rounded down, with as many digits as it takes to show that it is below the limit."""
    digits = 4
    while True:
        step = Decimal(1).scaleb(-digits)
        shown = (Decimal(score.numerator) / Decimal(score.denominator)).quantize(step, rounding=ROUND_FLOOR)
        if Fraction(shown) < limit or digits >= 12:
            return str(shown)
        digits += 1


def _plain(threshold: float) -> str:
    return format(Decimal(str(threshold)), "f")
