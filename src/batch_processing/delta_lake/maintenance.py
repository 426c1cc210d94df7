"""Upkeep of a table: small files compacted, the log checkpointed and cleaned, what no version needs removed.

No row changes. What makes a publish exactly-once stays: the app transactions are part of the table's state, which every
checkpoint holds. What a cleaned log no longer has is a commit's own facts (its files and counts).
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from deltalake import ColumnProperties, CommitProperties, DeltaTable, WriterProperties
from deltalake.exceptions import CommitFailedError, DeltaError

from batch_processing.delta_lake.history import appended_to, logged_paths
from batch_processing.delta_lake.lock import commit_lock
from batch_processing.delta_lake.log import LiveFile, live_files, open_table
from batch_processing.delta_lake.protocol import check_writable
from batch_processing.delta_lake.schema import column_types
from batch_processing.delta_lake.statistics import is_exact, says_statistics, statistics_properties
from batch_processing.errors import PublishConflict, StorageError, TableError, UsageError
from batch_processing.storage import local_path, sync_files

_LOG = logging.getLogger(__name__)
FLOOR_HOURS = 168
"""Nothing younger is removed: a running writer may need it, and so may a reader of an earlier version."""

TARGET_BYTES = 100 * 1024 * 1024
"""Files below this are compacted, up to this size."""

_LISTED = 200
_DURATION = re.compile(r"^(?:interval\s+)?(\d+)\s+(second|minute|hour|day|week)s?$")
_HOURS = {"second": 1 / 3600, "minute": 1 / 60, "hour": 1, "day": 24, "week": 168}

T = TypeVar("T")


@dataclass(frozen=True)
class RemovedFile:
    """A file that was removed, or would be: path relative to the root, bytes, last change."""

    path: str
    size: int
    changed: datetime


@dataclass(frozen=True)
class Maintained:
    """What was done, or with `dry_run` what would be.

    Attributes:
        table: root path.
        version: the table's version afterwards.
        small_files: files taken into compaction.
        compacted_into: files that took their place; None in a dry run.
        not_compacted: why compaction was left out, or "".
        checkpoint: whether a checkpoint was written.
        log_files: expired log files removed; None in a dry run.
        vacuumed: files of earlier versions removed.
        orphans: files removed that no version ever had.
        dry_run: nothing was changed.
    """

    table: str
    version: int
    small_files: int
    compacted_into: int | None
    not_compacted: str
    checkpoint: bool
    log_files: int | None
    vacuumed: tuple[RemovedFile, ...]
    orphans: tuple[RemovedFile, ...]
    dry_run: bool

    @property
    def freed(self) -> int:
        """Bytes of the files removed."""
        return sum(file.size for file in (*self.vacuumed, *self.orphans))


def maintain(
    table: Path | str,
    *,
    retention_hours: int = FLOOR_HOURS,
    dry_run: bool = False,
    compact_appended: bool = False,
    now: datetime | None = None,
) -> Maintained:
    """Compacts, checkpoints, cleans the log, vacuums, and removes staged files that were never published.

    The caller makes sure that no run of the table goes on (`pipeline.upkeep` does).

    Args:
        table: root path or file:// URI.
        retention_hours: how old a file must be to be removed; at least `FLOOR_HOURS`. Where the table itself asks for
            more (`delta.deletedFileRetentionDuration`), that holds.
        dry_run: look only.
        compact_appended: compact also a table of mode append, whose slices cannot be reprocessed afterwards.
        now: the time that orphans' ages are counted from; the clock's by default.

    Raises:
        UsageError: no Delta table, or a retention below the floor.
        TableError: a table with features that this writer does not honour, or deltalake refuses.
        PublishConflict: another writer committed meanwhile; run it again.
        StorageError: the disk refused.
    """
    if retention_hours < FLOOR_HOURS:
        raise UsageError(
            "the retention is below the floor",
            found=f"{retention_hours} hours",
            fix=f"give at least {FLOOR_HOURS}: running writers and readers need younger files",
        )
    root = local_path(str(table))
    opened = open_table(root)
    if opened is None:
        raise UsageError("there is no Delta table", where=str(root), fix="name the folder that holds _delta_log")
    check_writable(opened, partition_by=tuple(opened.metadata().partition_columns), where=str(root))
    hours = max(retention_hours, _hours_of(opened))
    before = (now or datetime.now(UTC)) - timedelta(hours=hours)
    small, reason = _to_compact(root, opened, compact_appended=compact_appended)
    if dry_run:
        old = _vacuumable(root, opened, hours)
        # A compaction and a vacuum commit, and the version that they make has no checkpoint yet.
        checkpoint = bool(small or old) or not _has_checkpoint(root, opened.version())
        return Maintained(
            str(root), opened.version(), len(small), None, reason, checkpoint, None, old,
            tuple(_orphans(root, opened, before)), dry_run=True,
        )  # fmt: skip
    with commit_lock(root):
        log_before = _log_files(root)
        removed, added = _compact(root, _reopened(root)) if small else (0, 0)
        # Before the checkpoint, which forgets removed files of just this age.
        vacuumed = _vacuum(root, hours)
        checkpoint = _checkpoint(root)
        cleaned = len(log_before - _log_files(root))
        orphans = _remove_orphans(root, before)
    done = Maintained(
        str(root), _reopened(root).version(), removed, added, reason, checkpoint, cleaned, vacuumed, orphans,
        dry_run=False,
    )  # fmt: skip
    _LOG.info(
        "maintained %s: %s files compacted into %s, %s log files, %s old files and %s orphans removed",
        root, removed, added, cleaned, len(vacuumed), len(orphans),
    )  # fmt: skip
    return done


def _hours_of(table: DeltaTable) -> int:
    """What the table asks for itself, rounded up; 0 where it does not say, or not in a way that is known here."""
    text = table.metadata().configuration.get("delta.deletedFileRetentionDuration", "")
    match = _DURATION.match(text.strip().lower())
    return math.ceil(int(match[1]) * _HOURS[match[2]]) if match else 0


# --- compaction


def _to_compact(root: Path, table: DeltaTable, *, compact_appended: bool) -> tuple[list[LiveFile], str]:
    """The small files that share a partition with another, and why they are left alone, if they are."""
    partitions: dict[tuple[str | None, ...], list[LiveFile]] = {}
    for file in live_files(table):
        if file.size < TARGET_BYTES:
            partitions.setdefault(tuple(file.partition_values.values()), []).append(file)
    small = [file for files in partitions.values() if len(files) > 1 for file in files]
    if small and not compact_appended and appended_to(root, table.version()):
        return [], "mode append: a slice whose files are compacted cannot be reprocessed"
    return small, ""


def _compact(root: Path, table: DeltaTable) -> tuple[int, int]:
    """delta-rs does not sync what it writes; it is synced here, long before what it replaced may be removed."""
    table = _with_statistics_named(root, table)
    before = {file.path for file in live_files(table)}
    found = _told(
        root,
        lambda: table.optimize.compact(
            target_size=TARGET_BYTES,
            writer_properties=_writer(table),
            commit_properties=CommitProperties(max_commit_retries=0),
        ),
    )
    after = {file.path for file in live_files(_reopened(root))}
    sync_files([root / path for path in after - before], top=root)
    return int(found["numFilesRemoved"]), int(found["numFilesAdded"])


def _with_statistics_named(root: Path, table: DeltaTable) -> DeltaTable:
    """Has the table say which columns have statistics, before deltalake writes bounds of only these."""
    metadata = table.metadata()
    if says_statistics(metadata.configuration):
        return table
    wanted = statistics_properties(column_types(table.schema().to_json()), metadata.partition_columns)
    commit = CommitProperties(max_commit_retries=0)
    _told(root, lambda: table.alter.set_table_properties(wanted, commit_properties=commit))
    return _reopened(root)


def _writer(table: DeltaTable) -> WriterProperties:
    """Bounds only of whole numbers and dates: those of other types lose rows for readers where they are not exact.

    See `statistics.py`; here the footers are written and read by deltalake itself.
    """
    kinds = column_types(table.schema().to_json())
    exact = [name for name, kind in kinds.items() if is_exact(kind)]
    return WriterProperties(
        compression="ZSTD",
        default_column_properties=ColumnProperties(statistics_enabled="NONE"),
        column_properties={name: ColumnProperties(statistics_enabled="CHUNK") for name in exact},
    )


# --- the log


def _checkpoint(root: Path) -> bool:
    """Writes a checkpoint where the newest version has none, then removes log files beyond the log's retention."""
    table = _reopened(root)
    missing = not _has_checkpoint(root, table.version())
    if missing:
        _told(root, table.create_checkpoint)
        sync_files((root / "_delta_log").glob(f"{table.version():020d}.checkpoint*.parquet"), top=root)
    _told(root, table.cleanup_metadata)
    return missing


