"""PostgreSQL as the warehouse: COPY in binary from Arrow through ADBC, in the transaction of the ledger row."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import adbc_driver_manager.dbapi as adbc
import adbc_driver_postgresql.dbapi
import pyarrow as pa

from batch_processing.errors import SettingError, WarehouseError, WarehouseRefused
from batch_processing.settings.values import Connection
from batch_processing.warehouse.columns import Column
from batch_processing.warehouse.names import TableName, quoted, quoted_list
from batch_processing.warehouse.session import WAITING, wait_seconds

_LOG = logging.getLogger(__name__)
_LONGEST_NAME = 63
_CONNECT_SECONDS = 15
_IDLE_LIMIT = "10min"
_PASSED_ON = (
    "sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "options", "connect_timeout", "target_session_attrs",
    "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "application_name",
)  # fmt: skip
_TYPES = {
    "string": "text",
    "long": "bigint",
    "integer": "integer",
    "short": "smallint",
    "byte": "smallint",
    "double": "double precision",
    "float": "real",
    "boolean": "boolean",
    "binary": "bytea",
    "date": "date",
    "timestamp": "timestamp with time zone",
    "timestamp_ntz": "timestamp without time zone",
}
_NUMERIC = re.compile(r"^numeric\((\d+),(\d+)\)$")
_VARCHAR = re.compile(r"character varying(?:\((\d+)\))?")
_FAILED_COLUMN = re.compile(r"COPY .*, line \d+, column ([^\n:]+)")
_REFUSAL_CLASSES = ("0A", "22", "23", "2B", "2F", "3D", "3F", "42", "44", "54", "P0")
_NO_RIGHT = "42501"
_READ_ONLY = "25006"
_UNWRITABLE = "Error occurred writing COPY data"
"""What the driver says of a value that it cannot write; where the server is gone, it says other words."""
_BAD_TEXT = ("22021", "22P05")
_NET_ROWS = """
    SELECT CASE WHEN c.relkind = 'r' AND NOT c.relhasrules AND NOT c.relrowsecurity
                 AND current_setting('track_counts') = 'on'
                 AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
           THEN pg_stat_get_xact_tuples_inserted(c.oid) - pg_stat_get_xact_tuples_deleted(c.oid) END
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2
"""
_COLLATED = """
    SELECT a.attname::text FROM pg_attribute a JOIN pg_collation l ON l.oid = a.attcollation
    JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT l.collisdeterministic
