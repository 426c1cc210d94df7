"""Which rows went through a hop, not only how many: a row that was swapped for another leaves the counts as they were.

A landed row is named by its input (`_source_file`) and its number there (`_source_row`, from 1). Of each input three
sums are kept: the rows, their numbers, the squares of these. One row lost, doubled or swapped changes one of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_processing.errors import LedgerError, StorageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PROVENANCE = ("_source_file", "_source_row")
"""Columns that say where a landed row came from; together unique in a source."""


@dataclass(frozen=True)
class Tally:
    """The rows of one input: how many, the sum of their numbers, the sum of the squares."""

    rows: int = 0
    numbers: int = 0
    squares: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.rows + other.rows, self.numbers + other.numbers, self.squares + other.squares)

    def __sub__(self, other: Tally) -> Tally:
        return Tally(self.rows - other.rows, self.numbers - other.numbers, self.squares - other.squares)

    def __str__(self) -> str:
        return f"{self.rows:,} rows (numbers {self.numbers:,}, squares {self.squares:,})"

    @classmethod
    def of_first(cls, rows: int) -> Tally:
        """Rows 1 to `rows`, each once."""
        return cls(rows, rows * (rows + 1) // 2, rows * (rows + 1) * (2 * rows + 1) // 6)


Identity = Mapping[str, Tally]
"""Input -> its rows."""


def joined(*parts: Identity) -> dict[str, Tally]:
    """Rows of all parts together."""
    found: dict[str, Tally] = {}
    for part in parts:
        for file, tally in part.items():
            found[file] = found.get(file, Tally()) + tally
    return found


def less(whole: Identity, part: Identity) -> dict[str, Tally]:
    """The rows of `whole` without those of `part`."""
    return {file: whole.get(file, Tally()) - part.get(file, Tally()) for file in {**whole, **part}}


def identity_of_files(files: Sequence[str]) -> dict[str, Tally]:
    """The rows in Parquet files, read by DuckDB: neither the engine's reader nor the writer of landed files.

    Raises:
        StorageError: a file cannot be read.
    """
    import duckdb

    if not files:
        return {}
    sql = (
        "SELECT _source_file, count(*), sum(_source_row), sum(CAST(_source_row AS HUGEINT) * _source_row) "
        "FROM read_parquet($1, hive_partitioning = false) GROUP BY ALL"
    )
    try:
        with duckdb.connect(config={"autoinstall_known_extensions": False}) as database:
            rows = database.execute(sql, [[_literal(file) for file in files]]).fetchall()
    except duckdb.Error as error:
        raise StorageError(
            "a file that an earlier step wrote cannot be read",
            where=files[0],
            found=type(error).__name__,
            fix="run the step again that writes it",
        ) from error
    return {str(row[0]): Tally(int(row[1]), int(row[2] or 0), int(row[3] or 0)) for row in rows}


def identity_of_frame(frame: DataFrame, *, where: str) -> dict[str, Tally]:
    """The rows of a DataFrame that has the columns `_source_file` and `_source_row`, summed by the engine.

    Raises:
        EngineError: the engine went away.
        TransformError: the rows could not be computed.
    """
    from pyspark.sql import functions as sf

    from batch_processing.delta_lake.engine_errors import engine_failures

    file, row = (sf.col(name) for name in PROVENANCE)
    exact = row.cast("decimal(19,0)")
    with engine_failures("counting rows by their identity", where=where):
        sums = frame.groupBy(file).agg(sf.count(row), sf.sum(row), sf.sum(exact * exact)).collect()
    return {str(found[0]): Tally(int(found[1]), int(found[2] or 0), int(found[3] or 0)) for found in sums}


def check_same_rows(hop: str, *, into: Identity, out: Identity, where: str, equation: str, fix: str) -> None:
    """Checks that the same rows came out that went in.

    Args:
        hop: the hop's name, as `validate orders`.
        into: rows that went in.
        out: rows that came out, all ways together.
        where: file, table or source.
        equation: what is compared, in words.
        fix: what to do next.

    Raises:
        LedgerError: rows were lost, doubled or swapped, also where the counts agree.
    """
    differing = [file for file in sorted({**into, **out}) if into.get(file, Tally()) != out.get(file, Tally())]
    if not differing:
        return
    first = differing[0]
    went, came = into.get(first, Tally()), out.get(first, Tally())
    verb = "lost" if came.rows < went.rows else "added" if came.rows > went.rows else "swapped"
    amount = (
        f"{abs(went.rows - came.rows):,} rows {verb}" if verb != "swapped" else f"rows swapped, {_changed(went, came)}"
    )
    raise LedgerError(
        f"the row ledger breaks at {hop}: {amount}",
        where=where,
        found=f"{equation} in {len(differing):,} inputs; the first is {first}: {went} went in, {came} came out",
        fix=fix,
    )


def check_each_once(hop: str, found: Identity, *, where: str, fix: str) -> None:
    """Checks that of each input the rows 1 to n are there, each once.

    Raises:
        LedgerError: a row is missing and another one is there twice.
    """
    whole = {file: Tally.of_first(tally.rows) for file, tally in found.items()}
    check_same_rows(
        hop, into=whole, out=found, where=where, equation="records 1 to n of an input != rejected + landed", fix=fix
    )


def _changed(went: Tally, came: Tally) -> str:
    """For one row in place of another, their numbers: a - b and a² - b² are known."""
    apart, squares = came.numbers - went.numbers, came.squares - went.squares
    if apart and squares % apart == 0:
        both = squares // apart
        if (both + apart) % 2 == 0 and (both + apart) // 2 > 0 and (both - apart) // 2 > 0:
            return f"as record {(both + apart) // 2:,} in place of record {(both - apart) // 2:,}"
    return f"their numbers apart by {math.fabs(apart):,.0f}"


def _literal(path: str) -> str:
    """The path with what DuckDB takes for a pattern put in brackets."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)
