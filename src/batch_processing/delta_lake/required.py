"""Columns that a table declares NOT NULL: staged files must provably have no nulls there.

Readers take the declaration at its word: one null inside of a nested column makes the whole table unreadable for them.
A null struct is one too, where a field of it is NOT NULL: Arrow, so deltalake and DuckDB, refuses to read it.
Statistics tell a plain column's nulls. Of a nested one the rows are read: a footer counts an empty array, which every
reader takes, as a null element.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_processing.errors import StorageError, TableError
from batch_processing.results import Staged, StagedFile

_Part = tuple[str, Any, Any, bool]
"""Path, values, Delta type, and whether null is allowed: of a field, an element, a key or a value."""


def check_required(staged: Staged, schema_json: str) -> None:
    """Passes where the staged files have values wherever the table's schema demands them.

    Args:
        staged: what is published; its columns have the table's names and types.
        schema_json: the table's schema.

    Raises:
        TableError: a null where the schema allows none, or a plain column that cannot be shown to have none.
        StorageError: a staged file cannot be read.
    """
    fields = json.loads(schema_json)["fields"]
    for field in fields:
        if isinstance(field["type"], str) and not field["nullable"] and _may_be_null(staged, field["name"]):
            raise _refused(staged, field["name"])
    nested = [f for f in fields if not isinstance(f["type"], str) and _demands(f["type"], nullable=f["nullable"])]
    for file in staged.files if nested else ():
        for batch in _batches(Path(staged.table) / file.path, nested):
            parts = ((f["name"], batch.column(f["name"]), f["type"], f["nullable"]) for f in nested)
            if path := _first_null(parts):
                raise _refused(staged, path)


def _may_be_null(staged: Staged, column: str) -> bool:
    def of_file(file: StagedFile) -> bool:
        if column in staged.partition_by:
            return file.partition_values.get(column) is None
        return bool(file.stats.get("nullCount", {}).get(column) != 0)

    return any(of_file(file) for file in staged.files)


def _demands(kind: Any, *, nullable: bool = True) -> bool:
    """Whether null is not allowed for values of a type, or somewhere inside of it."""
    if not nullable:
        return True
    if isinstance(kind, str):
        return False
    if kind["type"] == "struct":
        return any(_demands(f["type"], nullable=f["nullable"]) for f in kind["fields"])
    if kind["type"] == "array":
        return _demands(kind["elementType"], nullable=kind["containsNull"])
    return _demands(kind["keyType"]) or _demands(kind["valueType"], nullable=kind["valueContainsNull"])


def _first_null(parts: Iterator[_Part]) -> str:
    """The path of the first null that is not allowed; "" where there is none."""
    for path, values, kind, nullable in parts:
        if not nullable and values.null_count:
            return path
        if not isinstance(kind, str) and (inner := _first_null(_inside(path, values, kind))):
            return inner
    return ""


def _inside(path: str, values: Any, kind: Any) -> Iterator[_Part]:
    """The parts of nested values: a null struct has null fields, a null array or map has no parts."""
    if kind["type"] == "struct":
        for field in kind["fields"]:
            yield f"{path}.{field['name']}", values.field(field["name"]), field["type"], field["nullable"]
    elif kind["type"] == "array":
        yield f"{path}[]", values.flatten(), kind["elementType"], kind["containsNull"]
    else:
        yield f"{path}{{key}}", values.keys, kind["keyType"], False
        yield f"{path}{{value}}", values.items, kind["valueType"], kind["valueContainsNull"]


def _batches(path: Path, fields: Sequence[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(columns=[field["name"] for field in fields])
    except (OSError, pa.ArrowException) as error:
        raise StorageError(
            "a staged file cannot be read",
            where=str(path),
            found=getattr(error, "strerror", "") or type(error).__name__,
            fix="check the disk, then run the transform again",
        ) from error


def _refused(staged: Staged, path: str) -> TableError:
    return TableError(
        "a column that the table declares NOT NULL has nulls, or cannot be shown to have none",
        where=f"{staged.table}, column {path}",
        fix="fill it in the transform, or drop NOT NULL from the table",
    )
