"""Which files of the table a commit replaces, by mode. Pure: from values to values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Literal

from batch_processing.delta_lake.log import LiveFile
from batch_processing.errors import TableError, UsageError
from batch_processing.results import Staged

_REBUILD = "rebuild the table: name a new path in target.table, and run batchctl backfill over all slices"


def removals(
    live: Sequence[LiveFile],
    *,
    mode: Literal["overwrite", "append", "replace_partitions", "merge"],
    staged: Staged,
    reprocessed: bool,
    previous: Sequence[str] | None,
    mixed: Sequence[str] = (),
    untouched: AbstractSet[tuple[str | None, ...]] = frozenset(),
    replace: Sequence[Mapping[str, str | None]] = (),
) -> tuple[LiveFile, ...]:
    """The live files that the new commit removes.

    Args:
        live: the table's files.
        mode: `merge` is planned elsewhere.
        staged: what is published.
        reprocessed: an earlier generation of this slice is recorded.
        previous: live files that hold rows of the earlier generation and no others; None where the log does not say.
        mixed: live files that hold some among rows of others.
        untouched: partitions that the earlier generation wrote and nobody changed since, compaction aside; of others,
            the files of `previous` go and those of later writers stay.
        replace: partitions to replace besides.

    Raises:
        TableError: the rows of an earlier generation cannot be told from others.
        UsageError: `replace` names a column that is no partition column.
    """
    _check_columns(replace, staged)
    if mode == "overwrite":
        return tuple(live)
    if reprocessed and previous is None:
        raise TableError(
            "the log no longer says which files the earlier generation of this slice added",
            where=staged.table,
            fix=_REBUILD,
        )
    earlier = set(previous or ())
    if mode == "append":
        _check_apart(mixed, staged)
        return tuple(f for f in live if f.path in earlier or _matches(f, replace))
    written = {_key(f.partition_values, staged) for f in staged.files}
    whole = written | untouched
    return tuple(
        f for f in live if _key(f.partition_values, staged) in whole or f.path in earlier or _matches(f, replace)
    )


def _check_columns(replace: Sequence[Mapping[str, str | None]], staged: Staged) -> None:
    for wanted in replace:
        if not wanted or not set(wanted) <= set(staged.partition_by):
            raise UsageError(
                "partitions to replace are named by partition columns",
                found=", ".join(wanted) or "none",
                fix=f"use {', '.join(staged.partition_by) or 'a partitioned table'}",
            )


def _check_apart(mixed: Sequence[str], staged: Staged) -> None:
    if mixed:
        raise TableError(
            "files of the earlier generation were rewritten with others, so its rows cannot be told from others",
            where=staged.table,
            found=f"{len(mixed)} files may hold rows of several slices, as {mixed[0]}",
            fix=_REBUILD,
        )


def _key(values: Mapping[str, str | None], staged: Staged) -> tuple[str | None, ...]:
    return tuple(values[c] for c in staged.partition_by)


def _matches(file: LiveFile, replace: Sequence[Mapping[str, str | None]]) -> bool:
    return any(all(file.partition_values[c] == v for c, v in wanted.items()) for wanted in replace)
