"""A database as a source: one table or query, streamed to typed Parquet."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from batch_processing.errors import UsageError
from batch_processing.results import Landed
from batch_processing.settings.models import SourceSpec
from batch_processing.settings.values import Connection
from batch_processing.sources import other_databases, postgres, sqlite
from batch_processing.sources.landing import Landing
from batch_processing.sources.selection import Export, Selection

_WAYS: dict[str, Callable[[Connection, Selection], AbstractContextManager[Export]]] = {
    "postgres": postgres.open_export,
    "postgresql": postgres.open_export,
    "sqlite": sqlite.open_export,
}


def extract_database(
    spec: SourceSpec, *, source: str, connection: Connection, query: str | None, folder: Path
) -> Landed:
    """Lands a table or a query's result.

    Only the declared columns are asked for; without a declared schema, all, with the types the
    database says. Memory stays flat. `_source_file` is `<conn_id>:<table>` or `<conn_id>:query`.

    Args:
        spec: a source of kind `database`.
        source: the source's name.
        connection: `postgres` (through ADBC), `sqlite` (host, else schema, is the file), or another type
            that SQLAlchemy has a driver for.
        query: the rendered query, where the declaration has one.
        folder: where `part-*.parquet` and `rejects-*.parquet` go; leftovers there are replaced.

    Raises:
        SourceUnavailable: the database does not answer.
        SourceSchemaError: no such table or column, or more rejects than `max_rejected`.
        SettingError: credentials or rights that are refused, a driver that is not installed.
        LedgerError: rows were lost or doubled.
    """
    if spec.database is None or (spec.database.table is None and query is None):
        raise UsageError("extract_database needs a source of kind database", where=f"sources.{source}", found=spec.kind)
    selection = Selection(
        conn_id=connection.conn_id,
        table=spec.database.table,
        query=None if spec.database.table else (query or "").strip().rstrip(";").rstrip(),
        declared=spec.columns,
        fetch_rows=spec.database.fetch_rows,
    )
    open_export = _WAYS.get(connection.conn_type, other_databases.open_export)
    with (
        open_export(connection, selection) as export,
        Landing(folder, columns=export.columns, source=source) as landing,
    ):
        read = 0
        for block in export.blocks:
            read += block.land(export.columns, file=selection.place, first=read + 1, landing=landing)
        return landing.finish(read=read, max_rejected=spec.max_rejected)
