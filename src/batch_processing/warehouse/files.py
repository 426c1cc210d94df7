"""The published data files: which they are, what partition each belongs to, and their rows as a stream."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from batch_processing.errors import BatchError, LedgerError, StorageError, TableError, WarehouseRefused
from batch_processing.results import Published
from batch_processing.storage import local_path
from batch_processing.warehouse.columns import INSTANT, Column
from batch_processing.warehouse.names import GENERATION_COLUMN, SLICE_COLUMN
from batch_processing.warehouse.nested_json import json_array

_BATCH_ROWS = 65_536
_READ_BUFFER = 1 << 20
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class DataFile:
    """A published file.

    Attributes:
        path: absolute.
        partition: partition column -> typed value, as the Delta log says.
        rows: records the log says it has; None where the log does not say.
    """

    path: str
    partition: Mapping[str, pa.Scalar] = field(default_factory=dict)
    rows: int | None = None


@dataclass(frozen=True)
class PublishedFiles:
    """The files of one publish.

    Attributes:
        files: in the order published.
        table_id: the Delta table's own id, which a table made anew at the same path does not share.
        root: the table's root path.
    """

    files: tuple[DataFile, ...]
    table_id: str
    root: Path

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the files' names, sizes and rows: what the ledger keeps as the load's identity.

        Worked out only where rows are loaded: the files of a slice that the warehouse has may be vacuumed.
        """
        return _digest(self.files, self.root)


def published_files(published: Published, *, columns: Sequence[Column], partition_by: Sequence[str]) -> PublishedFiles:
    """Reads the log at the published version and finds each file's partition values there.

    Raises:
        TableError: the log cannot be read at that version.
        StorageError: a published file is gone.
    """
    root = local_path(published.table)
    try:
        table = DeltaTable(str(root), version=published.version)
        table_id = str(table.metadata().id)
        known = _logged_files(table, root, partition_by) if published.files else {}
    except (DeltaError, OSError, ValueError) as error:
        raise TableError(
            "the published version of the table cannot be read",
            where=f"{published.table} version {published.version}",
            found=type(error).__name__,
            fix="check that the table is there and its log was not cleaned beyond this version",
        ) from error
    types = {column.name: column.arrow for column in columns}
    files = tuple(
        _typed(path, known.get(path) or _from_path(path, root, partition_by), types) for path in published.files
    )
    return PublishedFiles(files, table_id, root)


def _logged_files(
    table: DeltaTable, root: Path, partition_by: Sequence[str]
) -> dict[str, tuple[dict[str, Any], int | None]]:
    actions = table.get_add_actions(flatten=True)
    wanted = ["path", *(name for name in ("num_records",) if name in actions.schema.names)]
    wanted += [f"partition.{name}" for name in partition_by if f"partition.{name}" in actions.schema.names]
    rows = pa.table(actions.select(wanted))
    partitions = {name: rows[f"partition.{name}"] for name in partition_by if f"partition.{name}" in wanted}
    counts = rows["num_records"].to_pylist() if "num_records" in wanted else [None] * rows.num_rows
    found: dict[str, tuple[dict[str, Any], int | None]] = {}
    for number, path in enumerate(rows["path"].to_pylist()):
        values = {name: column[number] for name, column in partitions.items()}
        found[str(root / unquote(path))] = (values, counts[number])
    return found


def _from_path(path: str, root: Path, partition_by: Sequence[str]) -> tuple[dict[str, Any], None]:
    """Partition values of a file that the log does not name, out of its `name=value` folders."""
    relative = Path(path).relative_to(root) if Path(path).is_relative_to(root) else Path(path)
    pairs = dict(part.split("=", 1) for part in relative.parts[:-1] if "=" in part)
    values = {unquote(name): None if text == _NULL_PARTITION else unquote(text) for name, text in pairs.items()}
    return {name: pa.scalar(values[name], pa.string()) for name in partition_by if name in values}, None


def _typed(path: str, logged: tuple[dict[str, Any], int | None], types: Mapping[str, pa.DataType]) -> DataFile:
    values, rows = logged
    return DataFile(path, {name: _cast_value(value, types[name]) for name, value in values.items()}, rows)


def _cast_value(value: pa.Scalar, kind: pa.DataType) -> pa.Scalar:
    if pa.types.is_string(value.type) and pa.types.is_timestamp(kind):
        return value.cast(pa.timestamp("us")).cast(kind)
    return value.cast(kind)


