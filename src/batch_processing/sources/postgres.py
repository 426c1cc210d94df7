"""PostgreSQL exports: described through psycopg, streamed as Arrow through ADBC (binary COPY)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import adbc_driver_manager
import adbc_driver_postgresql
import adbc_driver_postgresql.dbapi
import psycopg

from batch_processing.errors import BatchError, SettingError, SourceSchemaError, SourceUnavailable
from batch_processing.settings.values import Connection
from batch_processing.sources.selection import (
    ArrowBlock,
    Export,
    Selection,
    check_columns,
    no_such_table,
    untyped,
)

_CONNECT_SECONDS = 10
_LIBPQ = ("sslmode", "sslrootcert", "sslcert", "sslkey", "application_name", "options", "target_session_attrs")
_TYPES = {
    "bool": "boolean",
    "int2": "smallint",
    "int4": "int",
    "int8": "bigint",
    "oid": "bigint",
    "float4": "float",
    "float8": "double",
    "date": "date",
    "timestamptz": "timestamp",
    "timestamp": "timestamp_ntz",
}
_BYTES = "bytea"
_TABLES = """SELECT CASE WHEN table_schema = 'public' THEN table_name ELSE table_schema || '.' || table_name END
FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"""


@contextlib.contextmanager
def open_export(connection: Connection, selection: Selection) -> Iterator[Export]:
    """Opens a streaming export.

    `numeric` keeps its digits; a `numeric` without precision needs a declared type.

    Raises:
        SourceUnavailable, SourceSchemaError, SettingError: see `extract_database`.
    """
    try:
        columns = _describe(connection, selection)
        with (
            adbc_driver_postgresql.dbapi.connect(_uri(connection), autocommit=True) as session,
            session.cursor() as cursor,
        ):
            # The server writes uuid, json, arrays, intervals and the like as text better than a reader could.
            texts = {name for name, declared in columns.items() if declared == "string"}
            cursor.execute(selection.sql(list(columns), as_text=texts))
            yield Export(columns, _blocks(cursor))
    except (psycopg.Error, adbc_driver_manager.Error) as error:
        raise _wrapped(error, connection, selection) from _scrubbed(error, connection)


def _blocks(cursor: Any) -> Iterator[ArrowBlock]:
    for batch in cursor.fetch_record_batch():
        yield ArrowBlock(batch)


def _describe(connection: Connection, selection: Selection) -> Mapping[str, str]:
    """The columns to ask for, with their declared types."""
    with psycopg.connect(_uri(connection), autocommit=True) as session:
        try:
            described = session.execute(f"{selection.sql()} LIMIT 0".encode()).description or []
        except psycopg.errors.UndefinedTable as error:
            if selection.table is None:
                raise
            known = [row[0] for row in session.execute(_TABLES).fetchall()]
            raise no_such_table(selection, known) from error
    check_columns(selection, [column.name for column in described])
    return selection.declared or {column.name: _declared(column, selection) for column in described}


def _declared(column: psycopg.Column, selection: Selection) -> str:
    info = psycopg.adapters.types.get(column.type_code)
    name = info.name if info else "unknown"
    if name == "numeric":
        if column.precision is None or column.scale is None or not 0 <= column.scale <= column.precision <= 38:
            raise untyped(selection, column.name, "numeric without precision, or beyond decimal(38,s)")
        return f"decimal({column.precision},{column.scale})"
    if name == _BYTES:
        raise untyped(
            selection, column.name, "bytea, which has no declared type; leave it out, or encode() it in a query"
        )
    return _TYPES.get(name, "string")


def _uri(connection: Connection) -> str:
    user = quote(connection.login or "", safe="")
    secret = f":{quote(connection.password, safe='')}" if connection.password else ""
    host = connection.host or "localhost"
    extra = {key: str(connection.extra[key]) for key in _LIBPQ if connection.extra.get(key)}
    options = {"connect_timeout": str(_CONNECT_SECONDS), "application_name": "batch_processing", **extra}
    if host.startswith("/"):
        options["host"], host = host, ""
    elif ":" in host:
        host = f"[{host}]"
    port = f":{connection.port or 5432}"
    login = f"{user}{secret}@" if user else ""
    database = quote(connection.schema or "", safe="")
    return f"postgresql://{login}{host}{port}/{database}?{urlencode(options, quote_via=quote)}"


def _wrapped(
    error: psycopg.Error | adbc_driver_manager.Error, connection: Connection, selection: Selection
) -> BatchError:
    state = error.sqlstate or ""
    said = _said(error, connection)
    where = f"{selection.place} at {connection.host or 'localhost'}:{connection.port or 5432}"
    if state.startswith(("28", "3D")) or "authentication failed" in said or "no password supplied" in said:
        fix = f"check login, password and schema (the database's name) of connection {connection.conn_id}"
        return SettingError("the database refused the connection's login", where=where, found=said, fix=fix)
    if state == "42501":
        fix = f"grant SELECT to the role of connection {connection.conn_id}"
        return SettingError("the role has no right to read this", where=where, found=said, fix=fix)
    if state.startswith("42"):
        return SourceSchemaError(
            "the database refused the query", where=where, found=said, fix="mend the source's query"
        )
    if state.startswith("22"):
        found = f"{type(error).__name__} ({state})"
        return SourceSchemaError("the query failed on a value", where=where, found=found, fix="mend the query")
    if "does not exist" in said and "database" in said:
        return SettingError("no such database", where=where, found=said, fix=f"mend connection {connection.conn_id}")
    return SourceUnavailable(
        "the database does not answer, or broke off", where=where, found=said, fix="check that it is up and reachable"
    )


def _said(error: Exception, connection: Connection) -> str:
    text = " ".join(str(error).split("\n")[0].split())[:300]
    for secret in (connection.password, quote(connection.password or "", safe="")):
        text = text.replace(secret, "***") if secret else text
    return text


def _scrubbed(error: Exception, connection: Connection) -> Exception | None:
    """The cause to chain: the error itself, unless its text holds the password."""
    return None if connection.password and connection.password in str(error) else error
