"""Names in SQL: always quoted, so that spaces, quotes and upper case stay as declared."""

from __future__ import annotations

import re
from dataclasses import dataclass

from batch_processing.errors import WarehouseRefused

_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')

SLICE_COLUMN = "_slice"
GENERATION_COLUMN = "_generation"
LEDGER_TABLE = "_batch_loads"
INCOMING_TABLE = "_batch_incoming"
LATER_TABLE = "_batch_later"


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
        WarehouseRefused: neither.
    """
    parts: list[str] = []
    place = 0
    while match := _PART.match(text, place):
        parts.append(match[1].replace('""', '"') if match[1] else match[2])
        place = match.end()
        if place == len(text):
            break
        if text[place] != ".":
            parts.clear()
            break
        place += 1
    if place != len(text) or len(parts) not in (1, 2) or text.endswith("."):
        raise WarehouseRefused(
            "the warehouse table's name cannot be read",
            where="warehouse.table",
            found=repr(text),
            fix='write table or schema.table; a part with a dot or a quote stands in double quotes, as "a.b"',
        )
    name = TableName(parts[-1], parts[0] if len(parts) == 2 else "")
    if name.table in (LEDGER_TABLE, INCOMING_TABLE, LATER_TABLE):
        raise WarehouseRefused(
            "the warehouse table's name is reserved", where="warehouse.table", found=name.table, fix="choose another"
        )
    return name
