"""What the warehouse's own ledger says of a slice, for those who look back."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime

from batch_processing.results import Published, Slice
from batch_processing.settings.models import TargetSpec
from batch_processing.settings.values import Connection
from batch_processing.warehouse import statements
from batch_processing.warehouse.columns import read_columns
from batch_processing.warehouse.comparison import Compared, compare_rows
from batch_processing.warehouse.files import published_files
from batch_processing.warehouse.load import open_session
from batch_processing.warehouse.names import LEDGER_TABLE, parse_table
from batch_processing.warehouse.transaction import contents_in


@dataclass(frozen=True)
class LedgerRow:
    """The slice's row in `_batch_loads`.

    Attributes:
        generation: what is loaded.
        rows: how many rows the load put in.
        counted: rows of this slice and generation that the table holds now; later slices may have replaced some.
        contents: what they are of, as `digests.contents_of`; "" where an older release loaded them.
        later: loads of the table that may have replaced rows of it: of a later version, or of another Delta table.
        newest: the newest version of the Delta table that is loaded; -1 where another Delta table was loaded since.
    """

    generation: int
    rows: int
    counted: int
    contents: str = ""
    later: int = 0
    newest: int = -1


@dataclass(frozen=True)
class Loads:
    """What `_batch_loads` says of a warehouse table.

    Attributes:
        generations: pipeline, slice start and Delta table's id -> the generation that is loaded.
        newest: Delta table's id -> its newest version that is loaded.
    """

    generations: Mapping[tuple[str, datetime, str], int] = field(default_factory=dict)
    newest: Mapping[str, int] = field(default_factory=dict)


def ledger_row(connection: Connection, *, table: str, pipeline: str, slice: Slice) -> LedgerRow | None:
    """The ledger's row of a slice; None where the warehouse, the table or the row is not there.

    Raises:
        SettingError: a connection of another type, or an incomplete one.
        WarehouseError: the warehouse does not answer.
    """
    if not _is_there(connection):
        return None
    parsed = parse_table(table)
    with closing(open_session(connection, access="read")) as session:
        name = session.name(parsed)
        ledger = name.beside(LEDGER_TABLE)
        if not session.columns(name) or not session.columns(ledger):
            return None
        entry = session.execute(statements.select_entry(ledger), [pipeline, parsed.table, slice.start])
        if not entry:
            return None
        generation, rows = int(entry[0][0]), int(entry[0][1])
        counted = session.execute(statements.count_slice(name), [slice.start, generation])
        (later, others), *_ = session.execute(statements.count_later(ledger), [pipeline, parsed.table, slice.start])
        newest = session.execute(statements.select_latest_version(ledger), [parsed.table, entry[0][2]])[0][0]
        return LedgerRow(
            generation,
            rows,
            counted=int(counted[0][0]),
            contents=contents_in(entry[0][3]),
            later=int(later),
            newest=-1 if others else int(newest),
        )


def table_loads(connection: Connection, *, table: str) -> Loads:
    """What is loaded into a warehouse table; nothing where the warehouse, the table or its ledger is not there.

    Raises:
        SettingError: a connection of another type, or an incomplete one.
        WarehouseError: the warehouse does not answer.
    """
    if not _is_there(connection):
        return Loads()
    parsed = parse_table(table)
    with closing(open_session(connection, access="read")) as session:
        name = session.name(parsed)
        ledger = name.beside(LEDGER_TABLE)
        if not session.columns(name) or not session.columns(ledger):
            return Loads()
        rows = session.execute(statements.select_loads(ledger), [parsed.table])
    generations: dict[tuple[str, datetime, str], int] = {}
    newest: dict[str, int] = {}
    for pipeline, start, generation, version, table_id in rows:
        generations[pipeline, datetime.fromtimestamp(start, UTC), table_id] = int(generation)
        newest[table_id] = max(int(version), newest.get(table_id, -1))
    return Loads(generations, newest)


def rows_of_others(connection: Connection, *, table: str, slice: Slice) -> int:
    """Rows of other slices in a warehouse table, in which `ledger_row` found the slice.

    Raises:
        WarehouseError: the warehouse does not answer.
    """
    with closing(open_session(connection, access="read")) as session:
        return int(session.execute(statements.count_others(session.name(parse_table(table))), [slice.start])[0][0])


def compare_loaded(
    published: Published,
    *,
    connection: Connection,
    table: str,
    target: TargetSpec,
    schema_json: str,
    slice: Slice,
    generation: int,
) -> Compared:
    """Compares the values of the warehouse's rows of a slice with those in the published files.

    Args:
        published: the table version; its files must be there.
        connection: the warehouse, in which `ledger_row` found the slice.
        table: as declared.
        target: how the Delta table was written.
        schema_json: the published table's schema in Delta's JSON form.
        slice: the data interval.
        generation: which one is loaded.

    Raises:
        WarehouseError: the warehouse does not answer.
        TableError, StorageError, LedgerError: log or files cannot be read, or are not what the log says.
    """
    columns = read_columns(schema_json)
    files = published_files(published, columns=columns, partition_by=target.partition_by)
    return compare_rows(
        lambda: open_session(connection, access="read"),
        parse_table(table),
        files=files,
        columns=columns,
        slice=slice,
        generation=generation,
    )


def _is_there(connection: Connection) -> bool:
    """False for a DuckDB file that is absent: opening it would make it."""
    if connection.conn_type != "duckdb":
        return True
    from batch_processing.warehouse.duckdb import database_file

    return database_file(connection).is_file()
