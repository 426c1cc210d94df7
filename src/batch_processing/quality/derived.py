"""Rules that need measured values before they can be built: scores and outliers, and the most common value.

A score or an outlier is a predicate whose limits are aggregates of the column. They are measured in a first pass, one
aggregation for all such rules, and become literals of the predicate; its rows are then counted and quarantined like
any other's. Semantics follow `column_values_z_score`, `column_values_not_outliers`, `column_outlier_statistics` and
`column_most_common_value` of GX 1.24.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import ArrayType, BinaryType, MapType, NumericType, StringType, StructType

from batch_processing.quality.aggregate_findings import found_most_common
from batch_processing.quality.engine_messages import describe, require_alive
from batch_processing.quality.frames import Domain, Frame, plain
from batch_processing.quality.key_counts import key_column
from batch_processing.quality.predicates import MEASURED_TYPES, column_rule
from batch_processing.quality.rules import (
    CannotCompile,
    Finding,
    Measure,
    NotCompiled,
    Pending,
    Rule,
    Unable,
    Values,
)
from batch_processing.quality.scan import scan
from batch_processing.quality.suite import ExpectationConfig

_MOST_COMMON = "expect_column_most_common_value_to_be_in_set"
PENDING_TYPES = MEASURED_TYPES | {_MOST_COMMON}
"""Expectation types that this module compiles."""
SHOWN_TIES = 20
"""Most common values that a result lists at most."""
NOT_FINITE = "there is no finite mean, deviation or quartile"
"""How the message begins where a score or an outlier cannot be told."""


def compile_pending_rule(config: ExpectationConfig, frame: Frame) -> Pending:
    """Compiles an expectation that needs measured values first.

    Raises:
        CannotCompile: the column is missing or of a type the expectation cannot judge.
        NotCompiled: the column's type needs GX.
    """
    if config.type == _MOST_COMMON:
        return _most_common(config, frame)
    return _scores(config, frame) if "z_scores" in config.type else _outliers(config, frame)


def settle(df: DataFrame, compiled: Sequence[Any]) -> list[Any]:
    """Measures what pending rules ask for and puts the rules in their place, or why they cannot run.

    Raises:
        CheckError: the DataFrame itself cannot be evaluated.
        EngineError: the engine does not answer.
    """
    pending = [rule for rule in compiled if isinstance(rule, Pending)]
    asking = [rule for rule in pending if rule.measures]
    values: Values = {}
    broken: dict[str, str] = {}
    if asking:
        scanned = scan(df, [_first_pass(rule) for rule in asking])
        values, broken = scanned.values, dict(scanned.broken)
    settled = {rule.rule_id: _settle(df, rule, values, broken.get(rule.rule_id, "")) for rule in pending}
    return [settled[rule.rule_id] if isinstance(rule, Pending) else rule for rule in compiled]


def _first_pass(rule: Pending) -> Rule:
    return Rule(rule.rule_id, "table", rule.severity, lambda _: Finding(True), rule.measures)


def _settle(df: DataFrame, rule: Pending, values: Values, broken: str) -> Rule | Unable:
    if broken:
        return Unable(rule.rule_id, broken)
    try:
        return rule.build({**values, rule.rule_id: rule.query(df)} if rule.query else values)
    except CannotCompile as reason:
        return Unable(rule.rule_id, str(reason))
    except PySparkException as error:
        require_alive(error)
        return Unable(rule.rule_id, f"the engine could not evaluate it: {describe(error)}")
    except (TypeError, ValueError, OverflowError) as error:
        return Unable(rule.rule_id, f"it cannot be compiled: {describe(error)}")


def _number_column(config: ExpectationConfig, frame: Frame) -> Column:
    name = config.kwargs["column"]
    kind, column = frame.type_of(name), frame.column(name)
    if not isinstance(kind, NumericType):
        raise CannotCompile(f"column {name!r} is {kind.simpleString()}; it needs a number")
    return column


def _scores(config: ExpectationConfig, frame: Frame) -> Pending:
    kwargs, column = config.kwargs, _number_column(config, frame)
    domain, name = Domain(kwargs, frame), kwargs["column"]
    mean = Measure(domain.key("mean", name), F.mean(domain.within(column)))
    deviation = Measure(domain.key("deviation", name), F.stddev_samp(domain.within(column)))

    def build(values: Values) -> Rule:
        center, spread = (_finite(values[measure.key], name) for measure in (mean, deviation))
        if center is None or not spread:
            return column_rule(config, frame, F.lit(True))
        score, limit = (column - F.lit(center)) / F.lit(spread), kwargs["threshold"]
        good = F.abs(score) < F.lit(float(abs(limit))) if kwargs["double_sided"] else score < F.lit(float(limit))
        return column_rule(config, frame, good)

    return Pending(config.rule_id, config.severity, build, (mean, deviation))


def _outliers(config: ExpectationConfig, frame: Frame) -> Pending:
    kwargs = config.kwargs
    if isinstance(frame.type_of(kwargs["column"]), StringType):
        raise NotCompiled  # Spark reads text as numbers here; what that gives is GX's to say
    column, domain, name = _number_column(config, frame), Domain(kwargs, frame), kwargs["column"]
    within = domain.within(column)
    number = F.nanvl(within.cast("double"), F.lit(None).cast("double"))  # where NaN stands is not the same everywhere
    quartiles = (kwargs.get("method") or "iqr") == "iqr"
    if quartiles:
        low = Measure(domain.key("quartile 1", name), F.percentile(number, 0.25))
        high = Measure(domain.key("quartile 3", name), F.percentile(number, 0.75))
    else:
        low = Measure(domain.key("mean", name), F.mean(within))
        high = Measure(domain.key("deviation", name), F.stddev_samp(within))

    def build(values: Values) -> Rule:
        first, second = (_finite(values[measure.key], name) for measure in (low, high))
        if first is None or second is None:
            return column_rule(config, frame, F.lit(True))
        multiplier = float(kwargs.get("multiplier", 1.5))
        good = _fenced(column, first, second, multiplier) if quartiles else _near(column, first, multiplier * second)
        return column_rule(config, frame, good)

    return Pending(config.rule_id, config.severity, build, (low, high))


def _finite(value: Any, name: str) -> float | None:
    """The measured value; GX would pass every row where it is NaN or infinite, and nothing would be judged."""
    if value is None:
        return None
    if not math.isfinite(value):
        raise CannotCompile(
            f"{NOT_FINITE} of column {name!r}: it has NaN or infinite values; leave them out by a row_condition"
        )
    return float(value)


def _fenced(column: Column, first: float, third: float, multiplier: float) -> Column:
    reach = multiplier * (third - first)
    return (column >= F.lit(first - reach)) & (column <= F.lit(third + reach))


def _near(column: Column, center: float, reach: float) -> Column:
    return column == F.lit(center) if reach <= 0 else F.abs(column - F.lit(center)) < F.lit(reach)


def _most_common(config: ExpectationConfig, frame: Frame) -> Pending:
    kwargs, name = config.kwargs, config.kwargs["column"]
    column, kind, domain = frame.column(name), frame.type_of(name), Domain(config.kwargs, frame)
    if isinstance(kind, ArrayType | MapType | StructType | BinaryType):
        raise CannotCompile(f"column {name!r} is {kind.simpleString()}, whose values cannot be members of a set")
    allowed = list(kwargs["value_set"])
    listed = F.col("_key").isin(members) if (members := _members(allowed, kind)) else F.lit(False)

    def query(df: DataFrame) -> list[Any]:
        keys = df.where(domain.where(column.isNotNull())).select(key_column(df, name).alias("_key"))
        counted = keys.groupBy("_key").agg(F.count(F.lit(1)).alias("_rows")).withColumn("_listed", listed)
        # One more than is shown, those of the set first: that decides every verdict without all the ties.
        ordered = counted.orderBy(F.col("_rows").desc(), F.col("_listed").desc(), F.col("_key"))
        return [(row["_key"], row["_rows"]) for row in ordered.limit(SHOWN_TIES + 1).collect()]

    def build(values: Values) -> Rule:
        found = values[config.rule_id]
        ties = [key for key, rows in found if rows == found[0][1]]
        finding = found_most_common(ties, allowed, ties_okay=bool(kwargs.get("ties_okay")), shown=SHOWN_TIES)
        return Rule(
            config.rule_id, "table", config.severity, lambda _: finding, expectation=config, columns=config.columns
        )

    return Pending(config.rule_id, config.severity, build, query=query)


def _members(allowed: list[Any], kind: Any) -> list[Any]:
    """The members that a value of the column can equal as GX compares them: as Python values, so text is no date."""
    if isinstance(kind, NumericType):
        return [plain(value) for value in allowed if isinstance(value, int | float) and value == value]
    if isinstance(kind, StringType):
        return [value for value in allowed if isinstance(value, str)]
    return []
