"""Column names, types and row conditions of the DataFrame that is judged."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 -- the name every Spark text uses
from pyspark.sql.types import DataType, DoubleType, FloatType, StructType

from batch_processing.quality.rules import CannotCompile, Measure, NotCompiled

ROWS = "rows"
"""Key of the measure: rows of the whole DataFrame."""


class Frame:
    """The schema of a DataFrame, with the look-ups that rules need."""

    def __init__(self, df: DataFrame) -> None:
        self.schema: StructType = df.schema
        self.columns: tuple[str, ...] = tuple(field.name for field in self.schema.fields)
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

    def _collect_types(self, struct: StructType, parent: str) -> None:
        for field in struct.fields:
            name = f"`{field.name}`" if "." in field.name and not field.name.startswith("`") else field.name
            self._types[f"{parent}{name}"] = field.dataType
            if isinstance(field.dataType, StructType):
                self._collect_types(field.dataType, f"{parent}{field.name}.")


class Domain:
    """The rows an expectation is about: those that meet its row condition."""

    def __init__(self, kwargs: Mapping[str, Any]) -> None:
        condition, parser = kwargs.get("row_condition"), kwargs.get("condition_parser")
        self.text = ""
        self._structured = isinstance(condition, Mapping) and condition.get("type") != "pass_through"
        self.condition: Column | None = None
        if not condition:
            return
        if isinstance(condition, Mapping) and condition.get("type") == "pass_through":
            condition, parser = condition.get("pass_through_filter"), "spark"
        if isinstance(condition, Mapping):
            self.text = json.dumps(condition, sort_keys=True, default=str)
            self.condition = _condition(condition)
        elif parser == "spark" and isinstance(condition, str):
            self.text = condition
            self.condition = F.expr(condition)
        else:
            raise NotCompiled

    def within(self, value: Column) -> Column:
        """The value in the domain, null outside of it; not evaluated there."""
        return value if self.condition is None else F.when(self.condition, value)

    def within_sql(self, value: str) -> str:
        """The same in Spark SQL, for what has no Column function.

        Raises:
            NotCompiled: the condition is not written in Spark SQL.
        """
        if self._structured:
            raise NotCompiled
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
    """True where all are true."""
    return _balanced(conditions, operator.and_)


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


def _condition(node: Mapping[str, Any]) -> Column:
    """GX's own condition objects (`row_condition` as JSON)."""
    kind = node.get("type")
    try:
        if kind in ("and", "or"):
            parts = [_condition(part) for part in node["conditions"]]
            return all_of(parts) if kind == "and" else any_of(parts)
        column = F.col(quoted(node["column"]["name"]))
        if kind == "nullity":
            return column.isNull() if node["is_null"] else column.isNotNull()
        if kind == "comparison":
            return _comparison(column, node["operator"], node["parameter"])
    except (KeyError, TypeError):
        raise NotCompiled from None
    raise NotCompiled


def _comparison(column: Column, operator: str, parameter: Any) -> Column:
    if operator in ("IN", "NOT_IN"):
        found = column.isin(list(parameter))
        return found if operator == "IN" else ~found
    if isinstance(parameter, Mapping | list):
        raise NotCompiled
    compare = {"==": "__eq__", "!=": "__ne__", "<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}[operator]
    result: Column = getattr(column, compare)(F.lit(parameter))
    return result
