"""Publish: one Delta commit that makes the staged files part of the table, exactly once per slice and generation."""

from __future__ import annotations

import json
import logging
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from deltalake import DeltaTable

from batch_processing.delta_lake.commit import Change, StaleSnapshot, commit_change
from batch_processing.delta_lake.lock import commit_lock
from batch_processing.delta_lake.log import (
    Commit,
    LiveFile,
    find_commit,
    live_files,
    open_table,
    recorded_generation,
    untouched_partitions,
)
from batch_processing.delta_lake.merge import Merged, MergeKeys, plan_merge
from batch_processing.delta_lake.protocol import check_writable
from batch_processing.delta_lake.remains import what_remains
from batch_processing.delta_lake.replacing import removals
from batch_processing.delta_lake.required import check_required
from batch_processing.delta_lake.schema import SchemaChange, new_columns
from batch_processing.delta_lake.staging import check_staged, discard
from batch_processing.errors import PublishConflict, StorageError, TableError, UsageError
from batch_processing.results import Published, Staged
from batch_processing.storage import local_path, sync_files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOG = logging.getLogger(__name__)
Mode = Literal["overwrite", "append", "replace_partitions", "merge"]
ATTEMPTS = 20
"""Commits tried before PublishConflict, each on a fresh snapshot."""

_MODES = ("overwrite", "append", "replace_partitions", "merge")


@dataclass(frozen=True)
class _Request:
    """What to publish, the same over all attempts."""

    staged: Staged
    root: Path
    mode: Mode
    app_id: str
    generation: int
    facts: dict[str, Any]
    schema_change: SchemaChange
    replace: tuple[Mapping[str, str | None], ...]
    token: str
    fence: Callable[[], None] | None


def publish(
    staged: Staged,
    *,
    mode: Mode,
    app_id: str,
    generation: int,
    metadata: Mapping[str, Any],
    keys: Sequence[str] = (),
    sequence_by: str | None = None,
    schema_change: SchemaChange = "strict",
    replace: Sequence[Mapping[str, str | None]] | None = None,
    spark: SparkSession | None = None,
    fence: Callable[[], None] | None = None,
) -> Published:
    """Commits the staged files, or finds that this generation of the slice is in the table already.

    Args:
        staged: what `stage` wrote.
        mode: what the commit replaces; docs/delta_lake.md has each mode's meaning on retry, rerun and reprocess.
        app_id: names pipeline, table and slice; the key of exactly-once.
        generation: raised only by a deliberate reprocess.
        metadata: JSON-able facts for the commit (`run_id`, `slice`, `score` ...). No data values.
        keys: mode merge: the columns that identify a row.
        sequence_by: mode merge: a row replaces another of its key only with an equal or higher value here.
        schema_change: `additive` allows new nullable columns.
        replace: partitions to replace beside those the mode does; each maps partition columns to values as the log
            writes them; columns left out match any value.
        spark: mode merge only: the engine that reads the rows to merge with.
        fence: called after each look at the table, before the commit on what was seen; what it raises ends the publish
            with nothing committed. A commit that comes late is stopped, or meets a newer version and is asked again.

    Returns:
        The version that holds the slice; `already` where it was there before.

    Raises:
        UsageError: arguments that do not fit the mode.
        TableError: a table this writer must not touch, another schema or partitioning, or a newer generation.
        DataError: mode merge: keys that are null or not unique in the staged rows.
        PublishConflict: other writers won `ATTEMPTS` times.
        StorageError: staged files are gone, or the disk refused.
        LedgerError: a staged file changed after it was written; nothing was published.
    """
    merging = _check_arguments(staged, mode, keys, sequence_by, spark, generation, metadata, replace)
    token = uuid.uuid4().hex
    request = _Request(
        staged=staged,
        root=Path(staged.table),
        mode=mode,
        app_id=app_id,
        generation=generation,
        facts=dict(metadata),
        schema_change=schema_change,
        replace=tuple(replace or ()),
        token=token,
        fence=fence,
    )
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(random.uniform(0.0, min(1.0, 0.02 * 2**attempt)))  # noqa: S311 - jitter, not a secret
        if (found := _found(request)) is not None:
            return found
        check_staged(staged, hop="publish")  # the files are read here; under the lock it is a look at their times
        merged = plan_merge(spark, staged, merging) if merging is not None and spark is not None else None
        try:
            return _attempt(request, merged)
        except StaleSnapshot as error:
            _LOG.info("another writer committed to %s first (attempt %s): %s", request.root, attempt + 1, error)
            if merged is not None:
                merged.discard()
    raise PublishConflict(
        "other writers kept committing to the table",
        where=staged.table,
        found=f"{ATTEMPTS} attempts",
        fix="run the step again",
    )


