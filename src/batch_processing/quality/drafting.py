"""Which rules a column's facts suggest. Pure; no engine.

Facts that hold by design (types, columns, no nulls, unique keys) become critical rules. Those that describe one day's
data (ranges, value sets, lengths, row count) only warn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

Kind = Literal["integer", "fraction", "text", "time", "other"]

FEW = 20
"""Most distinct values of a column for which a value set is drafted."""
_REPEATS = 5  # rows per distinct value, at least: less is no set but a sample
_NEARLY_UNIQUE = 0.9  # the engine's estimate of distinct values is some percent off


@dataclass(frozen=True)
class ColumnFacts:
    """What one look at a column found.

    Attributes:
        name: the column.
        kind: what sort of rules fit it.
        type_name: the type as Great Expectations names it on Spark, as `LongType`.
        present: rows that are not null.
        distinct: estimate of the distinct values.
        low: least finite value, JSON-able; of text the least length; None without any.
        high: the same at the other end.
        values: all distinct values where they are few, sorted; else empty.
    """

    name: str
    kind: Kind
    type_name: str
    present: int
    distinct: int = 0
    low: Any = None
    high: Any = None
    values: tuple[Any, ...] = ()

    @property
    def has_few_values(self) -> bool:
        return (
            self.kind in ("integer", "text") and 0 < self.distinct <= FEW and self.present >= _REPEATS * self.distinct
        )

    @property
    def may_be_unique(self) -> bool:
        return self.kind in ("integer", "text") and self.present > 1 and self.distinct >= _NEARLY_UNIQUE * self.present

    def with_values(self, values: tuple[Any, ...]) -> ColumnFacts:
        return replace(self, values=values)


@dataclass(frozen=True)
class TableFacts:
    """What one look at a table found; `names` are its columns as GX counts them (structs' fields too)."""

    rows: int
    columns: tuple[ColumnFacts, ...]
    names: tuple[str, ...]


def candidates(facts: TableFacts, *, types_are_inferred: bool = False) -> list[dict[str, Any]]:
    """Rules to try, in the order of the suite: the table's, then each column's."""
    rules = [
        _rule("expect_table_columns_to_match_set", column_set=list(facts.names), exact_match=True),
        _rule(
            "expect_table_row_count_to_be_between",
            severity="warning",
            min_value=max(1, facts.rows // 2),
            max_value=facts.rows * 2,
        ),
    ]
    type_severity = "warning" if types_are_inferred else "critical"
    for column in facts.columns:
        if column.present == 0:  # an all-null column says nothing but that it is there
            continue
        rules.append(
            _rule(
                "expect_column_values_to_be_of_type",
                severity=type_severity,
                column=column.name,
                type_=column.type_name,
            )
        )
        rules += _column_rules(column)
    return rules


def _column_rules(column: ColumnFacts) -> Iterator[dict[str, Any]]:
    yield _rule("expect_column_values_to_not_be_null", column=column.name)
    if column.may_be_unique:
        yield _rule("expect_column_values_to_be_unique", column=column.name)
    if column.values:
        values = list(column.values)
        yield _rule("expect_column_values_to_be_in_set", severity="warning", column=column.name, value_set=values)
    elif column.low is not None:
        yield from _range_rules(column)


def _range_rules(column: ColumnFacts) -> Iterator[dict[str, Any]]:
    between = "expect_column_values_to_be_between"
    if column.kind == "text":
        bounds = {"min_value": column.low, "max_value": column.high}
        yield _rule("expect_column_value_lengths_to_be_between", severity="warning", column=column.name, **bounds)
    elif column.kind == "time":  # tomorrow's are later
        yield _rule(between, severity="warning", column=column.name, min_value=column.low)
    elif not (column.kind == "integer" and column.may_be_unique) and _finite(column):  # keys keep growing
        bounds = {"min_value": column.low, "max_value": column.high}
        yield _rule(between, severity="warning", column=column.name, **bounds)


def _finite(column: ColumnFacts) -> bool:
    return math.isfinite(column.low) and math.isfinite(column.high)


def _rule(kind: str, *, severity: str = "critical", **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "severity": severity, "meta": {}}
