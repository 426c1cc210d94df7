"""What the load asks of a warehouse: one open transaction that both DuckDB and PostgreSQL offer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import pyarrow as pa

from batch_processing.errors import SettingError
from batch_processing.settings.values import Connection
from batch_processing.warehouse.columns import Column
from batch_processing.warehouse.names import TableName

DEFAULT_WAIT_SECONDS = 300.0
"""How long a load waits for another that holds the table or the file; `extra.lock_timeout` sets another."""

WAITING = {"waiting": True}
"""`extra` of a log line that tells what is waited for: `batchctl` shows such lines on the terminal too."""

Access = Literal["read", "write"]
"""What a session is opened for: to look back, a DuckDB file is shared with other readers."""


class Session(Protocol):
    """An open transaction on a warehouse. What is not committed when it closes is gone.

    Attributes:
        location: where it is, for a person; no credentials.
        overriding: SQL that has an INSERT give values to columns that the warehouse numbers itself; "" where none are.
        byte_order: SQL that, after a text, has it compared byte by byte, as Delta compares; "" where it is so anyway.
    """

    location: str
    overriding: str
    byte_order: str

    def name(self, table: TableName) -> TableName:
        """The table's name with its schema.

        Raises:
            WarehouseRefused: a name that the warehouse does not take, or takes for another that is there.
        """
        ...

    def lock(self, table: TableName) -> None:
        """Keeps other loads of this table out until the transaction ends."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Runs a statement with parameters $1, $2, ... and returns its rows."""
        ...

    def columns(self, table: TableName) -> dict[str, str]:
        """Column -> type as the warehouse writes it; empty where there is no such table."""
        ...

    def ensure_schema(self, table: TableName) -> None:
        """Makes the table's schema where it is absent."""
        ...

    def type_of(self, column: Column) -> str:
        """The type that a column gets here."""
        ...

    def takes(self, column: Column, existing: str) -> bool:
        """Whether an existing column holds this one's values exactly."""
        ...

    def folded(self, name: str) -> str:
        """A column's name as the warehouse compares it with others."""
        ...

    def longest(self, existing: str) -> int | None:
        """Characters that a column of this type holds; None where it does not say."""
        ...

    def collated(self, table: TableName) -> set[str]:
        """Columns of the table that take different texts for the same, as `X` and `x`."""
        ...

    def nested_form(self, existing: str) -> str:
        """How nested values travel to a column of this type: `jsonb`, `json` or `native`."""
        ...

    def readable(self, column: Column, existing: str | None) -> str | None:
        """SQL that reads a column's values as they were copied; None where they are kept in another form.

        Args:
            column: of the published table.
            existing: the type it has in the warehouse; None where the table lacks it.
        """
        ...

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> pa.RecordBatchReader:
        """Runs a query and streams its rows."""
        ...

    def index(self, table: TableName, columns: Sequence[Column], *, keys: Sequence[str]) -> None:
        """Makes the indexes that a new table is replaced by."""
        ...

    def fill(self, table: TableName, values: Mapping[str, str]) -> bool:
        """Has columns of a table that this transaction made filled with a value in the rows to come.

        Returns:
            False where that would spare nothing: the values have to be copied with the rows.
        """
        ...

    def fill_no_more(self, table: TableName, names: Sequence[str]) -> None:
        """Ends what `fill` began."""
        ...

    def net_rows(self, table: TableName) -> int | None:
        """Rows that this transaction has put into the table, less those it removed, as the warehouse itself counts.

        None where it does not, or where a trigger, rule or policy of the table may stand between rows and count.
        """
        ...

    def copy(self, reader: pa.RecordBatchReader, table: TableName) -> None:
        """Copies a stream of rows into the table, columns by name; a table without schema is a temporary one."""
        ...

    def commit(self) -> None:
        """Makes everything visible at once."""
        ...

    def close(self) -> None:
        """Ends the session; what was not committed is rolled back."""
        ...


def wait_seconds(connection: Connection) -> float:
    """How long to wait for another load, from the connection's `extra.lock_timeout` (seconds).

    Raises:
        SettingError: not a number of seconds.
    """
    given = connection.extra.get("lock_timeout", DEFAULT_WAIT_SECONDS)
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise SettingError(
            "extra.lock_timeout is not a number of seconds",
            where=f"connection {connection.conn_id}",
            found=str(given)[:50],
            fix="write it as 300",
        )
    return seconds
