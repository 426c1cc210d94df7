"""The warehouse table's name as a declaration writes it: `table` or `schema.table`."""

from __future__ import annotations

import re

LEDGER_TABLE = "_batch_loads"
INCOMING_TABLE = "_batch_incoming"
LATER_TABLE = "_batch_later"

VALID_TABLE = 'table or schema.table; a part with a dot or a quote stands in double quotes, as "a.b"'

_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


def table_parts(text: str) -> tuple[str, str] | None:
    """Schema ("" where none is given) and table of a name; None where it cannot be read as `VALID_TABLE` says."""
    parts: list[str] = []
    place = 0
    while match := _PART.match(text, place):
        parts.append(match[1].replace('""', '"') if match[1] else match[2])
        place = match.end()
        if not text.startswith(".", place):
            break
        place += 1
    if place != len(text) or text.endswith(".") or len(parts) not in (1, 2) or not all(map(_is_name, parts)):
        return None
    return ("", *parts)[-2], parts[-1]


def is_reserved(table: str) -> bool:
    """Whether loads keep their own facts in a table of that name; DuckDB does not tell upper from lower case."""
    return table.lower() in (LEDGER_TABLE, INCOMING_TABLE, LATER_TABLE)


def _is_name(part: str) -> bool:
    return part == part.strip() and part.isprintable()
