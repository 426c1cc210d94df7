"""Limits of single rules, and of the score against earlier slices. Pure; no engine, no clock, no store.

A limit is a demand: where it is broken the data fails, whatever the score and whatever the rule's severity. Numbers are
compared exactly, as fractions of the counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from difflib import get_close_matches
from fractions import Fraction
from statistics import median
from typing import TYPE_CHECKING, Literal

from batch_processing.errors import UsageError
from batch_processing.quality.catalog import CATALOG
from batch_processing.results import LimitResult, QualityResult, RuleResult
from batch_processing.settings.limits import FEWEST_SLICES, LAST_SLICES, LimitSpec

if TYPE_CHECKING:
    from batch_processing.quality.checks import Checks
    from batch_processing.quality.suite import Suite

SCORE = "score"
"""The name under which the score of the whole dataset is limited."""

_TYPE_RULES = ("expect_column_values_to_be_of_type", "expect_column_values_to_be_in_type_list")
_NAMED = 20


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What one rule may fail at most; all that is given has to hold.

    Attributes:
        share: highest failing share of the rows it judged, 0..1.
        count: most failing rows.
        worse_by: how much worse than the median of earlier slices the failing share, or the score, may be, 0..1.
        last: how many of the latest earlier slices the median is of, of those that judged a row.
        at_least: with fewer of them `worse_by` is not judged; default 3, or `last` where that is less.

    Raises:
        UsageError: no limit in it, a number out of range, or what is no number (`count="5"`).
    """

    share: float | None = None
    count: int | None = None
    worse_by: float | None = None
    last: int = LAST_SLICES
    at_least: int | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None or name == "last"}
        if self.worse_by is None and self.last == LAST_SLICES:
            del given["last"]
        try:
            LimitSpec.model_validate(given, strict=True)
        except ValueError as error:
            raise UsageError(
                "not a limit",
                found=", ".join(f"{name}={value!r}" for name, value in given.items()) or "nothing in it",
                fix="give share or worse_by (0..1), or count (rows, from 0); at_least up to last",
            ) from error

    @property
    def needed(self) -> int:
        """Earlier slices without which `worse_by` is not judged."""
        return self.at_least if self.at_least is not None else min(FEWEST_SLICES, self.last)


Limits = Mapping[str, Limit]
"""Limits by rule id; `score` is the score of the whole dataset."""


def limit_problems(limits: Limits, *, suite: Suite | None, checks: Checks | None) -> tuple[tuple[str, str], ...]:
    """What is wrong with the names: (name, message) for each limit that no rule could be held to."""
    rows = [config.rule_id for config in suite.expectations if counts_rows(config.type)] if suite else []
    tables = [config.rule_id for config in suite.expectations if not counts_rows(config.type)] if suite else []
    if checks is not None:
        rows += [check.id for check in checks.row]
        tables += [check.id for check in checks.table]
    found = ((name, _name_problem(name, limit, rows=rows, tables=tables)) for name, limit in limits.items())
    return tuple((name, problem) for name, problem in found if problem)


def require_limits(limits: Limits, *, suite: Suite | None, checks: Checks | None, dataset: str) -> None:
    """Refuses limits that no rule could be held to.

    Raises:
        UsageError: a limit of a rule that is not there, or that counts no rows.
    """
    if problems := limit_problems(limits, suite=suite, checks=checks):
        raise UsageError(
            "a limit cannot be judged",
            where=dataset,
            found="; ".join(f"limits.{name}: {problem}" for name, problem in problems),
            fix="correct the limits",
        )


def counts_rows(expectation_type: str) -> bool:
    """Whether an expectation counts failing rows: those that take `mostly`, but for types, which are of a column."""
    return "mostly" in CATALOG[expectation_type].kwargs and expectation_type not in _TYPE_RULES


def judge_limits(
    limits: Limits, rules: Sequence[RuleResult], *, rows: int, bad: int, history: Sequence[QualityResult]
) -> tuple[LimitResult, ...]:
    """Holds each limit against what was found.

    Args:
        limits: limits of rules that are in `rules`.
        rules: every rule's result, none of them ERROR.
        rows: rows looked at.
        bad: rows that broke a critical rule.
        history: verdicts on the same dataset in earlier slices, the latest first; those that have nothing to compare
            with do not count towards a limit's `last`.
    """
    by_id = {rule.rule_id: rule for rule in rules}
    return tuple(_judge(limits, by_id, rows=rows, bad=bad, history=history))


def uncounted(limits: Limits, rules: Sequence[RuleResult], *, rows: int) -> list[str]:
    """One text for each limit whose rule is not among the results, or came back without a count of rows."""
    by_id = {rule.rule_id: rule for rule in rules}
    missing = [name for name in limits if name != SCORE and name not in by_id]
    silent = [name for name in limits if name in by_id and by_id[name].judged_count is None] if rows else []
    return [f"limits.{name}: the rule gave no result" for name in missing] + [
        f"limits.{name}: the rule came back without a count of rows" for name in silent
    ]


def _name_problem(name: str, limit: Limit, *, rows: list[str], tables: list[str]) -> str:
    if name == SCORE and SCORE in (*rows, *tables):
        return "a rule and the score of the dataset have the same name; give the rule another id"
    if name == SCORE:
        other = limit.share is not None or limit.count is not None
        return "the score takes worse_by; its lowest value is `threshold`" if other else ""
    if name in tables:
        return "judges the whole table and counts no failing rows, so there is no share or count to limit"
    if name in rows:
        return ""
    close = get_close_matches(name, [*rows, *tables, SCORE], n=1, cutoff=0.6)
    hint = f", did you mean {close[0]!r}?" if close else ""
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    return f"unknown rule{hint}; rules with rows to count: {', '.join(rows[:_NAMED]) or 'none'}{more}"


