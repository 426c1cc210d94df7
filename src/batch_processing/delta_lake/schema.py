"""Delta's schema JSON: made from a DataFrame, and compared with a table's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from deltalake import DeltaTable
from pyspark.sql import types as st

from batch_processing.errors import TableError

_SIMPLE = frozenset(
    (
        "string",
        "long",
        "integer",
        "short",
        "byte",
        "float",
        "double",
        "boolean",
        "binary",
        "date",
        "timestamp",
        "timestamp_ntz",
    )
)
_DECIMAL = re.compile(r"^decimal\(\d+,\s*-?\d+\)$")
_FORBIDDEN = re.compile(r"[ ,;{}()\n\t=]")
"""Characters Delta refuses in a column name without column mapping (Delta protocol, "Column Mapping")."""

SchemaChange = Literal["strict", "additive"]


def delta_schema_json(schema: st.StructType, *, partition_by: tuple[str, ...], where: str) -> str:
    """A Spark schema as Delta's schema JSON, every field nullable and without metadata.

    Raises:
        TableError: a column type, name or partition column that a Delta table cannot hold; all problems at once.
    """
    fields = json.loads(schema.json())["fields"]
    names = [f["name"] for f in fields]
    problems = _name_problems(names) + _partition_problems(names, partition_by)
    cleaned = [_field(f, problems) for f in fields]
    if problems:
        raise TableError(
            "the output cannot be written as a Delta table",
            where=where,
            found="; ".join(problems),
            fix="rename or cast these columns in the transform",
        )
    return json.dumps({"type": "struct", "fields": cleaned}, separators=(",", ":"))


def table_schema_json(table: Path | str, version: int) -> str:
    """The schema of a table's version in Delta's JSON form."""
    return str(DeltaTable(str(table), version=version).schema().to_json())


def spark_schema(schema_json: str) -> st.StructType:
    """The Spark schema of a Delta schema JSON."""
    return st.StructType.fromJson(json.loads(schema_json))


def column_types(schema_json: str) -> dict[str, Any]:
    """Column name -> Delta type (a string, or a nested type's object), in order."""
    return {field["name"]: field["type"] for field in json.loads(schema_json)["fields"]}


def free_name(wanted: str, columns: Iterable[str]) -> str:
    """A column name for our own use: `wanted`, lengthened until no column has it (case does not count)."""
    taken = {column.lower() for column in columns}
    name = wanted
    while name.lower() in taken:
        name += "_"
    return name


def new_columns(staged_json: str, table_json: str, *, change: SchemaChange, where: str) -> tuple[str, ...]:
    """Columns to add to the table, in the staged order; empty where the schemas agree.

    Order and nullability do not matter; names and types do.

    Raises:
        TableError: a difference that `change` does not allow, shown whole.
    """
    staged, table = column_types(staged_json), column_types(table_json)
    differences = [f"column {n!r} is {show_type(staged[n])}, the table has {show_type(table[n])}"
                   for n in staged if n in table and _plain(staged[n]) != _plain(table[n])]  # fmt: skip
    differences += [
        f"column {n!r} is missing, the table has it as {show_type(table[n])}" for n in table if n not in staged
    ]
    added = tuple(n for n in staged if n not in table)
    lower = {n.lower() for n in table}
    differences += [
        f"column {n!r} differs from a column of the table only in case" for n in added if n.lower() in lower
    ]
    if change == "strict":
        differences += [f"column {n!r} ({show_type(staged[n])}) is not in the table" for n in added]
    if differences:
        raise TableError(
            "the output's schema differs from the table's",
            where=where,
            found="; ".join(differences),
            fix="change the transform or the table; `schema_change: additive` allows new columns, and nothing else",
        )
    return added


def _partition_problems(names: list[str], partition_by: tuple[str, ...]) -> list[str]:
    problems = [f"partition column {n!r} is not a column of the output" for n in partition_by if n not in names]
    problems += [
        f"partition column {n!r} starts with a dot: engines take its folders for hidden ones, and read none of its rows"
        for n in partition_by
        if n.startswith(".")
    ]
    if not names:
        problems.append("no column at all")
    elif set(names) <= set(partition_by):
        problems.append("every column is a partition column")
    return problems


def _name_problems(names: list[str], path: str = "") -> list[str]:
    """Of the table's columns, or of the fields of the struct at `path`."""
    problems = [
        f"column name {path + n!r} has one of the characters ' ,;{{}}()=', tab or newline"
        for n in names
        if _FORBIDDEN.search(n)
    ]
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            problems.append(f"column name {path + name!r} occurs twice (case does not count)")
        seen.add(name.lower())
    return problems


def _field(field: dict[str, Any], problems: list[str], path: str = "") -> dict[str, Any]:
    name = f"{path}{field['name']}"
    return {"name": field["name"], "type": _type(field["type"], problems, name), "nullable": True, "metadata": {}}


def _type(kind: Any, problems: list[str], name: str) -> Any:
    if isinstance(kind, str):
        if kind not in _SIMPLE and not _DECIMAL.match(kind):
            problems.append(f"column {name!r} has type {kind}")
        return kind
    if kind["type"] == "struct":
        problems += _name_problems([f["name"] for f in kind["fields"]], f"{name}.")
        return {"type": "struct", "fields": [_field(f, problems, f"{name}.") for f in kind["fields"]]}
    if kind["type"] == "array":
        return {"type": "array", "elementType": _type(kind["elementType"], problems, f"{name}[]"), "containsNull": True}
    if kind["type"] == "map":
        return {
            "type": "map",
            "keyType": _type(kind["keyType"], problems, f"{name}{{key}}"),
            "valueType": _type(kind["valueType"], problems, f"{name}{{value}}"),
            "valueContainsNull": True,
        }
    problems.append(f"column {name!r} has type {kind['type']}")
    return kind


def _plain(kind: Any) -> Any:
    """A type without nullability and metadata, for comparing."""
    if isinstance(kind, str):
        return kind.replace(" ", "")
    if kind["type"] == "struct":
        return ("struct", tuple((f["name"], _plain(f["type"])) for f in kind["fields"]))
    if kind["type"] == "array":
        return ("array", _plain(kind["elementType"]))
    return ("map", _plain(kind["keyType"]), _plain(kind["valueType"]))


def show_type(kind: Any) -> str:
    if isinstance(kind, str):
        return kind
    if kind["type"] == "struct":
        return "struct<" + ",".join(f"{f['name']}:{show_type(f['type'])}" for f in kind["fields"]) + ">"
    if kind["type"] == "array":
        return f"array<{show_type(kind['elementType'])}>"
    return f"map<{show_type(kind['keyType'])},{show_type(kind['valueType'])}>"
