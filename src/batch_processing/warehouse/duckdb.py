"""A DuckDB file as the warehouse."""

from __future__ import annotations

import logging
import math
import re
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
from batch_processing.warehouse.session import WAITING, Access, wait_seconds

_LOG = logging.getLogger(__name__)
_LOOK_AGAIN_SECONDS = 0.2
_TOLD_AFTER_SECONDS = 1.0
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
_MISFITS = (duckdb.CatalogException, duckdb.BinderException, duckdb.ParserException)
"""Their messages name objects and our own SQL, which has no values in it."""
_REFUSALS = (
    *_MISFITS,
    duckdb.ConversionException,
    duckdb.ConstraintException,
    duckdb.OutOfRangeException,
    duckdb.InvalidInputException,
    duckdb.InvalidTypeException,
    duckdb.PermissionException,
    duckdb.NotImplementedException,
)
"""Those that are no misfits quote values of the data."""
_CONSTRAINT = re.compile(
    r"NOT NULL constraint failed: \S+|CHECK constraint failed on table \S+"
    r"|(?:PRIMARY KEY|UNIQUE|FOREIGN KEY)[A-Z ]* constraint|(?:primary key|unique|foreign key) constraint",
    re.IGNORECASE,
)
_COLLATED = re.compile(r'("(?:[^"]|"")+"|[^\s(,"]+) VARCHAR COLLATE ')
_HOLDER = re.compile(r"Conflicting lock is held in (.*? \(PID \d+\)(?: by user \S+)?)")

T = TypeVar("T")


class DuckDbSession:
    """One transaction on a DuckDB file; see `session.Session`. To write, the file is made where it is absent."""

    overriding = ""
    byte_order = ""

    def __init__(self, connection: Connection, *, access: Access = "write") -> None:
        self._access = access
        self._file = database_file(connection)
        self.location = str(self._file)
        self._table = ""
        seconds = wait_seconds(connection)
        deadline = time.monotonic() + seconds
        self._lock = _ONE_AT_A_TIME[self._file]
        if not self._lock.acquire(timeout=min(seconds, _TOLD_AFTER_SECONDS)):
            self._tell_wait("another load of this process")
            if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise self._busy("another load of this process")
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
        tell_at = time.monotonic() + _TOLD_AFTER_SECONDS
        while True:
            try:
                return duckdb.connect(self.location, read_only=self._access == "read")
            except duckdb.IOException as error:
                if "lock" not in str(error).lower():
                    raise self._wrapped(error) from error
                now, holder = time.monotonic(), _holder(error)
                if now > deadline:
                    raise self._busy(holder) from error
                if now >= tell_at:
                    self._tell_wait(holder)
                    tell_at = math.inf
                time.sleep(_LOOK_AGAIN_SECONDS)
            except duckdb.Error as error:
                raise self._wrapped(error) from error

    def _begin(self, connection: Connection) -> None:
        self._db.execute("SET autoinstall_known_extensions = false")
        self._db.execute("SET autoload_known_extensions = false")
        self._db.execute("SET TimeZone = 'UTC'")
        self._db.execute("SET enable_progress_bar = false")  # it writes to standard output
        self._limit_memory(connection)
        self._db.execute("BEGIN TRANSACTION")

    def _limit_memory(self, connection: Connection) -> None:
        limit = str(connection.extra.get("memory_limit", _MEMORY_LIMIT))
        try:
            self._db.execute("SET memory_limit = $1", [limit])
        except duckdb.ParserException as error:
            raise SettingError(
                "extra.memory_limit is not an amount of memory",
                where=f"connection {connection.conn_id}",
                found=f"{limit[:50]!r}: {_first_line(error)}",
                fix="write a number with its unit, as 512MB or 2GB",
            ) from error

    def name(self, table: TableName) -> TableName:
        """Refuses another spelling of a name that is there: to DuckDB it is the same, to the ledger it would not be."""
        named = table if table.schema else TableName(table.table, "main")
        schemas = "SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database()"
        tables = "SELECT DISTINCT table_name FROM duckdb_columns() WHERE database_name = current_database() "
        self._check_spelling(named.schema, self.execute(schemas), named)
        self._check_spelling(named.table, self.execute(tables + "AND schema_name = $1", [named.schema]), named)
        return named

    def _check_spelling(self, name: str, there: Sequence[tuple[Any, ...]], table: TableName) -> None:
        names = {str(other) for (other,) in there}
        if name not in names and (others := [other for other in names if self.folded(other) == self.folded(name)]):
            raise WarehouseRefused(
                "the warehouse has that name in other letter case, which DuckDB takes for the same",
                where=f"{self.location} table {table.schema}.{table.table}",
                found=f"{others[0]} is there, {name} is declared",
                fix="write it in warehouse.table as it is there, or rename it; nothing was changed",
            )

    def lock(self, table: TableName) -> None:
        """Nothing to wait for: the file is ours alone. Errors name the table that was locked first: the load's."""
        self._table = self._table or f"{table.schema}.{table.table}"

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

    def folded(self, name: str) -> str:
        """DuckDB does not tell upper from lower case, in ASCII letters alone."""
        return name.encode().lower().decode()

    def longest(self, existing: str) -> int | None:  # noqa: ARG002 - it reads varchar(n) as VARCHAR
        return None

    def collated(self, table: TableName) -> set[str]:
        """Those of any collation, which only the table's own SQL tells."""
        sql = "SELECT sql FROM duckdb_tables() WHERE database_name = current_database() "
        made = self.execute(sql + "AND schema_name = $1 AND table_name = $2", [table.schema, table.table])
        names = _COLLATED.findall(made[0][0]) if made else []
        return {name[1:-1].replace('""', '"') if name.startswith('"') else name for name in names}

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
        where = self.location + (f" table {self._table}" if self._table else "")
        if isinstance(error, _MISFITS):
            return WarehouseRefused(
                "the load does not fit what is in the warehouse",
                where=where,
                found=f"{type(error).__name__}: {_first_line(error)}",
                fix="nothing was changed; see that the name is of a table, not of a view, and that its schema and "
                "types are there, or load into another table",
            )
        if isinstance(error, duckdb.ConstraintException):
            broken = _CONSTRAINT.search(str(error))
            return WarehouseRefused(
                "the warehouse table has a constraint that a row breaks",
                where=where,
                found=broken[0].strip(" .") if broken else type(error).__name__,
                fix="nothing was changed; mend the rows in the transform, or drop the constraint",
            )
        refused = isinstance(error, _REFUSALS)
        return (WarehouseRefused if refused else WarehouseError)(
            "the warehouse refused the load" if refused else "the warehouse did not take part",
            where=where,
            found=type(error).__name__ if refused else f"{type(error).__name__}: {_first_line(error)}",
            fix="nothing was changed; check the file, its disk space and its columns, then run the step again",
        )

    def _tell_wait(self, holder: str) -> None:
        _LOG.warning("waiting for %s, which is held by %s", self.location, holder, extra=WAITING)

    def _busy(self, holder: str) -> WarehouseError:
        return WarehouseError(
            "the warehouse file is in use",
            where=self.location,
            found=f"it is held by {holder}",
            fix="close the program that has the file open (readers too), then run the step again",
        )


def _holder(error: duckdb.Error) -> str:
    match = _HOLDER.search(str(error))
    return match[1] if match else "another process"


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