def _judge(
    limits: Limits, by_id: Mapping[str, RuleResult], *, rows: int, bad: int, history: Sequence[QualityResult]
) -> Iterator[LimitResult]:
    for name, limit in limits.items():
        if name == SCORE:
            yield _score_against_history(limit, rows=rows, bad=bad, history=history)
            continue
        rule = by_id[name]
        judged, failing = rule.judged_count or 0, rule.unexpected_count or 0
        if limit.share is not None:
            yield _share(name, failing, judged, limit.share)
        if limit.count is not None:
            yield _count(name, failing, judged, limit.count)
        if limit.worse_by is not None:
            yield _share_against_history(name, failing, judged, limit, history=history)


def _share(name: str, failing: int, judged: int, limit: float) -> LimitResult:
    if not judged:
        return _not_judged(name, "share", limit, f"{name}: the limit {_plain(limit)} is not judged: it judged no row")
    share, bound = Fraction(failing, judged), _exact(limit)
    broken = share > bound
    shown, _ = _apart(share, bound)
    text = (
        f"{name}: failing share {shown} is {'above' if broken else 'within'} its limit {_plain(limit)} "
        f"({failing:,} of {judged:,} rows judged)"
    )
    return LimitResult(name, "share", _state(broken=broken), limit, text, observed=float(share))


def _count(name: str, failing: int, judged: int, limit: int) -> LimitResult:
    broken = failing > limit
    text = (
        f"{name}: {failing:,} failing row{'' if failing == 1 else 's'} {'are' if failing != 1 else 'is'} "
        f"{'above' if broken else 'within'} its limit {limit:,} ({judged:,} rows judged)"
    )
    return LimitResult(name, "count", _state(broken=broken), limit, text, observed=failing)


def _share_against_history(
    name: str, failing: int, judged: int, limit: Limit, *, history: Sequence[QualityResult]
) -> LimitResult:
    earlier = [
        Fraction(rule.unexpected_count or 0, rule.judged_count)
        for verdict in history
        for rule in verdict.rules
        if rule.rule_id == name and rule.judged_count
    ]
    now = Fraction(failing, judged) if judged else None
    rows = f" ({failing:,} of {judged:,} rows judged)"
    return _against_history(name, f"{name}: failing share", now, earlier, limit, worse="above", rows=rows)


def _score_against_history(limit: Limit, *, rows: int, bad: int, history: Sequence[QualityResult]) -> LimitResult:
    earlier = [Fraction(verdict.valid, verdict.rows) for verdict in history if verdict.rows]
    now = Fraction(rows - bad, rows) if rows else None
    return _against_history(
        SCORE, "score", now, earlier, limit, worse="below", rows=f" ({bad:,} of {rows:,} rows broke a rule)"
    )


def _against_history(
    name: str,
    what: str,
    now: Fraction | None,
    earlier: Sequence[Fraction],
    limit: Limit,
    *,
    worse: Literal["above", "below"],
    rows: str,
) -> LimitResult:
    allowed, latest = limit.worse_by or 0.0, earlier[: limit.last]
    found = len(latest)
    if now is None:
        text = f"{what}: worse_by {_plain(allowed)} is not judged: no row was judged"
        return _not_judged(name, "worse_by", allowed, text, slices=found)
    if found < limit.needed:
        text = f"{what}: worse_by {_plain(allowed)} is not judged yet: {found} of {limit.needed} earlier slices"
        return _not_judged(name, "worse_by", allowed, text, slices=found, observed=float(now))
    middle = median(latest)
    bound = middle + _exact(allowed) if worse == "above" else middle - _exact(allowed)
    broken = now > bound if worse == "above" else now < bound
    shown, shown_bound = _apart(now, bound)
    text = (
        f"{what} {shown} is {worse if broken else f'not {worse}'} {shown_bound}, the median {_rounded(middle, 4)} of "
        f"{found} earlier slice{'' if found == 1 else 's'} {'plus' if worse == 'above' else 'minus'} "
        f"{_plain(allowed)}{rows}"
    )
    return LimitResult(
        name, "worse_by", _state(broken=broken), allowed, text,
        observed=float(now), median=float(middle), slices=found,
    )  # fmt: skip


def _not_judged(
    name: str,
    kind: Literal["share", "worse_by"],
    limit: float,
    text: str,
    *,
    slices: int | None = None,
    observed: float | None = None,
) -> LimitResult:
    return LimitResult(name, kind, "not_judged", limit, text, observed=observed, slices=slices)


def _state(*, broken: bool) -> Literal["held", "broken"]:
    return "broken" if broken else "held"


def _exact(number: float) -> Fraction:
    """The number as it is written in decimal, not as a binary float has it."""
    return Fraction(Decimal(str(number)))


def _apart(value: Fraction, bound: Fraction) -> tuple[str, str]:
    """Both in decimal, with as many digits as it takes to tell them apart."""
    digits = 4
    while value != bound and digits < 12 and _rounded(value, digits) == _rounded(bound, digits):
        digits += 1
    return _rounded(value, digits), _rounded(bound, digits)


def _rounded(value: Fraction, digits: int) -> str:
    number = Decimal(value.numerator) / Decimal(value.denominator)
    shown = number.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN)
    return _plain(shown.normalize() if shown else Decimal(0))


def _plain(number: float | Decimal) -> str:
    return format(Decimal(str(number)), "f")
