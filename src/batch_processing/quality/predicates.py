"""Row-level expectations as Spark predicates.

Each maker gives the condition that a good row meets. A row is bad where the condition is false; where it is null the
row is not judged bad, which is how GX counts. The nulls that GX leaves out are handled where the rule is made.

Semantics follow `column_map_metrics`, `column_pair_map_metrics` and `multicolumn_map_metrics` of GX 1.24.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import (
    BooleanType,
    ByteType,
    CharType,
    DataType,
    DateType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    TimestampNTZType,
    TimestampType,
    VarcharType,
)

from batch_processing.quality.frames import Domain, Frame, all_of, any_of, plain
from batch_processing.quality.kwargs import parse_bound
from batch_processing.quality.map_findings import judge_map
from batch_processing.quality.rules import CannotCompile, Interval, KeyCount, Measure, Rule
from batch_processing.quality.suite import ExpectationConfig

Kwargs = Mapping[str, Any]
_TEXT = (StringType, CharType, VarcharType)
_INTEGRAL = (ByteType, ShortType, IntegerType, LongType)


def compile_row_rule(config: ExpectationConfig, frame: Frame) -> Rule:
    """Compiles a row-level expectation.

    Raises:
        CannotCompile: a column is missing or of a type the expectation cannot judge.
    """
    if config.type in _COLUMN:
        return _column_rule(config, frame)
    if config.type in _PAIR:
        return _pair_rule(config, frame)
    if config.type in _MULTI:
        return _multi_rule(config, frame)
    if config.type == "expect_column_values_to_be_unique":
        return _unique_rule(config, frame)
    return _compound_rule(config, frame)


def _column_rule(config: ExpectationConfig, frame: Frame) -> Rule:
    column = frame.column(config.kwargs["column"])
    return column_rule(config, frame, _COLUMN[config.type](column, config.kwargs, frame))


def column_rule(config: ExpectationConfig, frame: Frame, good: Column) -> Rule:
    """The rule of a column map expectation whose good rows are known."""
    domain, name = Domain(config.kwargs, frame), config.kwargs["column"]
    column = frame.column(name)
    skips_null = config.type not in _JUDGES_NULL
    bad = domain.where(column.isNotNull() & ~good if skips_null else ~good)
    rows, missing = domain.rows(), domain.nulls(name, column)
    unexpected = _bad_rows(config, domain, column, bad)
    judge = judge_map(
        config, rows.key, unexpected.key, missing=missing.key if skips_null else None, conditional=bool(domain.text)
    )
    return Rule(
        config.rule_id, "row", config.severity, judge, (rows, missing) if skips_null else (rows,), bad=bad,
        bad_rows=unexpected, interval=_interval(config, frame),
        text_column=name if not domain.text and isinstance(frame.type_of(name), _TEXT) else "",
        expectation=config, columns=config.columns,
    )  # fmt: skip


def _bad_rows(config: ExpectationConfig, domain: Domain, column: Column, bad: Column) -> Measure:
    """How many rows are bad; for nulls the count that other rules on the column share."""
    name = config.kwargs["column"]
    if config.type == "expect_column_values_to_not_be_null":
        return domain.nulls(name, column)
    if config.type == "expect_column_values_to_be_null":
        return domain.present(name, column)
    return Measure(f"bad|{config.rule_id}", F.count_if(bad))


def _interval(config: ExpectationConfig, frame: Frame) -> Interval | None:
    if config.type not in _INTERVALS:
        return None
    name, kwargs = config.kwargs["column"], config.kwargs
    least, greatest = extremes(frame, name)
    return Interval(least, greatest, lambda value: _within(value, kwargs, frame.type_of(name)))


def extremes(frame: Frame, name: str) -> tuple[Measure, Measure]:
    """The least and the greatest value of a column, NaN above all numbers."""
    value = frame.column(name)
    return Measure(json.dumps(["least", name]), F.min(value)), Measure(json.dumps(["greatest", name]), F.max(value))


def _pair_rule(config: ExpectationConfig, frame: Frame) -> Rule:
    domain = Domain(config.kwargs, frame)
    a, b = (frame.column(config.kwargs[key]) for key in ("column_A", "column_B"))
    ignored = {
        "both_values_are_missing": a.isNull() & b.isNull(),
        "either_value_is_missing": a.isNull() | b.isNull(),
        "neither": F.lit(False),
    }[config.kwargs.get("ignore_row_if") or "both_values_are_missing"]
    return _judged_rule(config, domain, judged=~ignored, good=_PAIR[config.type](a, b, config.kwargs))


def _multi_rule(config: ExpectationConfig, frame: Frame) -> Rule:
    domain, names = Domain(config.kwargs, frame), list(config.kwargs["column_list"])
    good = _MULTI[config.type](names, config.kwargs, frame)
    return _judged_rule(config, domain, judged=~_ignored(config.kwargs, frame), good=good)


def _judged_rule(config: ExpectationConfig, domain: Domain, *, judged: Column, good: Column) -> Rule:
    bad = domain.where(judged & ~good)
    rows, considered = domain.rows(), Measure(f"judged|{config.rule_id}", F.count_if(domain.where(judged)))
    unexpected = Measure(f"bad|{config.rule_id}", F.count_if(bad))
    judge = judge_map(config, rows.key, unexpected.key, considered=considered.key, conditional=bool(domain.text))
    return Rule(
        config.rule_id, "row", config.severity, judge, (rows, considered), bad=bad, bad_rows=unexpected,
        expectation=config, columns=config.columns,
    )  # fmt: skip


def _unique_rule(config: ExpectationConfig, frame: Frame) -> Rule:
    domain, name = Domain(config.kwargs, frame), config.kwargs["column"]
    column = frame.column(name)
    key = key_count((name,), domain, column.isNotNull(), "notnull")
    rows, missing = domain.rows(), domain.nulls(name, column)
    judge = judge_map(config, rows.key, key.repeated_rows, missing=missing.key, conditional=bool(domain.text))
    return Rule(
        config.rule_id, "row", config.severity, judge, (rows, missing), (key,), unique=key, expectation=config,
        columns=config.columns,
    )  # fmt: skip


def _compound_rule(config: ExpectationConfig, frame: Frame) -> Rule:
    domain, names = Domain(config.kwargs, frame), tuple(config.kwargs["column_list"])
    judged = ~_ignored(config.kwargs, frame)
    key = key_count(names, domain, judged, str(config.kwargs.get("ignore_row_if")))
    rows, considered = domain.rows(), Measure(f"judged|{config.rule_id}", F.count_if(domain.where(judged)))
    judge = judge_map(config, rows.key, key.repeated_rows, considered=considered.key, conditional=bool(domain.text))
    return Rule(
        config.rule_id, "row", config.severity, judge, (rows, considered), (key,), unique=key, expectation=config,
        columns=config.columns,
    )  # fmt: skip


def key_count(
    names: tuple[str, ...], domain: Domain, judged: Column, how: str, over: tuple[Measure, ...] = ()
) -> KeyCount:
    """The grouped count of some columns over the domain's judged rows."""
    return KeyCount(json.dumps(["key", names, domain.text, how]), names, domain.where(judged), over)