def _has_checkpoint(root: Path, version: int) -> bool:
    return any((root / "_delta_log").glob(f"{version:020d}.checkpoint*.parquet"))


def _log_files(root: Path) -> set[str]:
    return {path.name for path in (root / "_delta_log").iterdir()}


# --- files that no version needs


def _vacuumable(root: Path, table: DeltaTable, hours: int) -> tuple[RemovedFile, ...]:
    """Files that earlier versions had and that are older than the retention, as deltalake's vacuum finds them."""
    paths = _told(root, lambda: table.vacuum(hours, dry_run=True))
    return tuple(facts for path in paths if (facts := _facts(root, root / path)) is not None)


def _vacuum(root: Path, hours: int) -> tuple[RemovedFile, ...]:
    table = _reopened(root)
    found = _vacuumable(root, table, hours)
    if found:  # each vacuum adds two entries to the log
        _told(root, lambda: table.vacuum(hours, dry_run=False))
    return tuple(file for file in found if not (root / file.path).exists())


def _orphans(root: Path, table: DeltaTable, before: datetime) -> Iterator[RemovedFile]:
    """Parquet files older than `before` that the log does not name: staged by a run that never published them."""
    live = {file.path for file in live_files(table)}
    _check_present(root, live)
    known = logged_paths(root) | live
    for folder, folders, names in os.walk(root, followlinks=False):
        if Path(folder) == root:
            folders[:] = [name for name in folders if not _hidden(name)]
        for name in sorted(names):
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            if not name.endswith(".parquet") or name.startswith((".", "_")) or relative in known or path.is_symlink():
                continue
            facts = _facts(root, path)
            if facts is not None and facts.changed < before and not _linked(path):
                yield facts


