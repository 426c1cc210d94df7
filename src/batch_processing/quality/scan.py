"""One aggregation for all rules, and one grouped count per key.

When the aggregation as a whole fails, each rule is evaluated alone, so that the one that cannot run is named and the
others keep their verdicts.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from batch_processing.errors import CheckError
from batch_processing.quality.engine_messages import describe, require_alive
from batch_processing.quality.frames import ROWS, any_of
from batch_processing.quality.key_counts import count_keys
from batch_processing.quality.rules import Measure, Rule, Values
from batch_processing.quality.staged_scan import MANY, collect, scan_in_stages
from batch_processing.results import Severity

_LOG = logging.getLogger(__name__)
_BAD_ROWS = "bad_rows"
_FAILURES = (PySparkException, OverflowError, ValueError)


@dataclass(frozen=True)
class Scanned:
    """What the scan found.

    Attributes:
        values: measured values by key.
        broken: rule id -> why it could not run.
        bad_by_predicate: rows that break a critical predicate, each once; uniqueness is not in it.
    """

    values: Values
    broken: Mapping[str, str] = field(default_factory=dict)
    bad_by_predicate: int = 0

    @property
    def rows(self) -> int:
        return int(self.values[ROWS])


def scan(df: DataFrame, rules: Sequence[Rule]) -> Scanned:
    """Measures everything the rules ask for.

    Raises:
        CheckError: the DataFrame itself cannot be evaluated.
        EngineError: the engine does not answer.
    """
    values, broken = _aggregate_or_isolate(df, rules)
    bad = int(values.pop(_BAD_ROWS))
    able = [rule for rule in rules if rule.rule_id not in broken]
    grouped, broken_keys = count_keys(df, able, rows=int(values[ROWS]))
    return Scanned(values | grouped, broken | broken_keys, bad)


def _aggregate_or_isolate(df: DataFrame, rules: Sequence[Rule]) -> tuple[dict[str, Any], dict[str, str]]:
    for aggregate in (_aggregate_in_stages, _aggregate) if len(rules) >= MANY else (_aggregate,):
        try:
            return aggregate(df, rules), {}
        except _FAILURES as error:
            _LOG.warning("the scan failed as a whole (%s); looking for the rule", _why(error))
            _require_readable(df)
    broken: dict[str, str] = {}
    for rule in rules:
        try:
            _aggregate(df, [rule])
        except _FAILURES as error:
            require_alive(error)
            broken[rule.rule_id] = f"the engine could not evaluate it: {_why(error)}"
    if not broken:
        raise CheckError("the rules can be evaluated one by one but not together", fix="try again, or split the suite")
    try:
        return _aggregate(df, [rule for rule in rules if rule.rule_id not in broken]), broken
    except _FAILURES as error:
        require_alive(error)
        raise CheckError(
            "the rules cannot be evaluated together", found=_why(error), fix="try again, or split the suite"
        ) from error


def _why(error: Exception) -> str:
    """What the engine said; or that it gave a value such as a day in the year 10000."""
    if isinstance(error, PySparkException):
        return describe(error)
    return f"Python cannot hold a value that was measured ({type(error).__name__})"


def _require_readable(df: DataFrame) -> None:
    try:
        df.agg(F.count(F.lit(1))).collect()
    except PySparkException as error:
        require_alive(error)
        raise CheckError(
            "the data to validate cannot be read",
            found=describe(error),
            fix="look at what made it; its cause is chained",
        ) from error


def _aggregate_in_stages(df: DataFrame, rules: Sequence[Rule]) -> dict[str, Any]:
    values, bad_rows = scan_in_stages(df, rules, Measure(ROWS, F.count(F.lit(1))))
    return values | {_BAD_ROWS: bad_rows}


def _aggregate(df: DataFrame, rules: Sequence[Rule]) -> dict[str, Any]:
    critical = [rule for rule in rules if rule.bad is not None and rule.severity is Severity.CRITICAL]
    wanted: dict[str, Column] = {ROWS: F.count(F.lit(1))}
    for rule in rules:
        wanted |= _columns([*rule.measures, *([rule.bad_rows] if rule.bad_rows else [])])
    if len(critical) == 1 and (alone := critical[0].bad_rows):
        # The embedded engine refuses an aggregate that calls Python and is there twice.
        values = collect(df, wanted)
        return values | {_BAD_ROWS: values.get(alone.key, 0)}
    wanted[_BAD_ROWS] = F.count_if(any_of([rule.bad for rule in critical if rule.bad is not None]))
    return collect(df, wanted)


def _columns(measures: Sequence[Measure]) -> dict[str, Column]:
    return {measure.key: measure.column for measure in measures}