"""

T = TypeVar("T")


class PostgresSession:
    """One transaction on a PostgreSQL server; see `session.Session`."""

    overriding = " OVERRIDING SYSTEM VALUE"
    byte_order = ' COLLATE "C"'

    def __init__(self, connection: Connection) -> None:
        self.location = f"{connection.host or 'localhost'}:{connection.port or 5432}/{connection.schema or ''}"
        self._db: adbc.Connection = self._told(lambda: adbc_driver_postgresql.dbapi.connect(_conninfo(connection)))
        self._cursor: adbc.Cursor = self._db.cursor()
        try:
            # The lock is waited for first: the statements after it must see what its holder committed.
            self.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            self.execute(f"SET LOCAL lock_timeout = {round(wait_seconds(connection) * 1000)}")
            self.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{_IDLE_LIMIT}'")
            self.execute("SET LOCAL TimeZone = 'UTC'")
        except BaseException:
            self.close()
            raise

    def name(self, table: TableName) -> TableName:
        for part in (table.table, table.schema):
            if len(part.encode()) > _LONGEST_NAME:
                raise self._too_long(part)
        if table.schema:
            return table
        schema = self.execute("SELECT current_schema()::text")[0][0]
        if schema is None:
            raise WarehouseRefused(
                "the role has no schema to load into",
                where=f"{self.location} table {table.table}",
                fix="write schema.table, or set the role's search_path",
            )
        return TableName(table.table, schema)

    def lock(self, table: TableName) -> None:
        digest = hashlib.sha256(table.sql.encode()).digest()
        key = [int.from_bytes(digest[:8], "big", signed=True)]
        if not self.execute("SELECT pg_try_advisory_xact_lock($1)", key)[0][0]:
            _LOG.warning("waiting for another load of %s on %s to end", table.sql, self.location, extra=WAITING)
            self.execute("SELECT pg_advisory_xact_lock($1)", key)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        def run() -> list[tuple[Any, ...]]:
            self._cursor.execute(sql, list(parameters) or None)
            return list(self._cursor.fetchall()) if self._cursor.description else []

        return self._told(run)

    def columns(self, table: TableName) -> dict[str, str]:
        rows = self.execute(
            "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)::text FROM pg_attribute a "
            "JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            [table.schema, table.table],
        )
        return {str(name): str(kind) for name, kind in rows}

    def ensure_schema(self, table: TableName) -> None:
        if not self.execute("SELECT 1 FROM pg_namespace WHERE nspname = $1", [table.schema]):
            self.execute(f"CREATE SCHEMA {quoted(table.schema)}")

    def type_of(self, column: Column) -> str:
        if len(column.name.encode()) > _LONGEST_NAME:
            raise self._too_long(column.name)
        if column.nested:
            return "jsonb"
        if pa.types.is_decimal(column.arrow):
            return f"numeric({column.arrow.precision},{column.arrow.scale})"
        return _TYPES[column.kind]

    def takes(self, column: Column, existing: str) -> bool:
        if column.nested:
            return existing in ("jsonb", "json", "text")
        if column.kind == "string":
            return existing == "text" or _VARCHAR.fullmatch(existing) is not None
        if pa.types.is_decimal(column.arrow):
            return _numeric_holds(column.arrow, existing)
        return existing == self.type_of(column)

    def folded(self, name: str) -> str:
        return name

    def longest(self, existing: str) -> int | None:
        match = _VARCHAR.fullmatch(existing)
        return int(match[1]) if match and match[1] else None

    def collated(self, table: TableName) -> set[str]:
        """Those of a collation that is not deterministic."""
        return {str(name) for (name,) in self.execute(_COLLATED, [table.schema, table.table])}

    def nested_form(self, existing: str) -> str:
        return "jsonb" if existing == "jsonb" else "json"

    def readable(self, column: Column, existing: str | None) -> str | None:
        """Not `jsonb`, which orders keys and rewrites numbers. Numerics as text: the driver has no decimals."""
        if existing is None:
            return f"CAST(NULL AS {self.type_of(column)})" if not column.nested else None
        if existing == "jsonb":
            return None
        as_text = column.nested or pa.types.is_decimal(column.arrow)
        return f"CAST({quoted(column.name)} AS text)" if as_text else quoted(column.name)

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> pa.RecordBatchReader:
        def run() -> pa.RecordBatchReader:
            self._cursor.execute(sql, list(parameters) or None)
            return self._cursor.fetch_record_batch()

        return self._told(run)

    def index(self, table: TableName, columns: Sequence[Column], *, keys: Sequence[str]) -> None:
        """A block-range index on what is replaced at once (a few pages, hardly any cost), a B-tree on merge keys."""
        ranged = [column.name for column in columns if column.kind != "boolean" and not column.nested]
        if ranged:
            self.execute(f"CREATE INDEX ON {table.sql} USING brin ({quoted_list(ranged)})")
        if keys:
            self.execute(f"CREATE INDEX ON {table.sql} ({quoted_list(list(keys))})")

    def fill(self, table: TableName, values: Mapping[str, str]) -> bool:
        """By defaults, which the server fills in for less than it takes to send the values: a fifth of the copy."""
        for name, value in values.items():
            self.execute(f"ALTER TABLE {table.sql} ALTER COLUMN {quoted(name)} SET DEFAULT {_literal(value)}")
        return True

    def fill_no_more(self, table: TableName, names: Sequence[str]) -> None:
        for name in names:
            self.execute(f"ALTER TABLE {table.sql} ALTER COLUMN {quoted(name)} DROP DEFAULT")

    def net_rows(self, table: TableName) -> int | None:
        """From the transaction's own statistics, which are exact."""
        found = self.execute(_NET_ROWS, [table.schema, table.table])
        return None if not found or found[0][0] is None else int(found[0][0])

    def copy(self, reader: pa.RecordBatchReader, table: TableName) -> None:
        settings = {"temporary": True} if not table.schema else {"db_schema_name": table.schema}
        times = [field.name for field in reader.schema if pa.types.is_timestamp(field.type)]
        try:
            self._cursor.adbc_ingest(table.table, _narrow(reader), mode="append", **settings)
        except adbc.Error as error:
            if error.sqlstate is None and _UNWRITABLE in str(error):
                raise self._unwritable(times) from error
            raise self._wrapped(error) from error

    def commit(self) -> None:
        self._told(self._db.commit)

    def close(self) -> None:
        for end in (self._cursor.close, self._db.rollback, self._db.close):
            try:
                end()
            except adbc.Error as error:
                # The server is gone, and with it the transaction.
                _LOG.debug("closing the session on %s: %s", self.location, type(error).__name__)

    def _told(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except adbc.Error as error:
            raise self._wrapped(error) from error

    def _wrapped(self, error: adbc.Error) -> WarehouseError:
        state = error.sqlstate or ""
        text = str(error)
        column = match[1].strip() if (match := _FAILED_COLUMN.search(text)) else ""
        where = self.location + (f" column {column}" if column else "")
        if state in _BAD_TEXT:
            return WarehouseRefused(
                "a text holds the character NUL, which PostgreSQL does not store",
                where=where,
                fix="remove it in the transform, as with translate(column, '\\0', ''); nothing was changed",
            )
        if state == _NO_RIGHT:
            return WarehouseRefused(
                "the warehouse role lacks a right",
                where=where,
                found=_reason(text),
                fix="grant it, or have the tables made beforehand as docs/warehouse.md shows; nothing was changed",
            )
        if state == _READ_ONLY:
            return WarehouseRefused(
                "the warehouse takes no changes: the role or the server is read-only",
                where=where,
                found=_reason(text),
                fix="load on the primary server, by a role without default_transaction_read_only; nothing was changed",
            )
        if state[:2] in _REFUSAL_CLASSES:
            return WarehouseRefused(
                "the warehouse refused the load",
                where=where,
                found=_reason(text, state),
                fix="mend the table or the transform; nothing was changed",
            )
        return WarehouseError(
            "the warehouse did not take part",
            where=where,
            found=_reason(text),
            fix="check that the server runs and answers, then run the step again; nothing was changed",
        )

    def _unwritable(self, times: Sequence[str]) -> WarehouseRefused:
        """The driver names neither column nor value; it counts from the year 2000, which the first times do not fit."""
        return WarehouseRefused(
            "a value cannot be written for PostgreSQL",
            where=self.location,
            found=f"most likely a time before 4714 BC, in one of the columns {', '.join(times)}" if times else "",
            fix="mend the value in the transform; nothing was changed",
        )

    def _too_long(self, name: str) -> WarehouseRefused:
        return WarehouseRefused(
            f"a name is longer than PostgreSQL's {_LONGEST_NAME} bytes",
            where=self.location,
            found=name,
            fix="shorten it",
        )


def _narrow(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The stream with 8-bit integers as 16-bit ones, the smallest that PostgreSQL has."""
    if pa.int8() not in reader.schema.types:
        return reader
    schema = pa.schema([f.with_type(pa.int16()) if f.type == pa.int8() else f for f in reader.schema])
    return pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in reader))


def _numeric_holds(kind: pa.DataType, existing: str) -> bool:
    if existing == "numeric":
        return True
    match = _NUMERIC.match(existing)
    if match is None:
        return False
    precision, scale = int(match[1]), int(match[2])
    return bool(scale >= kind.scale and precision - scale >= kind.precision - kind.scale)


def _conninfo(connection: Connection) -> str:
    """libpq's keyword form, in which every character of a password can be written."""
    if connection.host is None and "host" not in connection.extra:
        raise SettingError(
            "the warehouse connection has no host",
            where=f"connection {connection.conn_id}",
            fix="give postgres://login:password@host:5432/database",
        )
    settings: dict[str, Any] = {
        "connect_timeout": _CONNECT_SECONDS,
        "application_name": "batch_processing",
        **{name: connection.extra[name] for name in _PASSED_ON if name in connection.extra},
        "host": connection.host,
        "port": connection.port or 5432,
        "user": connection.login,
        "password": connection.password,
        "dbname": connection.schema,
        "client_encoding": "UTF8",
    }
    return " ".join(f"{name}={_libpq_value(str(value))}" for name, value in settings.items() if value is not None)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _libpq_value(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _reason(text: str, state: str = "") -> str:
    """The server's own sentence, without detail, statement or quoted value; none of a function's own error."""
    if state.startswith("P0"):
        return f"SQLSTATE {state}, raised by a trigger or function"
    match = re.search(r"(?:ERROR|FATAL|PANIC):\s+([^\n]+)", text)
    sentence = match[1] if match else (text.strip().splitlines() or [""])[0]
    if state.startswith("22"):  # data exceptions quote the value, which may hold quotes itself
        sentence = re.sub(r'"(?:.*"|.*$)', '"..."', sentence)
    return re.sub(r': "[^"]*"', "", sentence)[:300]
