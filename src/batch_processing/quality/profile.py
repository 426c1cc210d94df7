"""Drafts a suite from data: what holds today, as plain Great Expectations rules for a person to review.

One aggregation looks at every column; a second one fetches the values of columns with few of them; then the draft is
judged on the same rows, so that each rule carries the share of rows that would fail it today.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 -- the name every Spark text uses
from pyspark.sql import types as st

from batch_processing.errors import CheckError, UsageError
from batch_processing.quality.drafting import FEW, ColumnFacts, Kind, TableFacts, candidates
from batch_processing.quality.engine_messages import describe
from batch_processing.quality.frames import Frame, quoted
from batch_processing.quality.suite import parse_suite
from batch_processing.quality.validation import validate
from batch_processing.results import Outcome, RuleResult

LARGEST_SHARE = 0.05
"""Rows that may break a drafted rule today; a rule that more of them break is left out."""
_MOSTLY_STEPS = 1_000_000
_NOT_NULL = "expect_column_values_to_not_be_null"
_INTEGERS = (st.ByteType, st.ShortType, st.IntegerType, st.LongType)
_FLOATS = (st.FloatType, st.DoubleType)


@dataclass(frozen=True)
class Draft:
    """A drafted suite.

    Attributes:
        suite: its JSON object, as `parse_suite` takes it; `meta.failing_share` of each rule is the share of rows, 0..1,
            that would fail it today.
        rows: rows looked at.
        left_out: ids of rules that were tried and do not hold.
    """

    suite: dict[str, Any]
    rows: int
    left_out: tuple[str, ...]


def draft_suite(df: DataFrame, *, name: str, types_are_inferred: bool = False) -> Draft:
    """Drafts a suite that these rows pass.

    Args:
        df: the rows, of any Spark Connect session.
        name: the suite's name.
        types_are_inferred: column types come from the values, as of a CSV file: rules on them only warn.

    Raises:
        UsageError: no rows, so there is nothing to draft from.
        CheckError: the rows cannot be read.
        EngineError: the engine does not answer.
    """
    facts = collect(df)
    if facts.rows == 0:
        raise UsageError("there are no rows to draft a suite from", fix="profile data that has some")
    rules = candidates(facts, types_are_inferred=types_are_inferred)
    judged = validate(df, suite=parse_suite({"name": name, "expectations": rules}), dataset=name).result.rules
    settled = [settle(rule, result) for rule, result in zip(rules, judged, strict=True)]
    suite = {
        "name": name,
        "expectations": [rule for rule in settled if rule is not None],
        "meta": {"drafted_from_rows": facts.rows},
    }
    left_out = tuple(result.rule_id for rule, result in zip(settled, judged, strict=True) if rule is None)
    return Draft(suite, facts.rows, left_out)


def settle(rule: Mapping[str, Any], result: RuleResult) -> dict[str, Any] | None:
    """A candidate with what judging it found: as it is where every row holds, loosened by `mostly` and only a warning
    where few do not, None where it does not hold.
    """
    share = (result.unexpected_count or 0) / result.element_count if result.element_count else 0.0
    if result.outcome is Outcome.PASS and share == 0.0:
        return {**rule, "meta": {"failing_share": 0.0}}
    is_null_share = rule["type"] == _NOT_NULL
    if result.outcome is Outcome.ERROR or result.kind != "row" or not result.unexpected_count:
        return None
    if share > LARGEST_SHARE and not is_null_share:
        return None
    missing = 0 if is_null_share else result.missing_count or 0
    judged = (result.element_count or 0) - missing
    mostly = math.floor((judged - result.unexpected_count) * _MOSTLY_STEPS / judged) / _MOSTLY_STEPS
    kwargs = {**rule["kwargs"], "mostly": mostly}
    return {**rule, "kwargs": kwargs, "severity": "warning", "meta": {"failing_share": share}}


def collect(df: DataFrame) -> TableFacts:
    """Looks at all rows: one aggregation, and a second one where columns have few values.

    Raises:
        CheckError: the rows cannot be read.
    """
    try:
        frame = Frame(df)
        fields = frame.schema.fields
        measures = [F.count(F.lit(1)).alias("rows")]
        for index, field in enumerate(fields):
            measures += _measures(index, field)
        (found,) = df.agg(*measures).collect()
        columns = [_facts(index, field, found.asDict()) for index, field in enumerate(fields)]
        return TableFacts(int(found["rows"]), tuple(_with_values(df, columns)), frame.all_names)
    except PySparkException as error:
        raise CheckError(
            "the data cannot be profiled", found=describe(error), fix="check that it is complete and not damaged"
        ) from error


def kind_of(data_type: st.DataType) -> Kind:
    """What sort of rules fit a column of this type."""
    if isinstance(data_type, _INTEGERS):
        return "integer"
    if isinstance(data_type, (*_FLOATS, st.DecimalType)):
        return "fraction"
    names: dict[type[st.DataType], Kind] = {
        st.StringType: "text", st.DateType: "time", st.TimestampType: "time", st.TimestampNTZType: "time",
    }  # fmt: skip
    return names.get(type(data_type), "other")


def _measures(index: int, field: st.StructField) -> list[Column]:
    column, kind = F.col(quoted(field.name)), kind_of(field.dataType)
    found = [F.count(column).alias(f"present_{index}")]
    if kind == "other":
        return found
    found.append(F.approx_count_distinct(column.cast("string")).alias(f"distinct_{index}"))
    if kind == "text":
        ordered: Column = F.length(column)
    elif isinstance(field.dataType, _FLOATS):  # bounds are finite; NaN and infinities count as rows outside them
        ordered = F.when(~F.isnan(column) & (F.abs(column) < F.lit(float("inf"))), column)
    else:
        ordered = column
    low, high = F.min(ordered), F.max(ordered)
    if kind == "time":  # as text in the session's zone, UTC; as values they would come in this machine's
        low, high = low.cast("string"), high.cast("string")
    return [*found, low.alias(f"low_{index}"), high.alias(f"high_{index}")]


def _facts(index: int, field: st.StructField, found: Mapping[str, Any]) -> ColumnFacts:
    return ColumnFacts(
        name=field.name,
        kind=kind_of(field.dataType),
        type_name=type(field.dataType).__name__,
        present=int(found[f"present_{index}"]),
        distinct=int(found.get(f"distinct_{index}") or 0),
        low=_bound(found.get(f"low_{index}"), -math.inf),
        high=_bound(found.get(f"high_{index}"), math.inf),
    )


def _bound(value: Any, outward: float) -> Any:
    """A bound as JSON has it; a decimal that no float equals is rounded outward."""
    if not isinstance(value, Decimal):
        return value
    if value == value.to_integral_value():
        return int(value)
    near = float(value)
    inside = Decimal(near) > value if outward < 0 else Decimal(near) < value
    return math.nextafter(near, outward) if inside else near


def _with_values(df: DataFrame, columns: Sequence[ColumnFacts]) -> list[ColumnFacts]:
    few = [column for column in columns if column.has_few_values]
    if not few:
        return list(columns)
    sets = [F.collect_set(F.col(quoted(column.name))).alias(str(index)) for index, column in enumerate(few)]
    (found,) = df.agg(*sets).collect()
    values = {column.name: tuple(sorted(found[index])) for index, column in enumerate(few)}
    return [
        column.with_values(values[column.name]) if len(values.get(column.name, ())) in range(1, FEW + 1) else column
        for column in columns
    ]
