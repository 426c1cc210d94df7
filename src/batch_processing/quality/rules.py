"""A compiled rule as a value: what to measure, which rows are bad, and how the measures become a finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pyspark.sql import Column, DataFrame

from batch_processing.quality.suite import ExpectationConfig
from batch_processing.results import Severity

Values = Mapping[str, Any]
"""Measured values by key."""


class CannotCompile(Exception):
    """The rule cannot run on this DataFrame; the text says why, without a data value."""


class NotCompiled(Exception):
    """The rule has to run in GX itself."""


@dataclass(frozen=True)
class Measure:
    """One aggregate of the scan. Measures with the same key are the same aggregate and are computed once.

    Attributes:
        key: its name among the measured values.
        column: the aggregate.
    """

    key: str
    column: Column


@dataclass(frozen=True)
class Interval:
    """A rule that asks only whether a value lies between bounds: where the least and the greatest do, all do.

    Attributes:
        least: measure: the least value.
        greatest: measure: the greatest value; NaN, which is above all numbers, where there is one.
        good: the rule's condition on a value.
    """

    least: Measure
    greatest: Measure
    good: Callable[[Column], Column]


@dataclass(frozen=True)
class KeyCount:
    """One grouped count: rows per distinct key.

    Attributes:
        key: equal keys are the same grouping and are computed once.
        columns: the columns that make the key.
        where: the rows that take part.
        over_keys: aggregates over the distinct keys; their column is named `key` (one key column only).
    """

    key: str
    columns: tuple[str, ...]
    where: Column
    over_keys: tuple[Measure, ...] = ()

    @property
    def distinct(self) -> str:
        """Measure: number of distinct keys."""
        return f"{self.key}|distinct"

    @property
    def repeated_rows(self) -> str:
        """Measure: number of rows whose key is not alone."""
        return f"{self.key}|repeated"


@dataclass(frozen=True)
class Finding:
    """What one rule found.

    Attributes:
        success: GX's own verdict on the expectation.
        element_count: rows in its domain.
        unexpected_count: rows that broke it.
        missing_count: nulls left out of the judgement.
        observed: the observed value of an aggregate.
        judged: rows (or values) a verdict was made on; None where the notion has no meaning.
        result: the `result` object of GX's validation result.
        message: why it failed, for a person; no data value of a row rule.
    """

    success: bool
    element_count: int | None = None
    unexpected_count: int | None = None
    missing_count: int | None = None
    observed: Any = None
    judged: int | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""


@dataclass(frozen=True)
class Rule:
    """One rule, ready to run.

    Attributes:
        rule_id: unique in the validation.
        kind: `row` and `check_row` name bad rows; `table` does not.
        severity: critical rules quarantine their rows.
        judge: from measures to a finding.
        measures: what the scan has to compute for it.
        keys: the grouped counts it needs.
        bad: true for the rows that break it, false or null for the others; None for table rules and uniqueness.
        bad_rows: measure: how many rows that is.
        interval: what can show that no row breaks it.
        text_column: the text column whose value alone decides it, or "".
        unique: for uniqueness: the grouping whose repeated keys are the bad rows.
        expectation: the expectation it came from; None for custom checks.
        columns: the columns it judges.
    """

    rule_id: str
    kind: Literal["row", "table", "check_row"]
    severity: Severity
    judge: Callable[[Values], Finding]
    measures: tuple[Measure, ...] = ()
    keys: tuple[KeyCount, ...] = ()
    bad: Column | None = None
    bad_rows: Measure | None = None
    interval: Interval | None = None
    text_column: str = ""
    unique: KeyCount | None = None
    expectation: ExpectationConfig | None = None
    columns: tuple[str, ...] = ()

    @property
    def names_rows(self) -> bool:
        return self.bad is not None or self.unique is not None


@dataclass(frozen=True)
class Pending:
    """A rule that can be built only once something is measured.

    Attributes:
        rule_id: unique in the validation.
        severity: of the rule.
        build: from the measured values to the rule.
        measures: aggregates of the first pass; those of all pending rules are one aggregation.
        query: a query of its own; what it gives is the value `rule_id`.
    """

    rule_id: str
    severity: Severity
    build: Callable[[Values], Rule]
    measures: tuple[Measure, ...] = ()
    query: Callable[[DataFrame], Any] | None = None


@dataclass(frozen=True)
class Unable:
    """A rule that cannot run on this DataFrame, and why."""

    rule_id: str
    message: str
