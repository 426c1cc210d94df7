"""What a table's Delta log says: its state, whether this writer may write it, and which commit published a slice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from batch_processing.delta_lake.partitions import canonical
from batch_processing.delta_lake.schema import column_types
from batch_processing.errors import StorageError, TableError

METADATA_KEY = "batch_processing"
"""Key of this package's metadata in `commitInfo.userMetadata`, which is a JSON object."""

Partition = frozenset[tuple[str, str | None]]
"""Partition columns with their values, as the log writes them."""


@dataclass(frozen=True)
class LiveFile:
    """A data file of the table's current version.

    Attributes:
        path: relative to the root, as on disk.
        size: bytes.
        partition_values: as `partitions.canonical` writes them.
        stats: `min` and `max` by column, where asked for.
        logged: the path as its writer put it into the log, URL-encoded; "" for delta-rs's own form.
    """

    path: str
    size: int
    partition_values: dict[str, str | None]
    stats: dict[str, Any] = field(default_factory=dict)
    logged: str = ""


@dataclass(frozen=True)
class Commit:
    """One commit of a slice.

    Attributes:
        version: the table's version that it made.
        generation: what it recorded for the slice's app id.
        files: paths it added, relative to the root.
        partitions: partition values of each of these files, as the log writes them.
        metadata: what this package put into the commit.
    """

    version: int
    generation: int
    files: tuple[str, ...]
    partitions: tuple[dict[str, str | None], ...]
    metadata: dict[str, Any]


@dataclass(frozen=True)
class LoggedCommit:
    """One commit of whoever wrote it.

    Attributes:
        version: the table's version that it made.
        operation: what its writer calls it, as `DELETE`; "" where it does not say.
        metadata: what this package put into it; empty for commits of others.
        adds: `add` actions by path relative to the root.
        removes: `remove` actions likewise.
    """

    version: int
    operation: str
    metadata: dict[str, Any]
    adds: dict[str, dict[str, Any]]
    removes: dict[str, dict[str, Any]]


def open_table(root: Path) -> DeltaTable | None:
    """The table's newest version, or None where there is no table.

    Raises:
        TableError: there is a log that cannot be read.
    """
    try:
        if not (root / "_delta_log").is_dir():
            return None
        return DeltaTable(str(root)) if DeltaTable.is_deltatable(str(root)) else None
    except (DeltaError, OSError, ValueError) as error:
        raise _unreadable(str(root), error) from error


def _unreadable(where: str, error: Exception) -> TableError:
    return TableError(
        "the table's log cannot be read",
        where=where,
        found=type(error).__name__,
        fix="read the chained error; repair or restore the log",
    )


def live_files(table: DeltaTable, *, with_stats: bool = False) -> tuple[LiveFile, ...]:
    """The data files of the opened version."""
    types = column_types(table.schema().to_json())
    columns = table.metadata().partition_columns
    actions = pa.table(table.get_add_actions(flatten=False))
    if not actions.num_rows:
        return ()
    partitions: list[dict[str, Any]] = [{}] * actions.num_rows
    if columns:
        partitions = actions["partition"].to_pylist()
    bounds = _bounds(actions) if with_stats else [{}] * actions.num_rows
    return tuple(
        LiveFile(unquote(path), size, {c: canonical(values[c], types[c], column=c) for c in columns}, stats, path)
        for path, size, values, stats in zip(
            actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), partitions, bounds, strict=True
        )
    )


def _bounds(actions: pa.Table) -> list[dict[str, Any]]:
    names = [n for n in ("min", "max") if n in actions.column_names]
    return [
        dict(zip(names, row, strict=True)) for row in zip(*(actions[n].to_pylist() for n in names), strict=True)
    ] or [{} for _ in range(actions.num_rows)]


def live_paths(table: DeltaTable) -> set[str]:
    """Paths of the data files of the opened version, relative to the root."""
    return {unquote(path) for path in pa.table(table.get_add_actions())["path"].to_pylist()}


def committed_paths(root: Path) -> set[str]:
    """Paths, relative to the root, of the data files of the table's newest version."""
    table = open_table(root)
    return live_paths(table) if table else set()


def recorded_generation(table: DeltaTable, app_id: str) -> int | None:
    """The newest generation recorded for an app id.

    Raises:
        TableError: the log cannot be read.
    """
    try:
        version = table.transaction_version(app_id)
    except (DeltaError, OSError, ValueError) as error:
        raise _unreadable(table.table_uri, error) from error
    return None if version is None else int(version)


