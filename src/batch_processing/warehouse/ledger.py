"""What the warehouse's own ledger says of a slice, for those who look back."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from batch_processing.results import Slice
from batch_processing.settings.values import Connection
from batch_processing.warehouse import statements
from batch_processing.warehouse.load import open_session
from batch_processing.warehouse.names import LEDGER_TABLE, parse_table


@dataclass(frozen=True)
class LedgerRow:
    """The slice's row in `_batch_loads`.

    Attributes:
        generation: what is loaded.
        rows: how many rows the load put in.
        counted: rows of this slice and generation that the table holds now; later slices may have replaced some.
    """

    generation: int
    rows: int
    counted: int


def ledger_row(connection: Connection, *, table: str, pipeline: str, slice: Slice) -> LedgerRow | None:
    """The ledger's row of a slice; None where the warehouse, the table or the row is not there.

    Raises:
        SettingError: a connection of another type, or an incomplete one.
        WarehouseError: the warehouse does not answer.
    """
    if connection.conn_type == "duckdb":
        from batch_processing.warehouse.duckdb import database_file

        if not database_file(connection).is_file():
            return None  # opening it would make it
    parsed = parse_table(table)
    with closing(open_session(connection)) as session:
        name = session.name(parsed)
        ledger = name.beside(LEDGER_TABLE)
        if not session.columns(name) or not session.columns(ledger):
            return None
        entry = session.execute(statements.select_entry(ledger), [pipeline, parsed.table, slice.start])
        if not entry:
            return None
        generation, rows = int(entry[0][0]), int(entry[0][1])
        counted = session.execute(statements.count_slice(name), [slice.start, generation])
        return LedgerRow(generation, rows, int(counted[0][0]))
