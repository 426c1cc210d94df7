"""Opening the control store's database: SQLite by default, PostgreSQL where several machines share it."""

from __future__ import annotations

import logging
import math
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, inspect, make_url, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InvalidatePoolError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
    StatementError,
)
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.schema import Table

from batch_processing.control import schema
from batch_processing.control.migrations import migrate
from batch_processing.control.statements import VERSION
from batch_processing.errors import ControlStoreError, UsageError

_LOG = logging.getLogger(__name__)
_BUSY_SECONDS = 30
_RESTS_SINCE = "rests_since"
RESTS_WELL = 1.0
"""Seconds for which a connection that was given back is taken to live still; pinged each time it cost a step 1 ms."""
_NO_RIGHT, _READ_ONLY, _LOCKED = "42501", "25006", "55P03"
"""SQLSTATEs of PostgreSQL."""
_CREATE_LOCK = 7_301_559_462_094
"""Key of the PostgreSQL advisory lock held while the tables are made; any constant of our own."""


class Database:
    """An opened store: transactions and upserts, with errors as ControlStoreError.

    Args:
        engine: SQLAlchemy engine of a store whose tables exist.
        address: where it is, for a person; no credentials.
    """

    def __init__(self, engine: Engine, *, address: str) -> None:
        self.engine, self.address = engine, address

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """For queries; on PostgreSQL each sees what is committed when it starts."""
        with _told(self.address), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self, *, once: bool = False) -> Iterator[Connection]:
        """One transaction; SQLite takes the write lock at its start, so that it waits instead of failing.

        Args:
            once: it has one statement alone, so PostgreSQL need not be told of a begin and an end.
        """
        with _told(self.address), self.engine.connect() as base:
            connection = base.execution_options(batch_writes=True)
            if not once and connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                yield connection

    def insert(self, table: Table) -> Any:
        """The dialect's INSERT, which knows ON CONFLICT; both dialects spell it alike."""
        return sqlite.insert(table) if self.engine.dialect.name == "sqlite" else postgresql.insert(table)

    def close(self) -> None:
        self.engine.dispose()


def open_database(url: str) -> Database:
    """Opens the store; makes its tables on first use and brings older ones up to date, also where several do so.

    Raises:
        UsageError: not a URL of SQLite (with a file) or PostgreSQL.
        ControlStoreError: it cannot be reached, or a newer release made it.
    """
    parsed = _parse(url)
    address = parsed.set(query={}).render_as_string(hide_password=True)
    with _told(address):
        if parsed.get_backend_name() == "sqlite":
            engine = _sqlite_engine(parsed)
        else:
            # No table has an hstore column: without it a new connection is not asked for the type.
            engine = create_engine(
                parsed, hide_parameters=True, pool_size=2, use_native_hstore=False, isolation_level="AUTOCOMMIT"
            )
            event.listen(engine, "connect", _limit_waits)
            event.listen(engine, "checkin", _note_rest)
            event.listen(engine, "checkout", partial(_ping_the_rested, engine.dialect))
        database = Database(engine, address=address)
        try:
            _ensure_tables(database)
        except BaseException:
            engine.dispose()
            raise
    return database


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise UsageError("the control store's URL cannot be read", found=type(error).__name__, fix=_URL_FIX) from error
    if backend not in ("sqlite", "postgresql"):
        raise UsageError("the control store cannot be kept there", found=f"a URL of {backend}", fix=_URL_FIX)
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise UsageError("the control store needs a file", found="an SQLite URL without one", fix=_URL_FIX)
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername == "postgresql" else parsed


_URL_FIX = "give sqlite:////absolute/path/control.db or postgresql://user:password@host:5432/database"