def find_commit(root: Path, *, app_id: str, newest: int, generation: int | None = None) -> Commit | None:
    """The newest commit that recorded the app id (and that generation), or None where the log no longer reaches it."""
    needle = json.dumps(app_id, ensure_ascii=False)[1:-1].encode()
    for version in range(newest, -1, -1):
        data = _commit_bytes(root, version)
        if data is None:
            return None
        if needle not in data:
            continue
        commit = _read_commit(data, version, app_id, root)
        if commit is not None and generation in (None, commit.generation):
            return commit
    return None


def untouched_partitions(
    root: Path, commit: Commit, *, newest: int, columns: Sequence[str]
) -> set[tuple[str | None, ...]]:
    """Partitions that a commit wrote and whose rows no later commit changed; compaction moves rows, it changes none."""
    written = {tuple(values.get(c) for c in columns) for values in commit.partitions}
    for version in range(commit.version + 1, newest + 1):
        data = _commit_bytes(root, version)
        if data is None or not written:
            return set()
        for action in _actions(data, version, root):
            file = action.get("add") or action.get("remove")
            if file and file.get("dataChange", True):
                written.discard(tuple((file.get("partitionValues") or {}).get(c) or None for c in columns))
    return written


def read_commits(root: Path, *, first: int, last: int) -> Iterator[LoggedCommit]:
    """The commits `first` to `last`, in order.

    Raises:
        TableError: one of them is not there, or cannot be read.
        StorageError: the log cannot be read.
    """
    for version in range(first, last + 1):
        data = _commit_bytes(root, version)
        if data is None:
            raise TableError(
                "the table's log lacks a commit between two that it has",
                where=str(commit_path(root, version)),
                found=f"looked for versions {first} to {last}",
                fix="restore it",
            )
        actions = _actions(data, version, root)
        info: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
        yield LoggedCommit(
            version=version,
            operation=str(info.get("operation") or ""),
            metadata=own_metadata(info),
            adds={unquote(a["add"]["path"]): a["add"] for a in actions if "add" in a},
            removes={unquote(a["remove"]["path"]): a["remove"] for a in actions if "remove" in a},
        )


def partition_of(action: Mapping[str, Any]) -> Partition:
    """The partition of an `add` or `remove`; the log writes a null as null or as the empty text."""
    return frozenset((name, value or None) for name, value in (action.get("partitionValues") or {}).items())


def added_rows(add: Mapping[str, Any]) -> int:
    """Rows of a file by the word of the log, those left out that a deletion vector marks; 0 where it does not say."""
    counted = int(json.loads(add.get("stats") or "{}").get("numRecords", 0))
    return counted - int((add.get("deletionVector") or {}).get("cardinality", 0))


def commit_path(root: Path, version: int) -> Path:
    """Where the log keeps a version's commit."""
    return root / "_delta_log" / f"{version:020d}.json"


def _commit_bytes(root: Path, version: int) -> bytes | None:
    path = commit_path(root, version)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(
            "cannot read the table's log", where=str(path), found=error.strerror or "", fix="check its rights"
        ) from error


def _actions(data: bytes, version: int, root: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in data.splitlines() if line.strip()]
    except ValueError as error:
        raise TableError(
            "a commit in the table's log is not JSON", where=str(commit_path(root, version)), fix="restore it"
        ) from error


def _read_commit(data: bytes, version: int, app_id: str, root: Path) -> Commit | None:
    actions = _actions(data, version, root)
    generations = [a["txn"]["version"] for a in actions if "txn" in a and a["txn"]["appId"] == app_id]
    if not generations:
        return None
    metadata: dict[str, Any] = {}
    for action in actions:
        if "commitInfo" in action:
            metadata = own_metadata(action["commitInfo"])
    adds = [a["add"] for a in actions if "add" in a]
    return Commit(
        version=version,
        generation=int(generations[-1]),
        files=tuple(unquote(a["path"]) for a in adds),
        partitions=tuple({k: v or None for k, v in a.get("partitionValues", {}).items()} for a in adds),
        metadata=metadata,
    )


def own_metadata(commit_info: Mapping[str, Any]) -> dict[str, Any]:
    """This package's metadata in a commit's info; empty for commits of others."""
    text = commit_info.get("userMetadata")
    if not isinstance(text, str):
        return {}
    try:
        parsed = json.loads(text)
    except ValueError:
        return {}
    found = parsed.get(METADATA_KEY) if isinstance(parsed, dict) else None
    return found if isinstance(found, dict) else {}
