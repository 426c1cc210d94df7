"""The scan of a suite with many rules: what can be known of a column is measured once, not once per rule.

1. The least and the greatest value of columns that several rules bound. A rule that holds for both holds for every row,
   and is not evaluated any further.
2. Rules on a text column with few distinct values are evaluated on those values, weighted by their rows.
3. What is left goes into one aggregation.
4. Where more than one critical rule was broken, the rows that broke any of these are counted together.

The values measured are the same as those of the scan of a few rules; only their cost differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    wanted = {measure.key: measure for measure in _measures(rules, rows)}
    values: dict[str, Any] = dict.fromkeys(_proven(df, rules), 0)
    for column, few in _by_text(df, _open(rules, values)).items():
        values |= _count_by_value(df, column, few)
    values |= collect(df, {key: measure.column for key, measure in wanted.items() if key not in values})
    return values, _bad_rows(df, rules, values)


def collect(df: DataFrame, wanted: dict[str, Column]) -> dict[str, Any]:
    """The values of aggregates by key; no query where none is wanted."""
    if not wanted:
        return {}
    row = df.agg(*[column.alias(f"m{index}") for index, column in enumerate(wanted.values())]).collect()[0]
    return dict(zip(wanted, row, strict=True))


def _measures(rules: Iterable[Rule], rows: Measure) -> list[Measure]:
    found = [rows]
    for rule in rules:
        found += rule.measures
        found += [rule.bad_rows] if rule.bad_rows else []
    return found


def _open(rules: Iterable[Rule], values: dict[str, Any]) -> list[Rule]:
    """Rules whose bad rows are still to be counted."""
    return [rule for rule in rules if rule.bad_rows and rule.bad_rows.key not in values]


def _proven(df: DataFrame, rules: Sequence[Rule]) -> list[str]:
    """Keys of the bad rows of rules that the extremes of their column prove to hold."""
    by_column: dict[str, list[Rule]] = {}
    for rule in rules:
        if rule.interval:
            by_column.setdefault(rule.interval.least.key, []).append(rule)
    asked = [rule for group in by_column.values() if len(group) >= _SHARED for rule in group]
    provable = {rule.bad_rows.key: rule.interval for rule in asked if rule.bad_rows and rule.interval}
    if not provable:
        return []
    extremes = {one.key: one.column for interval in provable.values() for one in (interval.least, interval.greatest)}
    names = {key: f"m{index}" for index, key in enumerate(extremes)}
    measured = df.agg(*[column.alias(names[key]) for key, column in extremes.items()])
    proofs = [_proof(interval, names).alias(f"p{index}") for index, interval in enumerate(provable.values())]
    row = measured.select(*proofs).collect()[0]
    return [key for key, holds in zip(provable, row, strict=True) if holds]


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