def _digest(files: Sequence[DataFile], root: Path) -> str:
    lines = []
    for file in files:
        try:
            size = Path(file.path).stat().st_size
        except OSError as error:
            raise _gone(file.path, error) from error
        name = Path(file.path).relative_to(root) if Path(file.path).is_relative_to(root) else Path(file.path)
        lines.append(f"{name.as_posix()}\t{size}\t{file.rows}")
    return hashlib.sha256("\n".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()


def _gone(path: str, error: Exception) -> StorageError:
    return StorageError(
        "a published file cannot be read",
        where=path,
        found=type(error).__name__,
        fix="where a later slice replaced its rows, load that one first; else reprocess the slice",
    )


class RowStream:
    """The rows of published files as Arrow record batches, one after the other; memory stays flat.

    Every batch has the table's columns, then, where `own` is true, `_slice` and `_generation`.

    Args:
        files: the files.
        columns: the table's columns.
        nested: column name -> what a nested value becomes: `jsonb` (its binary form), `json` (text), or
            `native` (left as it is).
        slice_start: value of `_slice`, UTC.
        generation: value of `_generation`.
        own: whether the rows carry these two.

    Attributes:
        rows: records given so far.
        failure: the error that ended the stream; a driver that reads it may hide it in its own.
    """

    def __init__(
        self,
        files: Sequence[DataFile],
        *,
        columns: Sequence[Column],
        nested: Mapping[str, str],
        slice_start: Any,
        generation: int,
        own: bool = True,
    ) -> None:
        self.rows = 0
        self.failure: BatchError | None = None
        self._files, self._columns, self._nested = files, columns, nested
        values = {SLICE_COLUMN: pa.scalar(slice_start, INSTANT), GENERATION_COLUMN: pa.scalar(generation, pa.int32())}
        self._own = {name: pa.repeat(value, _BATCH_ROWS) for name, value in values.items()} if own else {}
        self.schema = pa.schema(
            [*((column.name, self._type(column)) for column in columns), *((n, a.type) for n, a in self._own.items())]
        )

    def reader(self) -> pa.RecordBatchReader:
        """The stream; to be read once."""
        return pa.RecordBatchReader.from_batches(self.schema, self._batches())

    def _type(self, column: Column) -> pa.DataType:
        as_json = {"jsonb": pa.binary(), "json": pa.string()}
        return as_json.get(self._nested.get(column.name, ""), column.arrow)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for file in self._files:
                yield from self._file_batches(file)
        except BatchError as error:
            self.failure = error
            raise

    def _file_batches(self, file: DataFile) -> Iterator[pa.RecordBatch]:
        before = self.rows
        fixed = {name: pa.repeat(value, _BATCH_ROWS) for name, value in file.partition.items()}
        for batch in _parquet_batches(file.path, [c.name for c in self._columns if c.name not in fixed]):
            arrays = [self._array(column, batch, fixed, file.path) for column in self._columns]
            arrays += [array.slice(0, batch.num_rows) for array in self._own.values()]
            self.rows += batch.num_rows
            yield pa.RecordBatch.from_arrays(arrays, schema=self.schema)
        if file.rows is not None and self.rows - before != file.rows:
            raise LedgerError(
                "a published file has another number of rows than the table's log says",
                where=file.path,
                found=f"{self.rows - before} rows read, {file.rows} in the log",
                fix="the file was changed after its publication; reprocess the slice",
            )

    def _array(self, column: Column, batch: pa.RecordBatch, fixed: Mapping[str, pa.Array], path: str) -> pa.Array:
        if column.name in fixed:
            array = fixed[column.name].slice(0, batch.num_rows)
        elif column.name in batch.schema.names:
            array = _cast(batch.column(column.name), column, path)
        else:
            array = pa.nulls(batch.num_rows, column.arrow)
        form = self._nested.get(column.name, "")
        if form == "jsonb":
            return _json(array, column, path, prefix=b"\x01")
        return _json(array, column, path).cast(pa.string()) if form == "json" else array


def _parquet_batches(path: str, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(
            path, buffer_size=_READ_BUFFER, pre_buffer=False, coerce_int96_timestamp_unit="us"
        ) as source:
            present = [name for name in names if name in source.schema_arrow.names]
            # A dot in a name would be read as a path into a nested column.
            chosen = None if any("." in name for name in present) else present
            if present:
                yield from source.iter_batches(batch_size=_BATCH_ROWS, columns=chosen)
            else:
                yield from _bare_batches(source.metadata.num_rows)
    except (OSError, pa.ArrowException) as error:
        raise _gone(path, error) from error


def _bare_batches(rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of no column that is read, for files whose columns are all partition columns."""
    for start in range(0, rows, _BATCH_ROWS):
        yield pa.record_batch({"": pa.nulls(min(_BATCH_ROWS, rows - start))})


def _json(array: pa.Array, column: Column, path: str, *, prefix: bytes = b"") -> pa.Array:
    try:
        return json_array(array, prefix=prefix)
    except (OverflowError, ValueError) as error:
        # Python's message may hold a value, so it is not repeated.
        raise WarehouseRefused(
            f"nested values of column {column.name} cannot be written as JSON",
            where=path,
            found=f"{type(error).__name__}: a date or time within them is beyond the years 1 to 9999",
            fix="mend the values in the transform and reprocess the slice",
        ) from error


def _cast(array: pa.Array, column: Column, path: str) -> pa.Array:
    if array.type == column.arrow:
        return array
    try:
        return array.cast(column.arrow)
    except pa.ArrowException as error:
        # Arrow's message may hold a value, so it is not repeated.
        raise WarehouseRefused(
            f"values of column {column.name} do not fit the table's type",
            where=path,
            found=f"{array.type} in the file, {column.kind} in the table",
            fix="cast the column in the transform and reprocess the slice",
        ) from error