def _ignored(kwargs: Kwargs, frame: Frame) -> Column:
    nulls = [frame.column(name).isNull() for name in kwargs["column_list"]]
    how = kwargs.get("ignore_row_if") or "all_values_are_missing"
    if how == "never":
        return F.lit(False)
    return all_of(nulls) if how == "all_values_are_missing" else any_of(nulls)


def _between(column: Column, kwargs: Kwargs, frame: Frame) -> Column:
    kind = frame.type_of(kwargs["column"])
    if isinstance(kind, (*_TEXT, BooleanType)):
        raise CannotCompile(
            f"column {kwargs['column']!r} is {kind.simpleString()}, which has no order against these bounds"
        )
    moments = isinstance(kind, (DateType, TimestampType, TimestampNTZType))
    bounds = [parse_bound(kwargs.get(key)) for key in ("min_value", "max_value")]
    if any(bound is not None and isinstance(bound, date) != moments for bound in bounds):
        needed = "dates or timestamps" if moments else "numbers"
        raise CannotCompile(f"column {kwargs['column']!r} is {kind.simpleString()}; its bounds have to be {needed}")
    return _within(column, kwargs, kind)


def _within(column: Column, kwargs: Kwargs, kind: DataType) -> Column:
    low, high = (_bound(parse_bound(kwargs.get(key)), kind) for key in ("min_value", "max_value"))
    conditions = []
    if low is not None:
        conditions.append(column > low if kwargs.get("strict_min") else column >= low)
    if high is not None:
        conditions.append(column < high if kwargs.get("strict_max") else column <= high)
    return all_of(conditions)


