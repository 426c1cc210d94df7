"""Column names, types and row conditions of the DataFrame that is judged."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from functools import reduce
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 -- the name every Spark text uses
from pyspark.sql.types import BooleanType, DataType, DoubleType, FloatType, StructType

from batch_processing.quality.conditions import condition_sql
from batch_processing.quality.rules import CannotCompile, Measure

_DECIMAL_DIGITS = 38
ROWS = "rows"
"""Key of the measure: rows of the whole DataFrame."""


class Frame:
    """The schema of a DataFrame, with the look-ups that rules need."""

    def __init__(self, df: DataFrame) -> None:
        self.schema: StructType = df.schema
        self.columns: tuple[str, ...] = tuple(field.name for field in self.schema.fields)
        self._df = df
        self._kinds: dict[str, DataType | None] = {}
        self._types: dict[str, DataType] = {}
        self._collect_types(self.schema, "")

    @property
    def all_names(self) -> tuple[str, ...]:
        """Column names as GX counts them: fields of structs are named too, as `parent.child`."""
        return tuple(self._types)

    def type_of(self, name: str) -> DataType:
        """The type of a column.

        Raises:
            CannotCompile: no such column; near names are given.
        """
        found = self._types.get(name)
        if found is None:
            found = next((field.dataType for field in self.schema.fields if field.name == name), None)
        if found is None:
            raise CannotCompile(missing_column(name, self.columns))
        return found

    def column(self, name: str) -> Column:
        """A column by name; a dot in the name is part of it where a column is called so. Every NaN is the same NaN.

        Raises:
            CannotCompile: no such column.
        """
        kind = self.type_of(name)
        return one_nan(F.col(quoted(name)) if name in self.columns else F.col(name), kind)

    def sql(self, name: str) -> str:
        """A column by name in Spark SQL."""
        return quoted(name) if name in self.columns else name

    def in_condition(self, name: str) -> tuple[str, bool]:
        """A column by name in Spark SQL, and whether it holds floats.

        Raises:
            CannotCompile: no such column.
        """
        return self.sql(name), isinstance(self.type_of(name), FloatType | DoubleType)

    def kind_of(self, text: str) -> DataType | None:
        """The type of an expression in Spark SQL; None where it has none on these rows: the scan says why."""
        if text not in self._kinds:
            try:
                self._kinds[text] = self._df.select(F.expr(text)).schema.fields[0].dataType
            except PySparkException:
                self._kinds[text] = None
        return self._kinds[text]

    def _collect_types(self, struct: StructType, parent: str) -> None:
        for field in struct.fields:
            name = f"`{field.name}`" if "." in field.name and not field.name.startswith("`") else field.name
            self._types[f"{parent}{name}"] = field.dataType
            if isinstance(field.dataType, StructType):
                self._collect_types(field.dataType, f"{parent}{field.name}.")


class Domain:
    """The rows an expectation is about: those that meet its row condition."""

    def __init__(self, kwargs: Mapping[str, Any], frame: Frame) -> None:
        """Reads the expectation's row condition.

        Raises:
            CannotCompile: the condition names a column that is not there, or is no condition.
        """
        self.text = condition_sql(kwargs, frame.in_condition)
        self.condition: Column | None = F.expr(self.text) if self.text else None
        if self.text and (kind := frame.kind_of(self.text)) is not None and not isinstance(kind, BooleanType):
            raise CannotCompile(f"its row_condition is {kind.simpleString()}, expected boolean")

    def within(self, value: Column) -> Column:
        """The value in the domain, null outside of it; not evaluated there."""
        return value if self.condition is None else F.when(self.condition, value)

    def within_sql(self, value: str) -> str:
        """The same in Spark SQL, for what has no Column function."""
        return f"CASE WHEN (\n{self.text}\n) THEN {value} END" if self.text else value

    def where(self, condition: Column) -> Column:
        """True for rows in the domain that meet the condition; false or null for the others."""
        return self.within(condition)

    def rows(self) -> Measure:
        """Rows in the domain."""
        if self.condition is None:
            return Measure(ROWS, F.count(F.lit(1)))
        return Measure(self.key("rows"), F.count_if(self.condition))

    def nulls(self, name: str, column: Column) -> Measure:
        """Rows in the domain where the column is null."""
        return Measure(self.key("null", name), F.count_if(self.where(column.isNull())))

    def present(self, name: str, column: Column) -> Measure:
        """Rows in the domain where the column is not null."""
        return Measure(self.key("present", name), F.count_if(self.where(column.isNotNull())))

    def key(self, *parts: str) -> str:
        """The name of a measure over the domain, apart from that of every other."""
        return json.dumps([*parts, self.text])


def one_nan(column: Column, kind: DataType) -> Column:
    """The column with each NaN as the one that is above all numbers, as Spark has it.

    The embedded engine orders a NaN whose sign bit is set, which processors make of 0/0, below all of them.
    """
    return F.nanvl(column, F.lit(math.nan).cast(kind)) if isinstance(kind, FloatType | DoubleType) else column


def plain(value: Any) -> Any:
    """A value of a suite as the engines take it: a whole number beyond 64 bits is a decimal, or a double."""
    if not isinstance(value, int) or -(2**63) <= value < 2**63:
        return value
    return Decimal(value) if abs(value) < 10**_DECIMAL_DIGITS else float(value)


def truth(condition: Column) -> Column:
    """The condition with null as false.

    Written so that no engine skips parts of a file for it: the statistics of a Parquet file leave NaN out, and the
    embedded engine would skip the NaN of a column whose greatest number is within bounds.
    """
    return F.when(condition, F.lit(True)).otherwise(F.lit(False))


def quoted(name: str) -> str:
    """A column name as Spark SQL quotes it."""
    return "`" + name.replace("`", "``") + "`"


def any_of(conditions: Sequence[Column]) -> Column:
    """True where any is true; false where there is none."""
    return _balanced(conditions, operator.or_) if conditions else F.lit(False)


def all_of(conditions: Sequence[Column]) -> Column:
    """True where all are true; true where there is none."""
    return _balanced(conditions, operator.and_) if conditions else F.lit(True)


def _balanced(conditions: Sequence[Column], join: Callable[[Column, Column], Column]) -> Column:
    """Joins in a balanced tree: the protocol refuses expressions that nest some dozens deep."""
    found = list(conditions)
    while len(found) > 1:
        found = [reduce(join, found[i : i + 2]) for i in range(0, len(found), 2)]
    return found[0]


def missing_column(name: str, columns: Sequence[str]) -> str:
    """The sentence for a column that is not there."""
    near = get_close_matches(name, columns, n=3, cutoff=0.5)
    if not near:
        near = [column for column in columns if column.lower() == name.lower()]
    hint = f"; near names: {', '.join(near)}" if near else f"; columns: {', '.join(columns[:20])}"
    return f"there is no column {name!r}{hint}"
