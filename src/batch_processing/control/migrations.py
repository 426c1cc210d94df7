"""Brings the tables of a store that an earlier release made up to date."""

from __future__ import annotations

import logging

from sqlalchemy import Column, Connection, Table, inspect, text
from sqlalchemy.schema import CreateColumn

from batch_processing.control import schema

_LOG = logging.getLogger(__name__)

ADDED: dict[int, tuple[tuple[Table, str], ...]] = {
    2: tuple((schema.runs, name) for name in ("host", "pid", "process_started", "interrupted")),
}
"""Schema version -> columns it added; each may be null, so that rows of earlier releases need no change."""


def migrate(connection: Connection, *, found: int) -> None:
    """Adds what is missing, in the caller's transaction, which holds the store's lock.

    Args:
        connection: a writing transaction.
        found: the store's schema version.
    """
    for version in range(found + 1, schema.SCHEMA_VERSION + 1):
        for table, name in ADDED[version]:
            present = {column["name"] for column in inspect(connection).get_columns(table.name)}
            if name not in present:
                connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {_ddl(table.c[name], connection)}"))
        connection.execute(schema.schema_version.update().values(version=version))
        _LOG.info("control store brought to schema version %s", version)


def _ddl(column: Column[object], connection: Connection) -> str:
    return str(CreateColumn(column).compile(dialect=connection.dialect))
