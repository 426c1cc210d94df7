"""Parquet footers that every reader may filter by.

The embedded engine, as most writers, leaves NaN out of a column's bounds, while Spark, the embedded engine and DuckDB
take NaN for the greatest number when they filter: a row group that holds 1.5 and NaN says that its greatest value is
1.5, and `x > 100` skips it with its NaN. (parquet-mr, Apache Spark's writer, writes no bounds where it meets NaN.)
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_processing.errors import StorageError

_LOG = logging.getLogger(__name__)
_FLOATS = ("FLOAT", "DOUBLE")
_CAREFUL_WRITER = "parquet-mr"


def drop_bounds_of_nan(path: Path) -> None:
    """Writes a file again, without bounds of float columns, if one of these holds NaN beside its bounds.

    Raises:
        StorageError: the file cannot be read, or not written.
    """
    try:
        with pq.ParquetFile(path) as file:
            floats = _bounded_floats(file.metadata)
            if not floats or not _holds_nan(file, floats):
                return
            _LOG.info("%s has NaN: it is written again without bounds of its floats", path)
            _rewrite(file, path)
    except (OSError, pa.ArrowException) as error:
        raise StorageError(
            "a staged file cannot be read, or written again without bounds of its NaN",
            where=str(path),
            found=getattr(error, "strerror", "") or type(error).__name__,
            fix="check the disk, then run the transform again",
        ) from error


def _bounded_floats(metadata: pq.FileMetaData) -> list[str]:
    """Paths of float columns that have bounds."""
    if metadata.created_by.startswith(_CAREFUL_WRITER):
        return []
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    columns = [group.column(index) for group in groups for index in range(metadata.num_columns)]
    return sorted(
        {
            column.path_in_schema
            for column in columns
            if column.physical_type in _FLOATS and column.statistics is not None and column.statistics.has_min_max
        }
    )


def _holds_nan(file: pq.ParquetFile, columns: list[str]) -> bool:
    batches = file.iter_batches(columns=columns)
    return any(
        pc.any(pc.is_nan(leaf)).as_py() for batch in batches for column in batch.columns for leaf in _leaves(column)
    )


def _leaves(array: Any) -> Iterator[Any]:
    """The float values in a column, those in structs and lists too."""
    kind = array.type
    if pa.types.is_struct(kind):
        for number in range(kind.num_fields):
            yield from _leaves(array.field(number))
    elif pa.types.is_map(kind):
        yield from _leaves(array.keys)
        yield from _leaves(array.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _leaves(array.values)
    elif pa.types.is_floating(kind):
        yield array


def _rewrite(file: pq.ParquetFile, path: Path) -> None:
    metadata = file.metadata
    kept = [
        metadata.schema.column(index).path
        for index in range(metadata.num_columns)
        if metadata.schema.column(index).physical_type not in _FLOATS
    ]
    beside = path.with_name(f".{path.name}.rewritten")
    try:
        with pq.ParquetWriter(beside, file.schema_arrow, compression="zstd", write_statistics=kept) as writer:
            for number in range(metadata.num_row_groups):
                writer.write_table(file.read_row_group(number))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
