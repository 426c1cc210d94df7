"""The warehouse's rows of a slice against the published files, value by value.

Both sides are streamed through DuckDB, which hashes each row (64 bits). Count, sum and exclusive or of the hashes do
not depend on the order. Where they differ both sides are read once more, and matched to say how many rows. A session is
open only while the warehouse is read: none waits in a transaction while the files are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from batch_processing.errors import BatchError, WarehouseError
from batch_processing.results import Slice
from batch_processing.warehouse import statements
from batch_processing.warehouse.columns import Column
from batch_processing.warehouse.files import PublishedFiles, RowStream
from batch_processing.warehouse.names import TableName
from batch_processing.warehouse.session import Session

_MEMORY_LIMIT = "512MB"
_ARRIVING = "arriving"
_SUMS = "SELECT count(*), sum(h), bit_xor(h) FROM ({rows})"
_MATCH = (
    "SELECT coalesce(sum(greatest(n, 0)), 0), coalesce(sum(greatest(-n, 0)), 0) "
    "FROM (SELECT sum(side) AS n FROM hashes GROUP BY h)"
)


@dataclass(frozen=True)
class Compared:
    """What came of a comparison.

    Attributes:
        equal: rows that are on both sides, as often.
        missing: rows of the files that the warehouse lacks.
        foreign: rows of the warehouse that the files lack.
        left_out: columns that were not compared: the warehouse keeps their values in a form of its own.
    """

    equal: int
    missing: int
    foreign: int
    left_out: tuple[str, ...] = ()


def compare_rows(
    opened: Callable[[], Session],
    table: TableName,
    *,
    files: PublishedFiles,
    columns: Sequence[Column],
    slice: Slice,
    generation: int,
) -> Compared:
    """Compares the table's rows of a slice and generation with the rows of the files.

    Args:
        opened: opens a session on the warehouse.
        table: as declared.
        files: the published files.
        columns: of the published table.
        slice: the data interval.
        generation: which one is loaded.

    Raises:
        WarehouseError: the warehouse does not answer, or the rows could not be matched.
        StorageError: a file cannot be read.
        LedgerError: a file has another number of rows than the log says.
    """
    sides = _Sides(opened, table, files=files, columns=columns, slice=slice, generation=generation)
    try:
        with tempfile.TemporaryDirectory(prefix="batch-compare-") as folder, closing(_database(folder)) as database:
            published, there = sides.published(database, _SUMS)[0], sides.there(database, _SUMS)[0]
            if published == there:
                return Compared(int(published[0]), 0, 0, sides.left_out)
            database.execute("CREATE TABLE hashes (h UBIGINT, side TINYINT)")
            sides.published(database, "INSERT INTO hashes SELECT h, 1 FROM ({rows})")
            sides.there(database, "INSERT INTO hashes SELECT h, -1 FROM ({rows})")
            missing, foreign = database.execute(_MATCH).fetchall()[0]
    except duckdb.Error as error:
        if sides.failure is not None:
            raise sides.failure from error
        raise WarehouseError(
            "the warehouse's rows could not be compared",
            where=f"{sides.location} {table.table}",
            found=type(error).__name__,  # DuckDB's messages may quote values of the data
            fix="check disk space in the temporary folder, then compare again",
        ) from error
    return Compared(int(published[0]) - int(missing), int(missing), int(foreign), sides.left_out)


class _Sides:
    """Both sides of a comparison, each readable more than once."""

    def __init__(
        self,
        opened: Callable[[], Session],
        declared: TableName,
        *,
        files: PublishedFiles,
        columns: Sequence[Column],
        slice: Slice,
        generation: int,
    ) -> None:
        with closing(opened()) as session:
            self.location, table = session.location, session.name(declared)
            types = session.columns(table)
            forms = {column.name: session.readable(column, types.get(column.name)) for column in columns}
            self._nested = {
                column.name: session.nested_form(types.get(column.name) or session.type_of(column))
                for column in columns
                if column.nested and forms[column.name] is not None
            }
        self.left_out = tuple(name for name, form in forms.items() if form is None)
        self.failure: BatchError | None = None
        self._columns = [column for column in columns if forms[column.name] is not None]
        self._sql = statements.select_slice(table, {name: form for name, form in forms.items() if form is not None})
        self._opened, self._files, self._slice, self._generation = opened, files, slice, generation

    def published(self, database: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
        """Runs SQL over `{rows}`: the hash `h` of each row in the files."""
        stream = RowStream(
            self._files.files,
            columns=self._columns,
            nested=self._nested,
            slice_start=self._slice.start,
            generation=self._generation,
        )
        try:
            return self._run(database, sql, stream.reader())
        finally:
            self.failure = stream.failure

    def there(self, database: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
        """The same over the rows in the warehouse."""
        with closing(self._opened()) as session:
            return self._run(database, sql, session.read(self._sql, [self._slice.start, self._generation]))

    def _run(self, database: duckdb.DuckDBPyConnection, sql: str, rows: pa.RecordBatchReader) -> list[tuple[Any, ...]]:
        # By position: a name would have to be quoted, and DuckDB's names do not tell upper from lower case.
        names = [f"c{number}" for number in range(len(rows.schema.names))]
        values = ", ".join(_value(name, column) for name, column in zip(names, self._columns, strict=False)) or "0"
        hashed = f"SELECT hash({values}) AS h FROM {_ARRIVING} AS t({', '.join(names)})"  # noqa: S608 - own names
        database.register(_ARRIVING, rows)
        try:
            return list(database.execute(sql.format(rows=hashed)).fetchall())
        finally:
            database.unregister(_ARRIVING)


def _database(folder: str) -> duckdb.DuckDBPyConnection:
    settings = {"memory_limit": _MEMORY_LIMIT, "temp_directory": folder, "autoinstall_known_extensions": False}
    database = duckdb.connect(config=settings)
    database.execute("SET TimeZone = 'UTC'")
    database.execute("SET enable_progress_bar = false")
    database.execute("SET preserve_insertion_order = false")
    return database


def _value(name: str, column: Column) -> str:
    """Both sides in one type: PostgreSQL has no 8-bit integers, and its decimals travel as text."""
    if pa.types.is_integer(column.arrow):
        return f"CAST({name} AS BIGINT)"
    if pa.types.is_decimal(column.arrow):
        return f"CAST({name} AS DECIMAL({column.arrow.precision},{column.arrow.scale}))"
    return name
