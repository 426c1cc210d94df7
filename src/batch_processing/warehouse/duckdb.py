"""A DuckDB file as the warehouse."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from batch_processing.errors import SettingError, WarehouseError, WarehouseRefused
from batch_processing.settings.values import Connection
from batch_processing.storage import local_path
from batch_processing.warehouse.columns import Column
from batch_processing.warehouse.names import TableName, quoted, quoted_list
from batch_processing.warehouse.session import Access, wait_seconds

_LOG = logging.getLogger(__name__)
_LOOK_AGAIN_SECONDS = 0.2
_READER = "_batch_reader"
_BATCH_ROWS = 65_536
_MEMORY_LIMIT = "512MB"
_ONE_AT_A_TIME: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
"""A DuckDB file has one writing process; within ours, one load at a time."""

_TYPES = {
    "string": "VARCHAR",
    "long": "BIGINT",
    "integer": "INTEGER",
    "short": "SMALLINT",
    "byte": "TINYINT",
    "double": "DOUBLE",
    "float": "FLOAT",
    "boolean": "BOOLEAN",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "timestamp_ntz": "TIMESTAMP",
}
_JSON_TYPES = ("JSON", "VARCHAR")
_REFUSALS = (
    duckdb.ConversionException,
    duckdb.ConstraintException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ParserException,
    duckdb.OutOfRangeException,
    duckdb.InvalidInputException,
    duckdb.InvalidTypeException,
    duckdb.PermissionException,
    duckdb.NotImplementedException,
)

T = TypeVar("T")


class DuckDbSession:
    """One transaction on a DuckDB file; see `session.Session`. To write, the file is made where it is absent."""

    def __init__(self, connection: Connection, *, access: Access = "write") -> None:
        self._access = access
        self._file = database_file(connection)
        self.location = str(self._file)
        deadline = time.monotonic() + wait_seconds(connection)
        self._lock = _ONE_AT_A_TIME[self._file]
        if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise self._busy()
        try:
            self._db = self._connect(deadline)
        except BaseException:
            self._lock.release()
            raise
        try:
            # What the defaults would do: download extensions, and read instants in the machine's zone.
            self._told(lambda: self._begin(connection))
        except BaseException:
            self.close()
            raise

    def _connect(self, deadline: float) -> duckdb.DuckDBPyConnection:
        try:
            if self._access == "write":
                self._file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseError(
                "the warehouse file's folder cannot be made",
                where=self.location,
                found=error.strerror or type(error).__name__,
                fix="check the connection's path and its rights",
            ) from error
        told = False
        while True:
            try:
                return duckdb.connect(self.location, read_only=self._access == "read")
            except duckdb.IOException as error:
                if "lock" not in str(error).lower():
                    raise self._wrapped(error) from error
                if time.monotonic() > deadline:
                    raise self._busy() from error
                if not told:
                    _LOG.warning("%s is in use by another process: waiting for it", self.location)
                    told = True
                time.sleep(_LOOK_AGAIN_SECONDS)
            except duckdb.Error as error:
                raise self._wrapped(error) from error

    def _begin(self, connection: Connection) -> None:
        self._db.execute("SET autoinstall_known_extensions = false")
        self._db.execute("SET autoload_known_extensions = false")
        self._db.execute("SET TimeZone = 'UTC'")
        self._db.execute("SET enable_progress_bar = false")  # it writes to standard output
        self._db.execute("SET memory_limit = $1", [str(connection.extra.get("memory_limit", _MEMORY_LIMIT))])
        self._db.execute("BEGIN TRANSACTION")

    def name(self, table: TableName) -> TableName:
        return table if table.schema else TableName(table.table, "main")

    def lock(self, table: TableName) -> None:
        """Nothing to do: the file is ours alone."""
        _LOG.debug("%s is locked with its file", table.sql)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._told(lambda: self._db.execute(sql, list(parameters)).fetchall())

    def columns(self, table: TableName) -> dict[str, str]:
        rows = self.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() "
            "AND schema_name = $1 AND table_name = $2 ORDER BY column_index",
            [table.schema, table.table],
        )
        return {str(name): str(kind) for name, kind in rows}

    def ensure_schema(self, table: TableName) -> None:
        self.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(table.schema)}")

    def type_of(self, column: Column) -> str:
        return _type_name(column.arrow, column.kind)

    def takes(self, column: Column, existing: str) -> bool:
        if existing == self.type_of(column):
            return True
        if column.nested and existing in _JSON_TYPES:
            return True
        if column.nested:
            described = self._told(lambda: self._db.execute(f"SELECT CAST(NULL AS {self.type_of(column)})").description)
            return str(described[0][1]) == existing
        return False

    def nested_form(self, existing: str) -> str:
        return "json" if existing in _JSON_TYPES else "native"

    def readable(self, column: Column, existing: str | None) -> str | None:
        return quoted(column.name) if existing is not None else f"CAST(NULL AS {self.type_of(column)})"

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> pa.RecordBatchReader:
        return self._told(lambda: self._db.sql(sql, params=list(parameters)).to_arrow_reader(_BATCH_ROWS))

    def index(self, table: TableName, columns: Sequence[Column], *, keys: Sequence[str]) -> None:
        """Nothing to do: DuckDB keeps minimum and maximum of every column per row group."""
        _LOG.debug("no index on %s: %s columns, %s keys", table.sql, len(columns), len(keys))

    def fill(self, table: TableName, values: Mapping[str, str]) -> bool:  # noqa: ARG002 - constant columns cost nothing
        return False

    def fill_no_more(self, table: TableName, names: Sequence[str]) -> None:
        """Nothing was begun."""

    def net_rows(self, table: TableName) -> int | None:  # noqa: ARG002 - it keeps no such count
        return None

    def copy(self, reader: pa.RecordBatchReader, table: TableName) -> None:
        names = quoted_list(reader.schema.names)

        def insert() -> None:
            self._db.register(_READER, reader)
            self._db.execute(f"INSERT INTO {table.sql} ({names}) SELECT {names} FROM {_READER}")  # noqa: S608 - quoted names
            # Not after an error: the transaction is over, and what this would say then hides the cause.
            self._db.unregister(_READER)

        self._told(insert)

    def commit(self) -> None:
        self._told(lambda: self._db.execute("COMMIT"))

    def close(self) -> None:
        try:
            self._db.close()
        finally:
            self._lock.release()

    def _told(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except duckdb.Error as error:
            raise self._wrapped(error) from error

    def _wrapped(self, error: duckdb.Error) -> WarehouseError:
        kind = WarehouseRefused if isinstance(error, _REFUSALS) else WarehouseError
        # DuckDB's messages of these kinds quote values of the data.
        found = (
            type(error).__name__ if isinstance(error, _REFUSALS) else f"{type(error).__name__}: {_first_line(error)}"
        )
        return kind(
            "the warehouse refused the load" if kind is WarehouseRefused else "the warehouse did not take part",
            where=self.location,
            found=found,
            fix="nothing was changed; check the file, its disk space and its constraints, then run the step again",
        )

    def _busy(self) -> WarehouseError:
        return WarehouseError(
            "the warehouse file is in use by another process",
            where=self.location,
            found="its lock is held",
            fix="close the program that has the file open (readers too), then run the step again",
        )


def database_file(connection: Connection) -> Path:
    """The DuckDB file that a connection names: its host, else its schema.

    `duckdb:///data/w.duckdb` and a connection with host `/data/w.duckdb` are the same file.

    Raises:
        SettingError: it names none, or a database in memory.
    """
    host, schema = connection.host or "", connection.schema or ""
    if host:
        text = f"{host.rstrip('/')}/{schema}" if schema else host
    else:
        text = schema if not schema or schema.startswith(("/", ":")) else f"/{schema}"
    if not text or text.startswith(":"):
        raise SettingError(
            "the warehouse connection names no file",
            where=f"connection {connection.conn_id}",
            found=text or "neither host nor schema",
            fix='give duckdb:///absolute/path/file.duckdb, or {"conn_type": "duckdb", "host": "/path/file.duckdb"}',
        )
    return local_path(text)


def _type_name(kind: pa.DataType, name: str) -> str:
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pa.types.is_struct(kind):
        return "STRUCT(" + ", ".join(f"{quoted(f.name)} {_type_name(f.type, '')}" for f in kind) + ")"
    if pa.types.is_map(kind):
        return f"MAP({_type_name(kind.key_type, '')}, {_type_name(kind.item_type, '')})"
    if pa.types.is_list(kind):
        return _type_name(kind.value_type, "") + "[]"
    return _TYPES[name or _KINDS[kind]]


_KINDS: dict[pa.DataType, str] = {
    pa.string(): "string",
    pa.int64(): "long",
    pa.int32(): "integer",
    pa.int16(): "short",
    pa.int8(): "byte",
    pa.float64(): "double",
    pa.float32(): "float",
    pa.bool_(): "boolean",
    pa.binary(): "binary",
    pa.date32(): "date",
    pa.timestamp("us", "UTC"): "timestamp",
    pa.timestamp("us"): "timestamp_ntz",
}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:300]
