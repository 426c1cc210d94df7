"""The scan of a suite with many rules: what can be known of a column is measured once, not once per rule.

1. One aggregation has everything but what the next steps may spare, and the least and the greatest value of columns
   that several rules bound. A rule that holds for both holds for every row, and is not evaluated any further.
2. Rules on a text column with few distinct values are evaluated on those values, weighted by their rows.
3. Rules with bounds that were not shown to hold go into one more aggregation.
4. Where more than one critical rule was broken, the rows that broke any of these are counted together.

The values measured are the same as those of the scan of a few rules; only their cost differs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from batch_processing.quality.frames import any_of, quoted, truth
from batch_processing.quality.rules import Interval, Measure, Rule
from batch_processing.results import Severity

MANY = 9
"""Rules from which on this scan pays: it may read the rows once more than the scan of a few rules does."""
_SHARED = 3  # bounds on the same column from which on its extremes are computed first
_SAMPLE = 200_000  # rows looked at to see whether a text column has few distinct values
_WORTH = 8  # rules on a column at which half as many distinct values as rows are few; fewer rules ask for fewer values
_ROWS = "_rows"


def scan_in_stages(df: DataFrame, rules: Sequence[Rule], rows: Measure) -> tuple[dict[str, Any], int]:
    """Measures everything the rules ask for but their grouped counts.

    Args:
        df: the rows.
        rules: the rules.
        rows: measure: rows of the whole DataFrame.

    Returns:
        The measured values, and the rows that break a critical predicate, each counted once.
    """
    by_text, bounded = _by_text(df, rules), _bounded(rules)
    spared = {rule.rule_id for few in (*by_text.values(), bounded) for rule in few}
    values = _measure(df, [rows, *_measures(rules, spared)], bounded)
    for column, few in by_text.items():
        values |= _count_by_value(df, column, few)
    values |= collect(df, {one.key: one.column for one in _measures(rules, set()) if one.key not in values})
    return values, _bad_rows(df, rules, values)


def collect(df: DataFrame, wanted: dict[str, Column]) -> dict[str, Any]:
    """The values of aggregates by key; no query where none is wanted."""
    if not wanted:
        return {}
    row = df.agg(*[column.alias(f"m{index}") for index, column in enumerate(wanted.values())]).collect()[0]
    return dict(zip(wanted, row, strict=True))


def _measures(rules: Iterable[Rule], spared: Collection[str]) -> Iterator[Measure]:
    """What the rules measure, without the bad rows of those that are spared."""
    for rule in rules:
        yield from rule.measures
        if rule.bad_rows and rule.rule_id not in spared:
            yield rule.bad_rows


def _bounded(rules: Iterable[Rule]) -> list[Rule]:
    """Rules that ask only for bounds, on columns that several of them bound."""
    by_column: dict[str, list[Rule]] = {}
    for rule in rules:
        if rule.interval and rule.bad_rows:
            by_column.setdefault(rule.interval.least.key, []).append(rule)
    return [rule for group in by_column.values() if len(group) >= _SHARED for rule in group]


def _measure(df: DataFrame, measures: Iterable[Measure], bounded: Sequence[Rule]) -> dict[str, Any]:
    """The values of the measures, and no bad rows for the rules that the extremes of their column prove to hold.

    Extremes stay in the engine: Python could not hold each, as a day in the year 10000.
    """
    provable = {rule.bad_rows.key: rule.interval for rule in bounded if rule.bad_rows and rule.interval}
    extremes = [one for interval in provable.values() for one in (interval.least, interval.greatest)]
    wanted = {one.key: one.column for one in (*measures, *extremes)}
    names = {key: f"m{index}" for index, key in enumerate(wanted)}
    measured = df.agg(*[column.alias(names[key]) for key, column in wanted.items()])
    kept = {key: F.col(names[key]) for key in wanted if key not in {one.key for one in extremes}}
    proofs = [_proof(interval, names).alias(f"p{index}") for index, interval in enumerate(provable.values())]
    row = measured.select(*kept.values(), *proofs).collect()[0]
    proven = [key for key, holds in zip(provable, row[len(kept) :], strict=True) if holds]
    return dict(zip(kept, row, strict=False)) | dict.fromkeys(proven, 0)


def _proof(interval: Interval, names: dict[str, str]) -> Column:
    """True where neither the least nor the greatest value is bad; also where there is no value."""
    least, greatest = (F.col(names[measure.key]) for measure in (interval.least, interval.greatest))
    return ~truth(~interval.good(least)) & ~truth(~interval.good(greatest))


def _by_text(df: DataFrame, rules: Sequence[Rule]) -> dict[str, list[Rule]]:
    """Rules by text column, for the columns with few distinct values and more than one rule."""
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        if rule.text_column in df.columns:
            found.setdefault(rule.text_column, []).append(rule)
    asked = {column: few for column, few in found.items() if len(few) > 1}
    if not asked:
        return {}
    sample = df.select(*[quoted(column) for column in asked]).limit(_SAMPLE)
    wanted = {column: F.approx_count_distinct(quoted(column)) for column in asked}
    counted = collect(sample, {_ROWS: F.count(F.lit(1)), **wanted})
    rows = int(counted[_ROWS])
    return {name: few for name, few in asked.items() if counted[name] * 2 * _WORTH <= rows * min(len(few), _WORTH)}


def _count_by_value(df: DataFrame, column: str, rules: Sequence[Rule]) -> dict[str, Any]:
    grouped = df.groupBy(quoted(column)).agg(F.count(F.lit(1)).alias(_ROWS))
    bad = {rule.bad_rows.key: rule.bad for rule in rules if rule.bad_rows and rule.bad is not None}
    weighted = {key: F.sum(F.when(condition, F.col(_ROWS)).otherwise(F.lit(0))) for key, condition in bad.items()}
    return {key: int(value or 0) for key, value in collect(grouped, weighted).items()}


def _bad_rows(df: DataFrame, rules: Sequence[Rule], values: dict[str, Any]) -> int:
    broken = [
        (rule.bad, int(values[rule.bad_rows.key]))
        for rule in rules
        if rule.bad is not None and rule.bad_rows and rule.severity is Severity.CRITICAL
    ]
    some = [(bad, count) for bad, count in broken if count]
    if len(some) <= 1:
        return sum(count for _, count in some)
    return int(collect(df, {_ROWS: F.count_if(any_of([bad for bad, _ in some]))})[_ROWS])
