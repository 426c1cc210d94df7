"""Typed Parquet and rejects: what every kind of source leaves behind."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from batch_processing.errors import LedgerError, SourceSchemaError, StorageError
from batch_processing.results import FileFact, Landed
from batch_processing.sources.casting import arrow_type

_LOG = logging.getLogger(__name__)

ROWS_PER_PART = 5_000_000
_REJECTS_IN_MEMORY = 20_000
_REJECT_BYTES_IN_MEMORY = 16 << 20
_BLOCKS_IN_FLIGHT = 2
_SAMPLE = 10_000
_ORIGIN = pa.dictionary(pa.int8(), pa.string())  # in the file it is a plain string column

REJECT_SCHEMA = pa.schema(
    [
        ("_source_file", pa.string()),
        ("_source_row", pa.int64()),
        ("column", pa.string()),
        ("error", pa.string()),
        ("raw", pa.string()),
    ]
)


@dataclass(frozen=True)
class Reject:
    """A record that could not be read as declared: one per record, whatever the number of its errors.

    Attributes:
        row: 1-based record in its file.
        column: the columns that do not fit, comma-separated; None where the record as a whole does not.
        error: what is wrong; holds no data value.
        raw: the record's text; bytes that are no UTF-8 stand as `\\xNN`.
    """

    file: str
    row: int
    column: str | None
    error: str
    raw: str


class Landing:
    """Writes `part-*.parquet` and `rejects-*.parquet` into a folder, and keeps the count.

    Use as a context manager. Leftovers of an earlier try in the folder are removed first. Parquet is
    encoded on a thread of its own, with at most two blocks waiting.
    """

    def __init__(self, folder: Path, *, columns: Mapping[str, str], source: str) -> None:
        self._folder, self._source = folder, source
        fields = [(name, arrow_type(declared)) for name, declared in columns.items()]
        self.schema = pa.schema([*fields, ("_source_file", _ORIGIN), ("_source_row", pa.int64())])
        self._writer: pq.ParquetWriter | None = None
        self._rows_in_part = 0
        self._files: list[str] = []
        self._reject_files: list[str] = []
        self._reject_writer: pq.ParquetWriter | None = None
        self._rejects: list[Reject] = []
        self._reject_bytes = 0
        self._first_reject: Reject | None = None
        self.landed = 0
        self.rejected = 0

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for pattern in ("part-*.parquet", "rejects-*.parquet"):
                for leftover in self._folder.glob(pattern):
                    leftover.unlink()
        except OSError as error:
            raise self._storage_error(error) from error
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="landing")
        self._pending: list[Future[None]] = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        for writer in (self._writer, self._reject_writer):
            if writer is not None:
                writer.close()

    def add(self, columns: Sequence[pa.Array], *, file: str, rows: npt.NDArray[np.int64]) -> None:
        """Lands typed rows.

        Args:
            columns: one array per declared column, in the declared order and type.
            file: their `_source_file`.
            rows: their `_source_row`.
        """
        count = len(rows)
        if not count:
            return
        indices = pa.array(np.zeros(count, dtype=np.int8))
        origin = pa.DictionaryArray.from_arrays(indices, pa.array([file]))
        table = pa.Table.from_arrays([*columns, origin, pa.array(rows)], schema=self.schema)
        self.landed += count
        self._pending.append(self._pool.submit(self._write, table))
        while len(self._pending) > _BLOCKS_IN_FLIGHT:
            self._take(self._pending.pop(0))

    def reject(self, reject: Reject) -> None:
        """Keeps a record that does not fit."""
        if self._first_reject is None:
            self._first_reject = reject
        self.rejected += 1
        self._rejects.append(reject)
        self._reject_bytes += len(reject.raw)
        if len(self._rejects) >= _REJECTS_IN_MEMORY or self._reject_bytes >= _REJECT_BYTES_IN_MEMORY:
            self._flush_rejects()

    def finish(self, *, read: int, max_rejected: float, inputs: Sequence[FileFact] = ()) -> Landed:
        """Closes the files and settles the account.

        Args:
            read: records met in the source, counted apart from what was landed and rejected.
            max_rejected: greatest share of `read` that may be rejected, 0..1.

        Raises:
            LedgerError: `read` is not `landed + rejected`.
            SourceSchemaError: too many rejects (they are kept in the folder).
            StorageError: the disk refused.
        """
        while self._pending:
            self._take(self._pending.pop(0))
        if not self._files:
            self._pool.submit(self._write, self.schema.empty_table()).result()
        self._flush_rejects()
        self._close_part()
        if self._reject_writer is not None:
            self._reject_writer.close()
            self._reject_writer = None
        self._check(read, max_rejected)
        _LOG.info("source %s: read %d, landed %d, rejected %d", self._source, read, self.landed, self.rejected)
        return Landed(
            files=tuple(self._files),
            read=read,
            landed=self.landed,
            rejected=self.rejected,
            reject_files=tuple(self._reject_files),
            inputs=tuple(inputs),
        )

    def _check(self, read: int, max_rejected: float) -> None:
        if read != self.landed + self.rejected:
            raise LedgerError(
                "records were lost or doubled while landing",
                where=f"source {self._source}",
                found=f"read {read}, landed {self.landed}, rejected {self.rejected}",
                fix="keep the input and report this; the landed files must not be used",
            )
        first = self._first_reject
        if first is not None and self.rejected > max_rejected * read:
            raise SourceSchemaError(
                f"{self.rejected} of {read} records are rejects, more than max_rejected {max_rejected:g}",
                where=f"source {self._source}",
                found=f"first in {first.file}, record {first.row}: {first.error}",
                fix=f"read the rejects in {', '.join(self._reject_files)}; then mend the input or the schema",
            )

    def _write(self, table: pa.Table) -> None:
        if self._writer is not None and self._rows_in_part >= ROWS_PER_PART:
            self._close_part()
        if self._writer is None:
            path = self._folder / f"part-{len(self._files):05d}.parquet"
            self._writer = pq.ParquetWriter(
                path,
                self.schema,
                compression="snappy",
                use_dictionary=_repetitive(table),
                write_statistics=_ordered(self.schema),
                store_schema=False,
            )
            self._files.append(str(path.absolute()))
        self._writer.write_table(table)
        self._rows_in_part += table.num_rows

    def _close_part(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer, self._rows_in_part = None, 0

    def _take(self, future: Future[None]) -> None:
        try:
            future.result()
        except OSError as error:
            raise self._storage_error(error) from error

    def _flush_rejects(self) -> None:
        if not self._rejects:
            return
        table = pa.Table.from_arrays(
            [
                pa.array([r.file for r in self._rejects], pa.string()),
                pa.array([r.row for r in self._rejects], pa.int64()),
                *(
                    pa.array([_storable(getattr(r, name)) for r in self._rejects], pa.string())
                    for name in ("column", "error", "raw")
                ),
            ],
            schema=REJECT_SCHEMA,
        )
        try:
            if self._reject_writer is None:
                path = self._folder / "rejects-00000.parquet"
                self._reject_writer = pq.ParquetWriter(path, REJECT_SCHEMA, store_schema=False)
                self._reject_files.append(str(path.absolute()))
            self._reject_writer.write_table(table)
        except OSError as error:
            raise self._storage_error(error) from error
        self._rejects, self._reject_bytes = [], 0

    def _storage_error(self, error: OSError) -> StorageError:
        return StorageError(
            "cannot write landed files",
            where=str(self._folder),
            found=error.strerror or type(error).__name__,
            fix="check space and rights of the run's folder",
        )


def _storable(text: str | None) -> str | None:
    """Text without lone surrogates, which JSON can hold and UTF-8 cannot."""
    return None if text is None else text.encode("utf-8", errors="backslashreplace").decode()


def _ordered(schema: pa.Schema) -> list[str]:
    """Columns whose statistics say all there is to know. Those of floats leave NaN out, and an engine that skips a file
    for its greatest value skips its NaN with it.
    """
    floating = (pa.float16(), pa.float32(), pa.float64())
    return [field.name for field in schema if field.type not in floating and not pa.types.is_nested(field.type)]


def _repetitive(table: pa.Table) -> list[str]:
    """Columns worth a Parquet dictionary, judged on the first rows."""
    sample = table.slice(0, _SAMPLE)
    limit = max(1, sample.num_rows // 4)
    return [name for name in table.column_names if len(sample.column(name).unique()) <= limit]
