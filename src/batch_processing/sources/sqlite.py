"""SQLite exports: opened read-only; its values are typed one by one, so each is checked against the schema."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from batch_processing.errors import BatchError, SettingError, SourceSchemaError, SourceUnavailable, SourceUnreadable
from batch_processing.settings.values import Connection
from batch_processing.sources.selection import (
    Export,
    RowBlock,
    Selection,
    check_columns,
    no_such_table,
    untyped,
)
from batch_processing.storage import local_path

_BUSY_SECONDS = 10.0
_DECIMAL = re.compile(r"(?:DECIMAL|NUMERIC)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_AFFINITY = (
    ("BOOL", "boolean"),
    ("INT", "bigint"),
    ("CHAR", "string"),
    ("CLOB", "string"),
    ("TEXT", "string"),
    ("REAL", "double"),
    ("FLOA", "double"),
    ("DOUB", "double"),
    ("DATETIME", "timestamp_ntz"),
    ("TIMESTAMP", "timestamp_ntz"),
    ("DATE", "date"),
)


@contextlib.contextmanager
def open_export(connection: Connection, selection: Selection) -> Iterator[Export]:
    """Opens an export of a database file (the connection's host, else its schema).

    Raises:
        SourceUnavailable, SourceSchemaError, SettingError: see `extract_database`.
        SourceUnreadable: the file is no SQLite database.
    """
    path = _file(connection)
    try:
        uri = f"file:{quote(str(path))}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as session:
            session.text_factory = bytes
            columns = _describe(session, selection)
            cursor = session.execute(selection.sql(list(columns)))
            yield Export(columns, _blocks(cursor, selection.fetch_rows))
    except sqlite3.Error as error:
        raise _wrapped(error, path, selection) from error


def _file(connection: Connection) -> Path:
    text = connection.host or connection.schema or ""
    if not text:
        raise SettingError(
            "a sqlite connection names no file",
            where=f"connection {connection.conn_id}",
            fix="give the file's path as the connection's host",
        )
    # In `sqlite:///dir/file.db` the path's first slash is the URI's own.
    path = local_path(text)
    if not path.exists() and not connection.host and not text.startswith("/"):
        path = Path("/") / text
    if not path.is_file():
        raise SourceUnavailable(
            "the database file is not there",
            where=f"connection {connection.conn_id}: {path}",
            fix="check the connection's host",
        )
    return path


def _blocks(cursor: sqlite3.Cursor, size: int) -> Iterator[RowBlock]:
    while rows := cursor.fetchmany(size):
        yield RowBlock(rows)


def _describe(session: sqlite3.Connection, selection: Selection) -> Mapping[str, str]:
    if selection.table is not None:
        known = [
            row[0].decode()
            for row in session.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
        ]
        if selection.table.removeprefix("main.").lower() not in {name.lower() for name in known}:
            raise no_such_table(selection, known)
    described = session.execute(f"{selection.sql()} LIMIT 0").description
    check_columns(selection, [column[0] for column in described])
    return selection.declared or _declared(session, selection)


def _declared(session: sqlite3.Connection, selection: Selection) -> Mapping[str, str]:
    if selection.table is None:
        raise untyped(selection, "of a query", "SQLite, whose queries have no column types")
    rows = session.execute("SELECT name, type FROM pragma_table_info(?)", (selection.table.removeprefix("main."),))
    return {name.decode(): _type(kind.decode(), name.decode(), selection) for name, kind in rows}


def _type(kind: str, column: str, selection: Selection) -> str:
    upper = kind.upper()
    if match := _DECIMAL.search(upper):
        return f"decimal({match[1]},{match[2] or 0})"
    for part, declared in _AFFINITY:
        if part in upper:
            return declared
    raise untyped(selection, column, kind or "no type")


def _wrapped(error: sqlite3.Error, path: Path, selection: Selection) -> BatchError:
    said = str(error)
    where = f"{selection.place} in {path}"
    if "not a database" in said or "malformed" in said:
        return SourceUnreadable("the file is no sound SQLite database", where=where, found=said, fix="restore it")
    if "unable to open" in said:
        return SettingError("the database file cannot be opened", where=where, found=said, fix="check its rights")
    if isinstance(error, sqlite3.OperationalError) and ("locked" in said or "busy" in said or "disk" in said):
        return SourceUnavailable(
            "the database is busy", where=where, found=said, fix="try again when its writer is done"
        )
    return SourceSchemaError("the database refused the query", where=where, found=said, fix="mend the source's query")
