"""Exports through SQLAlchemy, for databases whose driver the user has installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from batch_processing.errors import BatchError, SettingError, SourceSchemaError, SourceUnavailable
from batch_processing.settings.values import Connection
from batch_processing.sources.selection import Export, RowBlock, Selection, check_columns, no_such_table, untyped

_PYTHON_TYPES: dict[type, str] = {
    bool: "boolean",
    int: "bigint",
    float: "double",
    str: "string",
    datetime: "timestamp_ntz",
    date: "date",
}


@contextlib.contextmanager
def open_export(connection: Connection, selection: Selection) -> Iterator[Export]:
    """Opens a streaming export; `extra.drivername` overrides the connection's type as SQLAlchemy's driver name.

    Raises:
        SourceUnavailable, SourceSchemaError, SettingError: see `extract_database`.
    """
    engine = _engine(connection)
    try:
        with engine.connect() as session:
            columns = _describe(session, selection)
            statement = sa.text(_escaped(selection.sql(list(columns), quote=_quote(engine))))
            streaming = session.execution_options(stream_results=True, yield_per=selection.fetch_rows)
            yield Export(columns, _blocks(streaming.execute(statement)))
    except exc.SQLAlchemyError as error:
        raise _wrapped(error, connection, selection) from None  # its text may hold the URL and values
    finally:
        engine.dispose()


def _engine(connection: Connection) -> sa.Engine:
    driver = str(connection.extra.get("drivername") or connection.conn_type)
    url = sa.URL.create(
        driver, connection.login, connection.password, connection.host, connection.port, connection.schema
    )
    try:
        return sa.create_engine(url, hide_parameters=True)
    except (exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise SettingError(
            f"no database driver for {driver}",
            where=f"connection {connection.conn_id}",
            found=str(error)[:200],
            fix="use a connection of type postgres or sqlite, or install SQLAlchemy's driver for it",
        ) from error
    except exc.ArgumentError as error:
        raise SettingError(
            f"{driver!r} is no SQLAlchemy driver name",
            where=f"connection {connection.conn_id}",
            fix="as mysql+pymysql or mssql+pyodbc, in the connection's type or extra.drivername",
        ) from error


def _blocks(result: sa.CursorResult[Any]) -> Iterator[RowBlock]:
    for rows in result.partitions():
        yield RowBlock([tuple(row) for row in rows])


def _describe(session: sa.Connection, selection: Selection) -> Mapping[str, str]:
    if selection.table is None:
        found = list(session.execute(sa.text(_escaped(f"{selection.sql()} WHERE 1 = 0"))).keys())
        check_columns(selection, found)
        if not selection.declared:
            raise untyped(selection, "of a query", "a query, whose column types this driver does not say")
        return selection.declared
    inspector = sa.inspect(session)
    schema, _, name = selection.table.rpartition(".")
    try:
        described = inspector.get_columns(name, schema=schema or None)
    except exc.NoSuchTableError as error:
        known = [*inspector.get_table_names(schema or None), *inspector.get_view_names(schema or None)]
        raise no_such_table(selection, known) from error
    check_columns(selection, [str(column["name"]) for column in described])
    return selection.declared or {str(c["name"]): _type(c["type"], str(c["name"]), selection) for c in described}


def _type(kind: sa.types.TypeEngine[Any], column: str, selection: Selection) -> str:
    if isinstance(kind, sa.DateTime) and kind.timezone:
        return "timestamp"
    try:
        python = kind.python_type
    except NotImplementedError as error:
        raise untyped(selection, column, str(kind)) from error
    if python is Decimal and isinstance(kind, sa.Numeric) and kind.precision:
        return f"decimal({kind.precision},{kind.scale or 0})"
    if python not in _PYTHON_TYPES:
        raise untyped(selection, column, str(kind))
    return _PYTHON_TYPES[python]


def _quote(engine: sa.Engine) -> str:
    return "`" if engine.dialect.identifier_preparer.initial_quote == "`" else '"'


def _escaped(sql: str) -> str:
    """Colons are bind parameters to `text()`; the query has none."""
    return sql.replace(":", "\\:")


def _wrapped(error: exc.SQLAlchemyError, connection: Connection, selection: Selection) -> BatchError:
    where = f"{selection.place} at {connection.host or 'localhost'}"
    found = type(error.__cause__ or error).__name__
    if isinstance(error, exc.OperationalError | exc.InterfaceError | exc.TimeoutError):
        return SourceUnavailable(
            "the database does not answer, or broke off",
            where=where,
            found=found,
            fix="check that it is up and reachable",
        )
    fix = "run the query with the database's own client; check the role's rights"
    return SourceSchemaError("the database refused the query", where=where, found=found, fix=fix)
