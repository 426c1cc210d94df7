"""Column names, types and row conditions of the DataFrame that is judged."""

from __future__ import annotations

import json
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
        """A column by name; a dot in the name is part of it where a column is called so.

        Raises:
            CannotCompile: no such column.
        """
        self.type_of(name)
        return F.col(quoted(name)) if name in self.columns else F.col(name)

    def is_floating(self, name: str) -> bool:
        """True for a column of floating-point numbers."""
        return isinstance(self.type_of(name), FloatType | DoubleType)

    def read(self, value: Column, name: str) -> Column:
        """A column's value, to be read from the rows themselves where it is a float.

        The statistics of a Parquet file leave NaN out, and the embedded engine answers `min` and `max` from them.
        """
        return value + F.lit(0.0) if self.is_floating(name) else value

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
            return Measure(ROWS, F.count(F.lit(1)), from_statistics=True)
        return Measure(f"rows|{self.text}", F.count_if(self.condition))

    def nulls(self, name: str, column: Column) -> Measure:
        """Rows in the domain where the column is null."""
        if self.condition is not None:
            return self.count(f"null|{name}", column.isNull())
        return Measure(f"null|{name}|", F.count(F.lit(1)) - F.count(column), from_statistics=True)

    def present(self, name: str, column: Column) -> Measure:
        """Rows in the domain where the column is not null."""
        if self.condition is not None:
            return self.count(f"present|{name}", column.isNotNull())
        return Measure(f"present|{name}|", F.count(column), from_statistics=True)

    def count(self, key: str, condition: Column) -> Measure:
        """Rows in the domain that meet a condition."""
        return Measure(f"{key}|{self.text}", F.count_if(self.where(condition)))


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
