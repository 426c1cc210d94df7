"""What is asked of a database, and what comes back: values between the drivers and the landing."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from batch_processing.errors import SourceSchemaError
from batch_processing.sources.columns import near
from batch_processing.sources.landing import Landing, Reject
from batch_processing.sources.parquet import land_batch
from batch_processing.sources.records import misfits_of, typed_column

_SHOWN = 20


@dataclass(frozen=True)
class Selection:
    """A table or a query, and the columns wanted of it (none: all)."""

    conn_id: str
    table: str | None
    query: str | None
    declared: Mapping[str, str]
    fetch_rows: int

    @property
    def place(self) -> str:
        """`<conn_id>:<table>` or `<conn_id>:query`."""
        return f"{self.conn_id}:{self.table or 'query'}"

    def sql(self, columns: Sequence[str] = (), *, quote: str = '"', as_text: Container[str] = ()) -> str:
        """The statement, identifiers quoted; all columns where none is named; those of `as_text` cast to text."""
        names = {name: quoted(name, quote) for name in columns}
        wanted = ", ".join(f"{q}::text AS {q}" if name in as_text else q for name, q in names.items()) or "*"
        origin = quoted_table(self.table, quote) if self.table else f"(\n{self.query}\n) AS batch_query"
        return f"SELECT {wanted} FROM {origin}"  # noqa: S608 - identifiers are quoted; the query is the declaration's


class Block(Protocol):
    """Some rows of an export."""

    def land(self, columns: Mapping[str, str], *, file: str, first: int, landing: Landing) -> int: ...


@dataclass(frozen=True)
class Export:
    """An open export: the columns with their declared types, and the rows in blocks."""

    columns: Mapping[str, str]
    blocks: Iterator[Block]


@dataclass(frozen=True)
class ArrowBlock:
    """Rows as an Arrow batch, columns by name."""

    batch: pa.RecordBatch

    def land(self, columns: Mapping[str, str], *, file: str, first: int, landing: Landing) -> int:
        land_batch(self.batch, columns=columns, file=file, first=first, landing=landing)
        return int(self.batch.num_rows)


@dataclass(frozen=True)
class RowBlock:
    """Rows as tuples of Python values, in the columns' order."""

    rows: Sequence[Sequence[Any]]

    def land(self, columns: Mapping[str, str], *, file: str, first: int, landing: Landing) -> int:
        series = list(zip(*self.rows, strict=True))
        casts = {
            name: (typed_column(values, declared, kind="database"), declared)
            for (name, declared), values in zip(columns.items(), series, strict=True)
        }
        misfits = misfits_of(casts)
        for position in sorted(misfits):
            names = ", ".join(n for n, _ in misfits[position])
            said = "; ".join(f"{n}: {e}" for n, e in misfits[position])
            landing.reject(Reject(file, first + position, names, said, _raw(columns, self.rows[position])))
        fits = np.ones(len(self.rows), dtype=bool)
        fits[list(misfits)] = False
        numbers = np.arange(first, first + len(self.rows), dtype=np.int64)[fits]
        landing.add([c.values.filter(pa.array(fits)) for c, _ in casts.values()], file=file, rows=numbers)
        return len(self.rows)


def quoted(name: str, quote: str = '"') -> str:
    """An identifier in quotes, quotes in it doubled."""
    return f"{quote}{name.replace(quote, quote * 2)}{quote}"


def quoted_table(table: str, quote: str = '"') -> str:
    """`schema.table` with each part in quotes."""
    return ".".join(quoted(part, quote) for part in table.split("."))


def check_columns(selection: Selection, found: Sequence[str]) -> None:
    """Whether a table or query has the declared columns, each once.

    Raises:
        SourceSchemaError: with the missing ones and near names.
    """
    missing = [name for name in selection.declared if name not in found]
    if missing:
        hints = ", ".join(f"{name}{near(name, found)}" for name in missing[:_SHOWN])
        raise SourceSchemaError(
            f"declared columns are missing in the database: {hints}",
            where=selection.place,
            found=", ".join(found[:_SHOWN]),
            fix="mend the source's schema, or the table",
        )
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise SourceSchemaError(
            f"more than one column is named {', '.join(twice[:_SHOWN])}",
            where=selection.place,
            fix="give each column of the query a name of its own (AS)",
        )


def no_such_table(selection: Selection, known: Sequence[str]) -> SourceSchemaError:
    """The error for a table that is not there, with near names."""
    table = selection.table or ""
    return SourceSchemaError(
        f"no such table: {table}{near(table, known)}",
        where=selection.place,
        found=", ".join(known[:_SHOWN]) or "no table that can be seen with this connection",
        fix="mend sources.<name>.database.table; another schema's table is written schema.table",
    )


def untyped(selection: Selection, column: str, kind: str) -> SourceSchemaError:
    """The error for a column whose type must be declared."""
    return SourceSchemaError(
        f"the database does not say a full type for column {column}",
        where=selection.place,
        found=kind,
        fix="declare the source's schema, each column with its type",
    )


def _raw(columns: Mapping[str, str], row: Sequence[Any]) -> str:
    return json.dumps(dict(zip(columns, row, strict=True)), default=_readable, ensure_ascii=True)


def _readable(value: object) -> str:
    return value.decode("utf-8", errors="backslashreplace") if isinstance(value, bytes) else str(value)