def find_published(table: Path | str, *, app_id: str, generation: int) -> Published | None:
    """The commit of this slice's generation, or None where neither it nor a newer one is recorded.

    Where the log was cleaned up beyond that commit, `version` is the newest one and `files` and `metadata` are empty.

    Raises:
        TableError: a newer generation is in the table, so this one must not be published any more.
    """
    root = local_path(str(table))
    opened = open_table(root)
    if opened is None:
        return None
    recorded = recorded_generation(opened, app_id)
    if recorded is None or recorded < generation:
        return None
    if recorded > generation:
        raise TableError(
            "a newer generation of this slice is in the table",
            where=str(root),
            found=f"generation {recorded}, this is {generation}",
            fix="nothing: the newer one holds; run again, the slice is found published",
        )
    commit = find_commit(root, app_id=app_id, newest=opened.version(), generation=generation)
    return _published(root, commit, already=True) if commit else Published(str(root), opened.version(), 0, already=True)


def _found(request: _Request) -> Published | None:
    found = find_published(request.root, app_id=request.app_id, generation=request.generation)
    if found is not None and found.metadata.get("commit_token") == request.token:
        return changed(found, already=False)
    return found


def _attempt(request: _Request, merged: Merged | None) -> Published:
    """One try on the table as it is now.

    Raises:
        StaleSnapshot: another writer was first; nothing was committed.
    """
    with commit_lock(request.root):
        if (found := _found(request)) is not None:
            return found
        _check_present(request.staged)
        for written in (request.staged, *((merged.winners, merged.carried) if merged is not None else ())):
            if written is not None:
                check_staged(written, hop="publish")
        table = open_table(request.root)
        if merged is not None and merged.version != (None if table is None else table.version()):
            raise StaleSnapshot("the table changed while the rows were merged")
        before = -1 if table is None else table.version()
        change = _change(request, table, merged)
        if request.fence is not None:
            request.fence()
        commit_change(request.root, table, change)
    published = _found(request)
    if published is None:
        raise TableError(
            "the commit is not in the table's log", where=str(request.root), fix="see the chained error, then run again"
        )
    _sync_log(request.root, first=before + 1, last=published.version)
    _LOG.info(
        "published %s rows in %s files as version %s of %s",
        published.rows,
        len(published.files),
        published.version,
        request.root,
    )
    if merged is not None and merged.winners is not None:
        discard(request.staged)
    return published


def _sync_log(root: Path, *, first: int, last: int) -> None:
    """delta-rs leaves it to the system when a log entry reaches the disk; the staged files are there already."""
    log = root / "_delta_log"
    sync_files([log / f"{version:020d}.json" for version in range(first, last + 1)], top=root)


def _change(request: _Request, table: DeltaTable | None, merged: Merged | None) -> Change:
    staged = request.staged
    added: tuple[str, ...] = ()
    removed: tuple[LiveFile, ...] = ()
    if table is not None:
        where = str(request.root)
        check_writable(table, partition_by=staged.partition_by, where=where)
        table_schema = table.schema().to_json()
        added = new_columns(staged.schema_json, table_schema, change=request.schema_change, where=where)
        check_required(staged, table_schema)
        removed = merged.removes if merged is not None else _removed(request, table)
    source = merged.winners if merged is not None and merged.winners is not None else staged
    files = source.files + (merged.carried.files if merged is not None and merged.carried is not None else ())
    return Change(
        schema_json=staged.schema_json,
        partition_by=staged.partition_by,
        files=files,
        removes=removed,
        new_columns=added,
        app_id=request.app_id,
        generation=request.generation,
        metadata=_metadata(request, source, merged),
    )