def _bound(value: object, kind: DataType) -> Column | None:
    """A bound as the engine takes it; a timestamp without a zone is UTC, as on every session, whatever ours is here."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return F.lit(value.isoformat()).cast("timestamp_ntz" if isinstance(kind, TimestampNTZType) else "timestamp")
    return None if value is None else F.lit(plain(value))


def _is_in(column: Column, kwargs: Kwargs) -> Column:
    return column.isin([plain(member) for member in kwargs["value_set"]])


def _regex_list(column: Column, kwargs: Kwargs, _: Frame) -> Column:
    patterns = kwargs["regex_list"]
    if (kwargs.get("match_on") or "any") == "any":
        return column.rlike("|".join(patterns))
    return all_of([column.rlike(pattern) for pattern in patterns])


def _like(column: Column, pattern: str, kwargs: Kwargs) -> Column:
    escape = kwargs.get("escape")
    return F.like(column, F.lit(pattern), F.lit(escape)) if escape else F.like(column, F.lit(pattern))


def _like_list(column: Column, kwargs: Kwargs, _: Frame) -> Column:
    matches = [_like(column, pattern, kwargs) for pattern in kwargs["like_pattern_list"]]
    return any_of(matches) if (kwargs.get("match_on") or "any") == "any" else all_of(matches)


def _pair_greater(a: Column, b: Column, kwargs: Kwargs) -> Column:
    return (a >= b) | a.eqNullSafe(b) if kwargs.get("or_equal") else a > b


def _pair_in_set(a: Column, b: Column, kwargs: Kwargs) -> Column:
    return any_of([a.eqNullSafe(F.lit(plain(x))) & b.eqNullSafe(F.lit(plain(y))) for x, y in kwargs["value_pairs_set"]])


def _sum_equals(names: list[str], kwargs: Kwargs, frame: Frame) -> Column:
    parts = []
    for name in names:
        present = f"COALESCE({frame.sql(name)}, 0)"
        exact = isinstance(frame.type_of(name), _INTEGRAL)
        parts.append(f"CAST({present} AS DECIMAL(38, 0))" if exact else present)
    return F.expr(" + ".join(parts)) == F.lit(plain(kwargs["sum_total"]))


def _all_equal(names: list[str], _: Kwargs, frame: Frame) -> Column:
    first = frame.column(names[0])
    return all_of([first.eqNullSafe(frame.column(name)) for name in names[1:]])


def _all_different(names: list[str], _: Kwargs, frame: Frame) -> Column:
    columns = [frame.column(name) for name in names]
    equal = [a.eqNullSafe(b) for i, a in enumerate(columns) for b in columns[i + 1 :]]
    return ~any_of(equal)


_COLUMN: Mapping[str, Callable[[Column, Kwargs, Frame], Column]] = {
    "expect_column_values_to_not_be_null": lambda column, _k, _f: column.isNotNull(),
    "expect_column_values_to_be_null": lambda column, _k, _f: column.isNull(),
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": lambda column, k, _: column.isin([plain(member) for member in k["value_set"]]),
    "expect_column_values_to_not_be_in_set": lambda column, k, _: (
        ~column.isin([plain(member) for member in k["value_set"]])
    ),
    "expect_column_values_to_match_regex": lambda column, k, _: column.rlike(k["regex"]),
    "expect_column_values_to_not_match_regex": lambda column, k, _: ~column.rlike(k["regex"]),
    "expect_column_values_to_match_regex_list": _regex_list,
    "expect_column_values_to_not_match_regex_list": lambda column, k, _: all_of(
        [~column.rlike(pattern) for pattern in k["regex_list"]]
    ),
    "expect_column_values_to_match_like_pattern": lambda column, k, _: _like(column, k["like_pattern"], k),
    "expect_column_values_to_not_match_like_pattern": lambda column, k, _: ~_like(column, k["like_pattern"], k),
    "expect_column_values_to_match_like_pattern_list": _like_list,
    "expect_column_values_to_not_match_like_pattern_list": lambda column, k, _: all_of(
        [~_like(column, pattern, k) for pattern in k["like_pattern_list"]]
    ),
    "expect_column_value_lengths_to_be_between": lambda column, k, _: _within(F.length(column), k, IntegerType()),
    "expect_column_value_lengths_to_equal": lambda column, k, _: F.length(column) == F.lit(plain(k["value"])),
}
_PAIR: Mapping[str, Callable[[Column, Column, Kwargs], Column]] = {
    "expect_column_pair_values_to_be_equal": lambda a, b, _: a.eqNullSafe(b),
    "expect_column_pair_values_a_to_be_greater_than_b": _pair_greater,
    "expect_column_pair_values_to_be_in_set": _pair_in_set,
}
_MULTI: Mapping[str, Callable[[list[str], Kwargs, Frame], Column]] = {
    "expect_multicolumn_sum_to_equal": _sum_equals,
    "expect_multicolumn_values_to_be_equal": _all_equal,
    "expect_select_column_values_to_be_unique_within_record": _all_different,
}
_INTERVALS = frozenset({"expect_column_values_to_be_between"})
_JUDGES_NULL = frozenset({"expect_column_values_to_not_be_null", "expect_column_values_to_be_null"})
MEASURED_TYPES = frozenset({"expect_column_value_z_scores_to_be_less_than", "expect_column_values_to_not_be_outliers"})
"""Row-level expectation types whose predicate needs aggregates first; `derived.py` compiles them."""
ROW_TYPES = MEASURED_TYPES | {
    *_COLUMN, *_PAIR, *_MULTI, "expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique",
}  # fmt: skip
"""Expectation types that judge rows."""

__all__ = ["MEASURED_TYPES", "ROW_TYPES", "column_rule", "compile_row_rule", "key_count"]
