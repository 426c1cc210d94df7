"""Mode merge: which files of the table hold rows that the staged rows replace, and what remains of them.

The engine's own MERGE INTO commits by itself and cannot carry our app transaction on every engine, so a crash after it
could merge twice. Here the engine computes, and one commit does all: it adds the staged files and the rows that stay
of the touched files, and removes the touched files.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as sf

from batch_processing.delta_lake.engine_errors import engine_failures
from batch_processing.delta_lake.log import LiveFile, live_files, open_table
from batch_processing.delta_lake.partitions import quoted
from batch_processing.delta_lake.protocol import check_writable
from batch_processing.delta_lake.reading import TableReader, table_reader
from batch_processing.delta_lake.schema import column_types, free_name, show_type
from batch_processing.delta_lake.staging import discard, read_staged, stage
from batch_processing.errors import DataError, LedgerError, TableError
from batch_processing.results import Staged

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

_EXAMINED_SINGLY = 64
"""Up to so many candidate files are examined one by one; above, all candidates count as touched."""


@dataclass(frozen=True)
class MergeKeys:
    """The columns that identify a row, and the one that says which of two is newer."""

    keys: tuple[str, ...]
    sequence_by: str | None = None


@dataclass(frozen=True)
class Merged:
    """A merge against one version of the table.

    Attributes:
        version: the version it was computed from; None where there was no table.
        removes: files that hold replaced rows.
        carried: the other rows of those files, staged; None where there are none.
        winners: the staged rows without those older than the table's; None where all of them win.
    """

    version: int | None
    removes: tuple[LiveFile, ...] = ()
    carried: Staged | None = None
    winners: Staged | None = None

    @property
    def carried_folder(self) -> str | None:
        """Folder, relative to the table, of the files that only carry rows over."""
        if self.carried is None or not self.carried.files:
            return None
        return "/".join(self.carried.files[0].path.split("/")[:2])

    def discard(self) -> None:
        """Removes what this plan wrote."""
        for staged in (self.carried, self.winners):
            if staged is not None:
                discard(staged)


def plan_merge(spark: SparkSession, staged: Staged, merge: MergeKeys) -> Merged:
    """Computes the merge of the staged rows into the table's newest version.

    Raises:
        TableError: keys that are not columns, or a table this writer must not touch.
        DataError: staged keys that are null or occur twice.
        LedgerError: the engine reads other rows of the staged files than were written.
    """
    _check_columns(staged, merge)
    source = read_staged(spark, staged, hop="publish")
    with engine_failures("merging", where=staged.table):
        _check_keys(source, staged, merge)
        table = open_table(Path(staged.table))
        if table is None:
            return Merged(None)
        check_writable(table, partition_by=staged.partition_by, where=staged.table)
        schema_json = table.schema().to_json()
        _check_types(staged, schema_json, merge)
        candidates = _candidates(live_files(table, with_stats=True), staged, merge.keys)
        with table_reader(spark, staged, schema_json) as reader:
            touched = _touched(reader, candidates, source, merge)
            if not touched:
                return Merged(table.version())
            return _resolve(reader, touched, source, merge, table.version())


def _resolve(
    reader: TableReader, touched: Sequence[LiveFile], source: DataFrame, merge: MergeKeys, version: int
) -> Merged:
    staged, keys = reader.staged, list(merge.keys)
    old = reader.read(touched)
    winners, winning = None, source
    if merge.sequence_by is not None:
        newer = _newer_in_table(old, source, merge)
        if newer.limit(1).count():
            winning = source.join(newer, on=keys, how="left_anti").select(*_columns(source.columns))
            winners = stage(
                winning, table=staged.table, partition_by=staged.partition_by, folder=f"merge/{uuid.uuid4().hex}"
            )
            winning = read_staged(reader.spark, winners, hop="publish")
            _check_read(winning.count(), winners)
    rest = old.join(winning.select(*_columns(keys)), on=keys, how="left_anti").select(*_columns(old.columns))
    carried = stage(rest, table=staged.table, partition_by=staged.partition_by, folder=f"merge/{uuid.uuid4().hex}")
    return Merged(version, tuple(touched), carried, winners)


def _newer_in_table(old: DataFrame, source: DataFrame, merge: MergeKeys) -> DataFrame:
    """Keys of staged rows that the table holds with a higher sequence. A null sequence is the lowest."""
    keys, column = list(merge.keys), merge.sequence_by or ""
    ours, theirs = (free_name(name, keys) for name in ("_staged_sequence", "_table_sequence"))
    table_rows = old.select(*_columns(keys), sf.col(quoted(column)).alias(theirs))
    staged_rows = source.select(*_columns(keys), sf.col(quoted(column)).alias(ours))
    both = staged_rows.join(table_rows, on=keys, how="inner")
    newer = sf.col(theirs) > sf.col(ours)
    unknown = sf.col(ours).isNull() & sf.col(theirs).isNotNull()
    return both.filter(newer | unknown).select(*_columns(keys)).distinct()


def _columns(names: Sequence[str]) -> list[Column]:
    return [sf.col(quoted(name)) for name in names]


def _touched(
    reader: TableReader, candidates: Sequence[LiveFile], source: DataFrame, merge: MergeKeys
) -> Sequence[LiveFile]:
    if not candidates or len(candidates) > _EXAMINED_SINGLY:
        return candidates
    keys = list(merge.keys)
    rows = reader.read(candidates, index=True).select(*_columns(keys), reader.file_index)
    found = rows.join(source.select(*_columns(keys)), on=keys, how="left_semi").select(reader.file_index).distinct()
    return [candidates[i] for i in sorted(row[0] for row in found.collect())]


def _candidates(live: Sequence[LiveFile], staged: Staged, keys: Sequence[str]) -> list[LiveFile]:
    """Files that may hold a staged key, by partition values and statistics."""
    if not staged.files:
        return []
    types = column_types(staged.schema_json)
    parts = {c: {f.partition_values[c] for f in staged.files} for c in keys if c in staged.partition_by}
    ranges = {c: r for c in keys if c not in parts and (r := _staged_range(staged, c, types[c])) is not None}
    return [
        f
        for f in live
        if all(f.partition_values[c] in values for c, values in parts.items())
        and all(_overlaps(f, c, r) for c, r in ranges.items())
    ]


def _staged_range(staged: Staged, column: str, kind: Any) -> tuple[Any, Any] | None:
    if kind not in ("long", "integer", "short", "byte", "string", "date"):
        return None
    bounds = [
        (f.stats.get("minValues", {}).get(column), f.stats.get("maxValues", {}).get(column)) for f in staged.files
    ]
    if any(low is None or high is None for low, high in bounds):
        return None
    low, high = min(b[0] for b in bounds), max(b[1] for b in bounds)
    return (date.fromisoformat(low), date.fromisoformat(high)) if kind == "date" else (low, high)


def _overlaps(file: LiveFile, column: str, bounds: tuple[Any, Any]) -> bool:
    low, high = ((file.stats.get(side) or {}).get(column) for side in ("min", "max"))
    if low is None or high is None or type(low) is not type(bounds[0]):
        return True
    return bool(low <= bounds[1] and bounds[0] <= high)


def _check_columns(staged: Staged, merge: MergeKeys) -> None:
    columns = column_types(staged.schema_json)
    wanted = (*merge.keys, *((merge.sequence_by,) if merge.sequence_by else ()))
    missing = [c for c in wanted if c not in columns]
    if missing:
        raise TableError(
            "merge columns are not in the output",
            where=staged.table,
            found=", ".join(missing),
            fix=f"use columns of {', '.join(columns)}",
        )


def _check_types(staged: Staged, schema_json: str, merge: MergeKeys) -> None:
    ours, theirs = column_types(staged.schema_json), column_types(schema_json)
    columns = (*merge.keys, *((merge.sequence_by,) if merge.sequence_by else ()))
    changed = [column for column in columns if ours[column] != theirs.get(column)]
    if changed:
        listed = (
            f"{column} is {show_type(theirs[column]) if column in theirs else 'not'} in the table, "
            f"{show_type(ours[column])} in the output"
            for column in changed
        )
        raise TableError(
            "merge columns have other types than in the table",
            where=staged.table,
            found="; ".join(listed),
            fix="cast them in the transform to the table's types, or name a new path in target.table",
        )


def _check_read(rows: int, staged: Staged) -> None:
    """Rows that the engine does not see would be added without those that they replace."""
    if rows != staged.rows:
        raise LedgerError(
            "the row ledger breaks at publish: the engine reads other rows of the staged files than were written",
            where=staged.table,
            found=f"{rows:,} rows read, {staged.rows:,} written",
            fix="nothing was published; run the transform again, and report it where it comes again",
        )


def _check_keys(source: DataFrame, staged: Staged, merge: MergeKeys) -> None:
    keys, where = list(merge.keys), staged.table
    null = reduce(lambda a, b: a | b, [sf.col(quoted(k)).isNull() for k in keys])
    rows, nulls = source.agg(sf.count("*"), sf.count(sf.when(null, 1))).collect()[0]
    _check_read(rows, staged)
    if nulls:
        raise DataError(
            "merge keys are null",
            where=f"{where}, keys {', '.join(keys)}",
            found=f"{nulls} rows",
            fix="filter them in the transform",
        )
    times = free_name("times", keys)
    doubled = source.groupBy(*_columns(keys)).agg(sf.count("*").alias(times)).filter(sf.col(times) > 1).count()
    if doubled:
        raise DataError(
            "merge keys are not unique in the output",
            where=f"{where}, keys {', '.join(keys)}",
            found=f"{doubled} keys occur more than once",
            fix="keep one row per key in the transform",
        )
