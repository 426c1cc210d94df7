"""One aggregation for all rules, and one grouped count per key.

When the aggregation as a whole fails, each rule is evaluated alone, so that the one that cannot run is named and the
others keep their verdicts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import DoubleType, FloatType

from batch_processing.errors import CheckError, EngineError
from batch_processing.quality.engine_messages import describe, unreachable
from batch_processing.quality.frames import ROWS, any_of, one_nan, quoted, truth
from batch_processing.quality.rules import KeyCount, Measure, Rule, Values
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
    grouped, broken_keys = _count_keys(df, [rule for rule in rules if rule.rule_id not in broken])
    return Scanned(values | grouped, broken | broken_keys, bad)


def repeated_keys(df: DataFrame, key: KeyCount, names: Sequence[str]) -> DataFrame:
    """The keys that occur more than once, in columns of the given names."""
    grouped = _grouped(df, key, names)
    return grouped.where(F.col("_rows") > 1).select(*map(F.col, names))


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


def require_alive(error: Exception) -> None:
    """Tells the end of the engine from a rule that it cannot evaluate.

    Raises:
        EngineError: the engine does not answer.
    """
    if isinstance(error, PySparkException) and unreachable(error):
        raise EngineError("the engine does not answer", found=describe(error), fix="look at its log") from error


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
    critical = [rule.bad for rule in rules if rule.bad is not None and rule.severity is Severity.CRITICAL]
    wanted: dict[str, Column] = {ROWS: F.count(F.lit(1))}
    for rule in rules:
        wanted |= _columns([*rule.measures, *([rule.bad_rows] if rule.bad_rows else [])])
    wanted[_BAD_ROWS] = F.count_if(any_of(critical))
    return collect(df, wanted)


def _count_keys(df: DataFrame, rules: Sequence[Rule]) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {}
    broken: dict[str, str] = {}
    for key in _merged(rules):
        askers = [rule for rule in rules if key.key in [asked.key for asked in rule.keys]]
        try:
            values |= _count_key(df, key)
        except PySparkException as error:
            require_alive(error)
            if len(askers) == 1:
                broken[askers[0].rule_id] = f"the engine could not evaluate it: {describe(error)}"
                continue
            for rule in askers:
                found, failed = _count_keys(df, [rule])
                values |= found
                broken |= failed
    return values, broken


def _merged(rules: Iterable[Rule]) -> list[KeyCount]:
    found: dict[str, KeyCount] = {}
    for rule in rules:
        for key in rule.keys:
            earlier = found.get(key.key)
            found[key.key] = replace(key, over_keys=(*earlier.over_keys, *key.over_keys)) if earlier else key
    return list(found.values())


def _count_key(df: DataFrame, key: KeyCount) -> dict[str, Any]:
    names = [f"_key_{index}" for index in range(len(key.columns))]
    rows = F.col("_rows")
    wanted = {
        key.distinct: F.count(F.lit(1)),
        key.repeated_rows: F.coalesce(F.sum(F.when(rows > 1, rows)), F.lit(0)),
        **_columns(key.over_keys),
    }
    return collect(_grouped(df, key, names), wanted)


def _columns(measures: Sequence[Measure]) -> dict[str, Column]:
    return {measure.key: measure.column for measure in measures}


def _grouped(df: DataFrame, key: KeyCount, names: Sequence[str]) -> DataFrame:
    columns = [key_column(df, name).alias(alias) for name, alias in zip(key.columns, names, strict=True)]
    return df.where(truth(key.where)).select(*columns).groupBy(*names).agg(F.count(F.lit(1)).alias("_rows"))


def key_column(df: DataFrame, name: str) -> Column:
    """A key column by name; fields of structs by their path. Both zeros of a float are one key, and every NaN is."""
    if name not in df.columns:
        return F.col(name)
    column, kind = F.col(quoted(name)), df.schema[name].dataType
    return one_nan(column + F.lit(0.0), DoubleType()) if isinstance(kind, FloatType | DoubleType) else column