def _removed(request: _Request, table: DeltaTable) -> tuple[LiveFile, ...]:
    recorded = recorded_generation(table, request.app_id)
    if request.mode == "append" and recorded is None and not request.replace:
        return ()
    previous = remains = None
    untouched: set[tuple[str | None, ...]] = set()
    if recorded is not None:
        previous = find_commit(request.root, app_id=request.app_id, newest=table.version())
    if previous is not None:
        columns = request.staged.partition_by
        remains = what_remains(table, request.root, version=previous.version, files=previous.files)
        untouched = untouched_partitions(request.root, previous, newest=table.version(), columns=columns)
    return removals(
        live_files(table),
        mode=request.mode,
        staged=request.staged,
        reprocessed=recorded is not None,
        previous=remains.files if remains else None,
        mixed=remains.mixed if remains else (),
        untouched=untouched,
        replace=request.replace,
    )


def _metadata(request: _Request, source: Staged, merged: Merged | None) -> dict[str, Any]:
    facts = {
        **request.facts,
        "app_id": request.app_id,
        "generation": request.generation,
        "mode": request.mode,
        "rows": source.rows,
        "commit_token": request.token,
        "sha256": [file.sha256 for file in sorted(source.files, key=lambda file: file.path)],
    }
    if merged is not None:
        facts["superseded_rows"] = request.staged.rows - source.rows
        facts["carried_folder"] = merged.carried_folder
    return facts


def _check_present(staged: Staged) -> None:
    root = Path(staged.table)
    for file in staged.files:
        try:
            size = (root / file.path).stat().st_size
        except OSError as error:
            raise StorageError(
                "a staged file is gone",
                where=str(root / file.path),
                found=error.strerror or "",
                fix="run the transform again",
            ) from error
        if size != file.size:
            raise StorageError(
                "a staged file changed",
                where=str(root / file.path),
                found=f"{size} bytes, was {file.size}",
                fix="run the transform again",
            )


def _check_arguments(
    staged: Staged,
    mode: str,
    keys: Sequence[str],
    sequence_by: str | None,
    spark: SparkSession | None,
    generation: int,
    metadata: Mapping[str, Any],
    replace: Sequence[Mapping[str, str | None]] | None,
) -> MergeKeys | None:
    if mode not in _MODES:
        raise UsageError("unknown publish mode", found=mode, fix=f"use one of {', '.join(_MODES)}")
    if generation < 1:
        raise UsageError("a generation counts from 1", found=str(generation))
    if mode == "replace_partitions" and not staged.partition_by:
        raise UsageError(
            "mode replace_partitions needs a partitioned table", where=staged.table, fix="give partition_by"
        )
    try:
        json.dumps(dict(metadata), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError("commit metadata must be JSON without NaN", found=str(error)) from error
    if mode != "merge":
        return None
    if replace:
        raise UsageError("mode merge replaces rows by key, not partitions", fix="leave replace out")
    if not keys or spark is None:
        raise UsageError("mode merge needs keys and a session", where=staged.table, fix="give keys= and spark=")
    return MergeKeys(tuple(keys), sequence_by)


def _published(root: Path, commit: Commit, *, already: bool) -> Published:
    facts = dict(commit.metadata)
    carried = facts.pop("carried_folder", None)
    digests = facts.pop("sha256", [])
    own = [f for f in commit.files if carried is None or not f.startswith(f"{carried}/")]
    return Published(
        table=str(root),
        version=commit.version,
        rows=int(facts.get("rows", 0)),
        files=tuple(str(root / f) for f in own),
        already=already,
        run_id=str(facts.get("run_id", "")),
        metadata=facts,
        digests=_in_order(own, digests),
    )


def _in_order(files: Sequence[str], digests: Sequence[str]) -> tuple[str, ...]:
    """The digests in the order of the files; the commit has them in the order of the sorted paths."""
    if len(digests) != len(files) or not all(digests):
        return ()
    by_path = dict(zip(sorted(files), digests, strict=True))
    return tuple(by_path[file] for file in files)
