"""Names in SQL: always quoted, so that spaces, quotes and upper case stay as declared."""

from __future__ import annotations

from dataclasses import dataclass

from batch_processing.errors import WarehouseRefused
from batch_processing.settings.warehouse_table import (
    INCOMING_TABLE,
    LATER_TABLE,
    LEDGER_TABLE,
    VALID_TABLE,
    is_reserved,
    table_parts,
)

__all__ = [
    "GENERATION_COLUMN",
    "INCOMING_TABLE",
    "LATER_TABLE",
    "LEDGER_TABLE",
    "SLICE_COLUMN",
    "TableName",
    "parse_table",
    "quoted",
    "quoted_list",
]

SLICE_COLUMN = "_slice"
GENERATION_COLUMN = "_generation"


def quoted(name: str) -> str:
    """The name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quoted_list(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(quoted(name) for name in names)


@dataclass(frozen=True)
class TableName:
    """A table, with its schema where that is known."""

    table: str
    schema: str = ""

    @property
    def sql(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.table)}" if self.schema else quoted(self.table)

    def beside(self, table: str) -> TableName:
        """Another table of the same schema."""
        return TableName(table, self.schema)


def parse_table(text: str) -> TableName:
    """Reads `table` or `schema.table`; a part with a dot in it stands in double quotes.

    Raises:
        WarehouseRefused: neither, or a name that is reserved.
    """
    parts = table_parts(text)
    if parts is None:
        raise WarehouseRefused(
            "the warehouse table's name cannot be read",
            where="warehouse.table",
            found=repr(text),
            fix=f"write {VALID_TABLE}",
        )
    schema, table = parts
    if is_reserved(table):
        raise WarehouseRefused(
            "the warehouse table's name is reserved", where="warehouse.table", found=table, fix="choose another"
        )
    return TableName(table, schema)
