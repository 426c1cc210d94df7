"""The published table's columns, out of Delta's schema JSON, with the Arrow types they travel as."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from batch_processing.errors import WarehouseRefused
from batch_processing.warehouse.names import GENERATION_COLUMN, SLICE_COLUMN

_DECIMAL = re.compile(r"^decimal\((\d+),\s*(-?\d+)\)$")

INSTANT = pa.timestamp("us", "UTC")

_ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "long": pa.int64(),
    "integer": pa.int32(),
    "short": pa.int16(),
    "byte": pa.int8(),
    "double": pa.float64(),
    "float": pa.float32(),
    "boolean": pa.bool_(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": INSTANT,
    "timestamp_ntz": pa.timestamp("us"),
}


@dataclass(frozen=True)
class Column:
    """A column of the published table.

    Attributes:
        name: as in the table.
        kind: Delta's type name: `long`, `decimal(10,2)`, ...; `struct`, `array` or `map` where nested.
        arrow: the type it is read as.
    """

    name: str
    kind: str
    arrow: pa.DataType

    @property
    def nested(self) -> bool:
        return self.kind in ("struct", "array", "map")


OWN_COLUMNS = (Column(SLICE_COLUMN, "timestamp", INSTANT), Column(GENERATION_COLUMN, "integer", pa.int32()))
"""What every warehouse row carries beside its data: which slice and generation brought it."""


def read_columns(schema_json: str) -> tuple[Column, ...]:
    """The columns that Delta's schema JSON declares.

    Raises:
        WarehouseRefused: a type no warehouse column is mapped to, or a name that is reserved.
    """
    columns = tuple(_column(field) for field in json.loads(schema_json)["fields"])
    if taken := [column.name for column in columns if column.name in (SLICE_COLUMN, GENERATION_COLUMN)]:
        raise WarehouseRefused(
            f"the output has columns whose names are reserved: {', '.join(taken)}",
            where="transform",
            fix="rename them in the transform; the warehouse keeps its own facts there",
        )
    return columns


def _column(field: Mapping[str, Any]) -> Column:
    declared = field["type"]
    kind = declared if isinstance(declared, str) else str(declared["type"])
    return Column(field["name"], kind, _arrow_type(declared, column=field["name"]))


def _arrow_type(declared: Any, *, column: str) -> pa.DataType:
    if isinstance(declared, Mapping):
        return _nested_type(declared, column=column)
    if declared in _ARROW:
        return _ARROW[declared]
    if match := _DECIMAL.match(declared):
        return pa.decimal128(int(match[1]), int(match[2]))
    raise WarehouseRefused(
        f"columns of type {declared} cannot be loaded",
        where=f"column {column}",
        fix="cast it in the transform to a type that docs/warehouse.md lists",
    )


def _nested_type(declared: Mapping[str, Any], *, column: str) -> pa.DataType:
    if declared["type"] == "struct":
        return pa.struct([pa.field(f["name"], _arrow_type(f["type"], column=column)) for f in declared["fields"]])
    if declared["type"] == "array":
        return pa.list_(_arrow_type(declared["elementType"], column=column))
    key = _arrow_type(declared["keyType"], column=column)
    return pa.map_(key, _arrow_type(declared["valueType"], column=column))