def _sqlite_engine(url: URL) -> Engine:
    file = Path(str(url.database))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ControlStoreError(
            "the control store's folder cannot be made",
            where=str(file.parent),
            found=error.strerror or type(error).__name__,
            fix="check the path and its rights, or set BATCH_CONTROL_STORE to another place",
        ) from error
    engine = create_engine(
        url, hide_parameters=True, connect_args={"timeout": _BUSY_SECONDS, "isolation_level": None}, pool_size=2
    )
    event.listen(engine, "begin", _begin_sqlite)
    _retry_busy(lambda: _use_wal(engine))
    return engine


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("batch_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _limit_waits(connection: Any, _: ConnectionPoolEntry) -> None:
    """As SQLite does, PostgreSQL says it where another session holds a table for long; a limit of the user's stays."""
    connection.execute(
        f"SELECT set_config('lock_timeout', '{_BUSY_SECONDS}s', false) WHERE current_setting('lock_timeout') = '0'"
    )


def _note_rest(_: Any, record: ConnectionPoolEntry) -> None:
    record.info[_RESTS_SINCE] = time.monotonic()


def _ping_the_rested(dialect: Dialect, connection: Any, record: ConnectionPoolEntry, _: Any) -> None:
    """A step may take hours: a server that was started anew meanwhile is met by a new connection, not by an error."""
    if time.monotonic() - record.info.get(_RESTS_SINCE, math.inf) < RESTS_WELL:
        return
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        raise InvalidatePoolError from error


def _use_wal(engine: Engine) -> None:
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            cursor.execute("PRAGMA journal_mode=WAL")
        cursor.close()
    finally:
        raw.close()


def _retry_busy(action: Callable[[], None]) -> None:
    """Repeats what SQLite refuses at once, not after its busy timeout: the switch to WAL."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return action()
        except Exception as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _ensure_tables(database: Database) -> None:
    found = _version_at_once(database)
    if found is None:
        found = _make_or_migrate(database)
    elif found < 1:
        raise ControlStoreError(
            "the control store's tables are of no release",
            where=database.address,
            found=f"schema version {found} in {schema.schema_version.name}",
            fix="point BATCH_CONTROL_STORE at another store, or restore this one",
        )
    elif found < schema.SCHEMA_VERSION:
        with _told_owner(database.address, found):
            found = _make_or_migrate(database)
    if found > schema.SCHEMA_VERSION:
        raise ControlStoreError(
            "the control store was made by a newer release",
            where=database.address,
            found=f"schema version {found}, this release knows {schema.SCHEMA_VERSION}",
            fix="upgrade batch-processing here, or point BATCH_CONTROL_STORE at another store",
        )


def _make_or_migrate(database: Database) -> int:
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATE_LOCK})
        found = _version(connection)
        if found is None:
            schema.metadata.create_all(connection)
            connection.execute(schema.schema_version.insert().values(id=1, version=schema.SCHEMA_VERSION))
            _LOG.info("control store made at %s", database.address)
        elif found < schema.SCHEMA_VERSION:
            migrate(connection, found=found)
        return max(found or 0, schema.SCHEMA_VERSION)


@contextmanager
def _told_owner(address: str, version: int) -> Iterator[None]:
    """Says what to do where the tables are to be changed and may not be."""
    try:
        yield
    except ControlStoreError as error:
        raise ControlStoreError(
            "the control store was made by an earlier release and could not be brought up to date",
            where=address,
            found=f"schema version {version}, this release needs {schema.SCHEMA_VERSION}; {error.found}",
            fix="as a role without rights: have the tables' owner run batchctl history once on this BATCH_CONTROL_STORE"
            "; else see what was found, then run again",
        ) from error


def _version_at_once(database: Database) -> int | None:
    """The version of a store that is there, in one query; else what a look for its tables finds."""
    try:
        with database.engine.begin() as connection:
            return connection.exec_driver_sql(VERSION).scalar()
    except (OperationalError, ProgrammingError) as error:
        no_table = OperationalError if database.engine.dialect.name == "sqlite" else ProgrammingError
        if not isinstance(error, no_table):
            raise
        with database.reading() as connection:
            return _version(connection)


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(schema.schema_version.name):
        return None
    return connection.execute(select(schema.schema_version.c.version)).scalar()


@contextmanager
def _told(address: str) -> Iterator[None]:
    """Turns the libraries' errors into ours, without the statement's values."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise ControlStoreError(
            "the control store did not take part",
            where=address,
            found=_reason(error),
            fix=_fix(error),
        ) from error


def _fix(error: Exception) -> str:
    cause = _cause(error)
    state = getattr(cause, "sqlstate", None)
    if state == _NO_RIGHT:
        return "grant the role SELECT, INSERT, UPDATE and DELETE on the batch_ tables; then run again"
    if state == _READ_ONLY or "readonly database" in str(cause):
        return (
            "let this user write the database: a file with its folder, or a server that is no standby; then run again"
        )
    if state == _LOCKED:
        return "end the session that holds the batch_ tables locked, or wait for it; then run again"
    return "check that the database runs, the path exists and the disk has space; then run again"


def _cause(error: Exception) -> BaseException:
    return error.orig if isinstance(error, DBAPIError | StatementError) and error.orig else error


def _reason(error: Exception) -> str:
    cause = _cause(error)
    first_line = (str(cause).strip().splitlines() or [""])[0]
    return f"{type(cause).__name__}: {first_line}"[:300]
