"""The commit itself: one log entry through delta-rs, on the snapshot that was looked at and on no other."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction, Transaction, create_table_with_add_actions

from batch_processing.delta_lake.log import METADATA_KEY, LiveFile, find_commit, open_table
from batch_processing.delta_lake.protocol import is_append_only
from batch_processing.delta_lake.schema import column_types
from batch_processing.delta_lake.statistics import logged_statistics, statistics_properties
from batch_processing.errors import StorageError, TableError
from batch_processing.results import StagedFile

_LOG = logging.getLogger(__name__)
_SAFE_IN_PATHS = "/!$&'()+,-.:;=@_~"
"""Beside letters and digits, what delta-rs does not encode in a path."""


class StaleSnapshot(Exception):
    """Another writer committed first; nothing of ours is in the log."""


@dataclass(frozen=True)
class Change:
    """What one commit does to the table.

    Attributes:
        schema_json: the staged schema; the table's own when it is made by this commit.
        partition_by: partition columns.
        files: files to add.
        removes: live files to remove.
        new_columns: columns of `schema_json` that the table lacks.
        app_id: application transaction.
        generation: its version.
        metadata: what goes into `commitInfo.userMetadata`, with a `commit_token` of this publish.
    """

    schema_json: str
    partition_by: tuple[str, ...]
    files: tuple[StagedFile, ...]
    removes: tuple[LiveFile, ...]
    new_columns: tuple[str, ...]
    app_id: str
    generation: int
    metadata: dict[str, Any] = field(default_factory=dict)


def commit_change(root: Path, table: DeltaTable | None, change: Change) -> None:
    """Commits on top of `table`'s version, or makes the table.

    New columns are a commit of their own just before, because delta-rs changes a schema only so. A crash between the
    two leaves columns that are null everywhere, and the retry goes on from there.

    Raises:
        StaleSnapshot: another writer was first.
        TableError: the table forbids removals, or delta-rs refuses the commit.
        StorageError: the disk refused.
    """
    if table is None:
        _outcome(lambda: _create(root, change), root, change)
        return
    if change.removes and is_append_only(table):
        raise TableError(
            "the table is append-only, and this publish replaces rows",
            where=str(root),
            fix="use mode append, or unset delta.appendOnly",
        )
    _check_removable(root, change.removes)
    current = _widen(root, table, change) if change.new_columns else table
    _outcome(lambda: _append(current, change), root, change)


def _create(root: Path, change: Change) -> None:
    properties = statistics_properties(column_types(change.schema_json), change.partition_by)
    create_table_with_add_actions(
        str(root),
        Schema.from_json(change.schema_json),
        _adds(change, properties, column_types(change.schema_json)),
        mode="error",
        partition_by=list(change.partition_by),
        configuration=properties,
        commit_properties=_properties(change),
    )


def _append(table: DeltaTable, change: Change) -> None:
    """Mode append with explicit removals is the one form that replaces exactly the files we name."""
    now = int(time.time() * 1000)
    removes = [
        RemoveAction(
            path=f.path, data_change=True, deletion_timestamp=now, size=f.size, partition_values=f.partition_values
        )
        for f in change.removes
    ]
    table.create_write_transaction(
        [*_adds(change, table.metadata().configuration, column_types(table.schema().to_json())), *removes],
        mode="append",
        schema=table.schema(),
        partition_by=list(change.partition_by),
        commit_properties=_properties(change),
    )


def _check_removable(root: Path, removes: Sequence[LiveFile]) -> None:
    """delta-rs URL-encodes the path of a removal in its own way, and readers match removals by text.

    Where the writer of the file encoded it otherwise (Spark leaves letters beyond ASCII as they are), the removal would
    miss, and old and new rows would both be live.
    """
    missed = [f for f in removes if f.logged and quote(f.path, safe=_SAFE_IN_PATHS) != f.logged]
    if missed:
        raise TableError(
            "files of another writer cannot be replaced, because the log holds their paths in another encoding",
            where=str(root),
            found=f"{len(missed)} files, as {missed[0].logged}",
            fix="publish to a new table, or copy this one into a table that this writer makes",
        )


def _widen(root: Path, table: DeltaTable, change: Change) -> DeltaTable:
    before = table.version()
    try:
        fields = {f.name: f for f in Schema.from_json(change.schema_json).fields}
        table.alter.add_columns(
            [fields[n] for n in change.new_columns], commit_properties=CommitProperties(max_commit_retries=0)
        )
    except CommitFailedError as error:
        raise StaleSnapshot("while columns were added") from error
    except (DeltaError, OSError, ValueError) as error:
        raise _refused(root, error) from error
    opened = open_table(root)
    if opened is None or opened.version() != before + 1:
        raise StaleSnapshot("after columns were added")
    return opened


def _adds(change: Change, configuration: Mapping[str, str], types: Mapping[str, Any]) -> list[AddAction]:
    return [
        AddAction(
            path=file.path,
            size=file.size,
            partition_values=file.partition_values,
            modification_time=file.mtime_ms,
            data_change=True,
            stats=json.dumps(
                logged_statistics(
                    file.stats, configuration=configuration, types=types, partition_by=change.partition_by
                ),
                ensure_ascii=False,
                separators=(",", ":"),
            ),
        )
        for file in change.files
    ]


def _properties(change: Change) -> CommitProperties:
    """`max_commit_retries=0`: delta-rs must not rebase a replacement onto a table that it was not computed from."""
    return CommitProperties(
        custom_metadata={
            "userMetadata": json.dumps({METADATA_KEY: change.metadata}, sort_keys=True, ensure_ascii=False)
        },
        max_commit_retries=0,
        app_transactions=[Transaction(change.app_id, change.generation)],
    )


def _outcome(commit: Callable[[], None], root: Path, change: Change) -> None:
    """Runs the commit; where it raised, the log says whether it happened."""
    try:
        commit()
    except (DeltaError, OSError, ValueError) as error:
        opened = open_table(root)
        found = None
        if opened is not None:
            found = find_commit(root, app_id=change.app_id, newest=opened.version(), generation=change.generation)
        if found is not None and found.metadata.get("commit_token") == change.metadata.get("commit_token"):
            _LOG.warning(
                "the commit to %s is in the log as version %s; what followed it failed: %s",
                root,
                found.version,
                type(error).__name__,
            )
            return
        if isinstance(error, CommitFailedError) or _lost_creation(error, opened):
            raise StaleSnapshot(type(error).__name__) from error
        raise _refused(root, error) from error


def _lost_creation(error: Exception, opened: DeltaTable | None) -> bool:
    return opened is not None and "already exists" in str(error)


def _refused(root: Path, error: Exception) -> TableError | StorageError:
    if isinstance(error, OSError):
        return StorageError(
            "cannot write the table's log",
            where=str(root),
            found=error.strerror or type(error).__name__,
            fix="check space and rights",
        )
    return TableError(
        "the commit was refused",
        where=str(root),
        found=f"{type(error).__name__}: {error}",
        fix="see what was found; nothing was committed",
    )
