"""Table-level expectations: aggregates that join the scan, grouped counts, and the schema.

Semantics follow `column_aggregate_metrics` and `table_metrics` of GX 1.24.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql import types as spark_types
from pyspark.sql.types import (
    ByteType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    NumericType,
    ShortType,
    TimestampType,
)

from batch_processing.quality.aggregate_findings import found_between, found_equal, found_in_sets, found_quantiles
from batch_processing.quality.frames import Domain, Frame, plain
from batch_processing.quality.predicates import key_count
from batch_processing.quality.rules import CannotCompile, Finding, Measure, Rule, Values
from batch_processing.quality.suite import ExpectationConfig

_INTEGRAL = (ByteType, ShortType, IntegerType, LongType)
KEY_COLUMN = "_key_0"
"""Name of the key column in a grouped count of one column."""


def compile_table_rule(config: ExpectationConfig, frame: Frame) -> Rule:
    """Compiles a table-level expectation.

    Raises:
        CannotCompile: a column is missing or of a type the expectation cannot judge.
    """
    if config.type in _SCHEMA:
        finding = _SCHEMA[config.type](config.kwargs, frame)
        return _rule(config, lambda _: finding)
    if config.type in _STATISTICS:
        return _statistic(config, frame)
    if config.type == "expect_column_quantile_values_to_be_between":
        return _quantiles(config, frame)
    if config.type.startswith("expect_table_row_count"):
        return _row_count(config, frame)
    if config.type.startswith("expect_column_distinct_values"):
        return _distinct_values(config, frame)
    return _counts(config, frame)


def _rule(config: ExpectationConfig, judge: Callable[[Values], Finding], *measures: Measure, **more: Any) -> Rule:
    return Rule(
        config.rule_id, "table", config.severity, judge, measures, expectation=config, columns=config.columns, **more
    )


def _row_count(config: ExpectationConfig, frame: Frame) -> Rule:
    rows = Domain(config.kwargs, frame).rows()
    if config.type == "expect_table_row_count_to_equal":
        return _rule(config, lambda values: found_equal(values[rows.key], config.kwargs["value"]), rows)
    return _rule(config, lambda values: found_between(values[rows.key], config.kwargs), rows)


def _statistic(config: ExpectationConfig, frame: Frame) -> Rule:
    domain, name = Domain(config.kwargs, frame), config.kwargs["column"]
    label, make = _STATISTICS[config.type]
    column = frame.column(name)
    if label not in ("min", "max") and not isinstance(frame.type_of(name), NumericType):
        kind = frame.type_of(name).simpleString()
        raise CannotCompile(f"column {name!r} is {kind}, and the {label} of it is not defined; it needs a number")
    value = Measure(domain.key(label, name), make(domain.within(column), frame, name))
    present = domain.present(name, column)
    return _rule(config, lambda v: found_between(v[value.key], config.kwargs, judged=v[present.key]), value, present)


def _quantiles(config: ExpectationConfig, frame: Frame) -> Rule:
    """GX takes approxQuantile without error, which is the element of rank ceil(q * n): percentile_disc."""
    domain, name, ranges = Domain(config.kwargs, frame), config.kwargs["column"], config.kwargs["quantile_ranges"]
    column = frame.column(name)
    if not isinstance(frame.type_of(name), NumericType):
        kind = frame.type_of(name).simpleString()
        raise CannotCompile(f"column {name!r} is {kind}, and quantiles of it are not defined; it needs a number")
    number = domain.within_sql(f"nanvl(CAST({frame.sql(name)} AS DOUBLE), CAST(NULL AS DOUBLE))")
    measures = [
        Measure(domain.key("quantile", repr(q), name), F.expr(_percentile_disc(q, number)))
        for q in map(float, ranges["quantiles"])
    ]
    present = domain.present(name, column)

    def judge(values: Values) -> Finding:
        return found_quantiles([values[m.key] for m in measures], ranges, judged=values[present.key])

    return _rule(config, judge, *measures, present)


def _percentile_disc(quantile: float, number: str) -> str:
    return f"percentile_disc(CAST('{quantile!r}' AS DOUBLE)) WITHIN GROUP (ORDER BY {number})"


def _counts(config: ExpectationConfig, frame: Frame) -> Rule:
    domain, name = Domain(config.kwargs, frame), config.kwargs["column"]
    column = frame.column(name)
    rows, present = domain.rows(), domain.present(name, column)
    if config.type == "expect_column_proportion_of_non_null_values_to_be_between":
        return _rule(
            config,
            lambda v: found_between(_share(v[present.key], v[rows.key]), config.kwargs, judged=v[rows.key]),
            rows,
            present,
        )
    key = key_count((name,), domain, column.isNotNull(), "notnull")

    def judge(values: Values) -> Finding:
        observed: float = int(values[key.distinct])
        if config.type == "expect_column_proportion_of_unique_values_to_be_between":
            observed = _share(values[key.distinct], values[present.key])
        return found_between(observed, config.kwargs, judged=values[present.key])

    return _rule(config, judge, rows, present, keys=(key,))


def _distinct_values(config: ExpectationConfig, frame: Frame) -> Rule:
    domain, name = Domain(config.kwargs, frame), config.kwargs["column"]
    column, allowed = frame.column(name), _each_once(config.kwargs["value_set"])
    within = F.col(KEY_COLUMN).isin([plain(member) for member in allowed])
    inside = Measure(f"inside|{config.rule_id}", F.count_if(within))
    outside = Measure(f"outside|{config.rule_id}", F.count_if(~within))
    key = key_count((name,), domain, column.isNotNull(), "notnull", (inside, outside))
    present = domain.present(name, column)

    def judge(values: Values) -> Finding:
        absent = len(allowed) - int(values[inside.key])
        return found_in_sets(config.type, int(values[outside.key]), absent, judged=int(values[present.key]))

    return _rule(config, judge, present, keys=(key,))


def _each_once(members: Sequence[Any]) -> list[Any]:
    """The members without those given again; 1 and 1.0 are one number to the engine, 1 and true are not."""
    numbers_and_text = {int, float, str}
    keys = [member if type(member) in numbers_and_text else (type(member), repr(member)) for member in members]
    return list(dict(zip(keys, members, strict=True)).values())


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0


def _sum(column: Column, frame: Frame, name: str) -> Column:
    return F.sum(column.cast(DoubleType()) if isinstance(frame.type_of(name), _INTEGRAL) else column)


def _in_utc(value: Column, frame: Frame, name: str) -> Column:
    """A timestamp without its zone, in UTC; as it is, the client would give it in the zone of its own process."""
    return value.cast("timestamp_ntz") if isinstance(frame.type_of(name), TimestampType) else value


def _median(column: Column, frame: Frame, name: str) -> Column:
    number = column.cast(DoubleType())
    if isinstance(frame.type_of(name), FloatType | DoubleType):
        number = F.when(~F.isnan(number), number)
    return F.median(number)


def _column_count(kwargs: Mapping[str, Any], frame: Frame) -> Finding:
    count = len(frame.all_names)
    return found_equal(count, kwargs["value"]) if "value" in kwargs else found_between(count, kwargs)


def _columns_match_set(kwargs: Mapping[str, Any], frame: Frame) -> Finding:
    wanted, there = set(kwargs["column_set"]), set(frame.all_names)
    absent, extra = sorted(wanted - there), sorted(there - wanted)
    exact = kwargs.get("exact_match")
    success = not absent and not (extra and (exact is None or exact))
    details = {key: found for key, found in (("unexpected", extra), ("missing", absent)) if found}
    result: dict[str, Any] = {"observed_value": sorted(there)}
    if details and not (success and not absent and not extra):
        result["details"] = {"mismatched": details}
    message = _list_message("missing", absent) + _list_message("unexpected", extra)
    return Finding(success, observed=sorted(there), result=result, message="" if success else message.rstrip("; "))


def _columns_match_list(kwargs: Mapping[str, Any], frame: Frame) -> Finding:
    wanted, there = list(kwargs["column_list"]), list(frame.all_names)
    if wanted == there:
        return Finding(True, observed=there, result={"observed_value": there})
    length = max(len(wanted), len(there))
    pairs = [(i, *(names[i] if i < len(names) else None for names in (wanted, there))) for i in range(length)]
    mismatched = [{"Expected Column Position": i, "Expected": w, "Found": t} for i, w, t in pairs if w != t]
    first = mismatched[0]
    return Finding(
        False,
        observed=there,
        result={"observed_value": there, "details": {"mismatched": mismatched}},
        message=f"column {first['Expected Column Position']} is {first['Found']!r}, expected {first['Expected']!r}",
    )


def _column_exists(kwargs: Mapping[str, Any], frame: Frame) -> Finding:
    name, index = kwargs["column"], kwargs.get("column_index")
    names = frame.all_names
    success = name in names
    if index is not None:
        success = -len(names) <= index < len(names) and names[index] == name
    place = "" if index is None else f" at position {index}"
    return Finding(success, message="" if success else f"there is no column {name!r}{place}")


def _column_type(kwargs: Mapping[str, Any], frame: Frame) -> Finding:
    wanted = kwargs["type_list"] if "type_list" in kwargs else [kwargs["type_"]]
    actual = frame.type_of(kwargs["column"])
    observed = type(actual).__name__
    known = tuple(found for name in wanted if isinstance(found := getattr(spark_types, name, None), type))
    if not known:
        raise CannotCompile(
            f"{', '.join(wanted)}: no such Spark type; use class names as LongType, StringType, DateType"
        )
    success = isinstance(actual, known)
    message = "" if success else f"the column is {observed}, expected {' or '.join(wanted)}"
    return Finding(success, observed=observed, result={"observed_value": observed}, message=message)


def _list_message(what: str, names: list[str]) -> str:
    return f"{what} columns: {', '.join(names)}; " if names else ""


_STATISTICS: Mapping[str, tuple[str, Callable[[Column, Frame, str], Column]]] = {
    "expect_column_min_to_be_between": ("min", lambda column, frame, name: _in_utc(F.min(column), frame, name)),
    "expect_column_max_to_be_between": ("max", lambda column, frame, name: _in_utc(F.max(column), frame, name)),
    "expect_column_mean_to_be_between": ("mean", lambda column, _f, _n: F.mean(column)),
    "expect_column_sum_to_be_between": ("sum", _sum),
    "expect_column_stdev_to_be_between": ("standard deviation", lambda column, _f, _n: F.stddev_samp(column)),
    "expect_column_median_to_be_between": ("median", _median),
}
_SCHEMA: Mapping[str, Callable[[Mapping[str, Any], Frame], Finding]] = {
    "expect_table_column_count_to_equal": _column_count,
    "expect_table_column_count_to_be_between": _column_count,
    "expect_table_columns_to_match_set": _columns_match_set,
    "expect_table_columns_to_match_ordered_list": _columns_match_list,
    "expect_column_to_exist": _column_exists,
    "expect_column_type_to_be": _column_type,
    "expect_column_values_to_be_of_type": _column_type,
    "expect_column_values_to_be_in_type_list": _column_type,
}
