"""The door of the warehouse: loads one published slice, exactly once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from batch_processing.errors import SettingError
from batch_processing.results import LaterWrites, Loaded, Published, Slice
from batch_processing.settings.models import TargetSpec
from batch_processing.settings.values import Connection
from batch_processing.warehouse.columns import read_columns
from batch_processing.warehouse.files import published_files
from batch_processing.warehouse.job import Job
from batch_processing.warehouse.late import beside_later
from batch_processing.warehouse.names import parse_table
from batch_processing.warehouse.session import Access, Session
from batch_processing.warehouse.transaction import check_unchanged, find_loaded, run_load


def load(
    published: Published,
    *,
    connection: Connection,
    table: str,
    target: TargetSpec,
    schema_json: str,
    pipeline: str,
    slice: Slice,
    generation: int,
    later: Callable[[int], LaterWrites],
) -> Loaded:
    """Loads exactly the published files, in one transaction with the slice's ledger row.

    A generation that the ledger holds is left as it is. Rows carry `_slice` (timestamptz) and `_generation`
    (integer) beside the table's columns. Rows that a newer publish replaced, and whose load came first, are not loaded:
    they count as loaded, as rows of mode merge do that are older than those of their key.

    Args:
        published: the table version; only its `files` are read.
        connection: of type `duckdb` or `postgres`.
        table: `table` or `schema.table`.
        target: how the Delta table was written: mode, keys, partition columns, schema_change.
        schema_json: the published table's schema in Delta's JSON form.
        pipeline: with table and slice, the ledger's key.
        slice: the data interval that the rows are of.
        generation: from 1; a higher one replaces what a lower one loaded.
        later: what publishes after this one wrote, up to a version of the table; asked where a newer version is loaded.

    Raises:
        SettingError: a connection of another type, or an incomplete one.
        WarehouseError: the warehouse is busy or went away; nothing changed, a retry helps.
        WarehouseRefused: columns, values or rights that it does not take; nothing changed.
        LedgerError: other rows were read or counted than published; nothing changed.
        TableError: the published version cannot be read.
        StorageError: a published file is gone.
    """
    columns = read_columns(schema_json)
    job = Job(
        published=published,
        files=published_files(published, columns=columns, partition_by=target.partition_by),
        columns=columns,
        target=target,
        table=parse_table(table),
        declared=table,
        pipeline=pipeline,
        slice=slice,
        generation=generation,
        later=later,
    )
    with closing(open_session(connection)) as session:
        if done := find_loaded(job, session):
            return done
        known = beside_later(job, session)
    check_unchanged(
        known
    )  # reads the files: no transaction waits for that, and within the load it looks at their times
    with closing(open_session(connection)) as session:
        return run_load(job, session)


def open_session(connection: Connection, *, access: Access = "write") -> Session:
    """A transaction on the warehouse that a connection names.

    Args:
        connection: of type `duckdb` or `postgres`.
        access: `read` only looks; a DuckDB file must then be there.

    Raises:
        SettingError: a connection of another type, or an incomplete one.
        WarehouseError: it does not answer.
    """
    if connection.conn_type == "duckdb":
        from batch_processing.warehouse.duckdb import DuckDbSession

        return DuckDbSession(connection, access=access)
    if connection.conn_type in ("postgres", "postgresql"):
        from batch_processing.warehouse.postgres import PostgresSession

        return PostgresSession(connection)
    raise SettingError(
        f"a warehouse of type {connection.conn_type!r} is not supported",
        where=f"connection {connection.conn_id}",
        fix="use a connection of type duckdb or postgres",
    )