def _check_present(root: Path, live: set[str]) -> None:
    """A live file that is not where the log says: then the log's paths do not tell which files are orphans."""
    missing = [path for path in sorted(live) if not (root / path).exists() and not (root / unquote(path)).exists()]
    if missing:
        raise TableError(
            "files of the table are not where its log says, so orphans cannot be told from them",
            where=str(root / missing[0]),
            found=f"{len(missing)} of {len(live)} files are missing",
            fix="restore them, or copy the table into one that this package makes; no orphan was removed",
        )


def _linked(path: Path) -> bool:
    """Whether the file is a hard link beside a table's own file: a merge reads through such, and they look old."""
    try:
        return path.stat(follow_symlinks=False).st_nlink > 1
    except OSError:
        return True  # gone meanwhile, so there is nothing to remove


def _remove_orphans(root: Path, before: datetime) -> tuple[RemovedFile, ...]:
    removed = []
    for file in list(_orphans(root, _reopened(root), before)):
        path = root / file.path
        try:
            path.unlink(missing_ok=True)
            _remove_empty(path.parent, root)
        except OSError as error:
            raise StorageError(
                "cannot remove an orphaned file", where=str(path), found=error.strerror or "", fix="check its rights"
            ) from error
        removed.append(file)
        if len(removed) <= _LISTED:
            _LOG.info("removed the orphaned file %s, %s bytes, of %s", file.path, file.size, file.changed)
    return tuple(removed)


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _hidden(name: str) -> bool:
    """The log, change data and others' hidden folders; not a partition folder of a column that starts with `_`."""
    return name.startswith((".", "_")) and "=" not in name


def _facts(root: Path, path: Path) -> RemovedFile | None:
    try:
        found = path.stat(follow_symlinks=False)
    except OSError:
        return None  # gone meanwhile, which is what was wanted of it
    changed = datetime.fromtimestamp(found.st_mtime, UTC)
    return RemovedFile(path.relative_to(root).as_posix(), found.st_size, changed)


# --- deltalake


def _reopened(root: Path) -> DeltaTable:
    table = open_table(root)
    if table is None:
        raise TableError("the table is gone", where=str(root), fix="see who removed it")
    return table


def _told(root: Path, action: Callable[[], T]) -> T:
    try:
        return action()
    except CommitFailedError as error:
        raise PublishConflict(
            "another writer committed to the table meanwhile", where=str(root), fix="run it again"
        ) from error
    except (DeltaError, OSError, ValueError) as error:
        raise TableError(
            "the table could not be maintained",
            where=str(root),
            found=type(error).__name__,
            fix="see the chained error; no row was changed",
        ) from error


def removed_objects(files: Sequence[RemovedFile]) -> list[dict[str, Any]]:
    """The files as JSON."""
    return [{"path": f.path, "bytes": f.size, "changed": f.changed.isoformat()} for f in files]
