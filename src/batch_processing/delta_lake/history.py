"""What the retained part of a table's log tells about its past: files it names, who wrote it and how."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from batch_processing.delta_lake.log import commit_path, own_metadata
from batch_processing.errors import TableError


def logged_paths(root: Path) -> set[str]:
    """Every data file that a retained commit or checkpoint adds or removes, relative to the root.

    Writers encode paths differently, so each is there as written, decoded once, and decoded twice: a file that none of
    these names is not in the log.

    Raises:
        TableError: a log file cannot be read; then nobody can say what an orphan is.
    """
    found: set[str] = set()
    for action in _all_actions(root):
        for kind in ("add", "remove", "cdc"):
            if file := action.get(kind):
                found.add(file["path"])
    for checkpoint in _checkpoint_files(root):
        found |= _checkpoint_paths(checkpoint)
    once = {_relative(root, path) for path in found}
    return found | once | {unquote(path) for path in once}


def writers(root: Path) -> frozenset[str]:
    """Pipelines that published to the table, as far as the log reaches back."""
    return frozenset(str(facts["pipeline"]) for facts in _own_commits(root) if "pipeline" in facts)


def appended_to(root: Path, version: int) -> bool:
    """Whether the newest publish that the log still has was of mode append."""
    for number in range(version, -1, -1):
        path = commit_path(root, number)
        if not path.is_file():
            return False
        for action in _actions(path):
            facts = own_metadata(action.get("commitInfo") or {})
            if "mode" in facts:
                return bool(facts["mode"] == "append")
    return False


def committed_rows(root: Path, version: int, files: Sequence[str]) -> int:
    """Rows of files that a commit added, by their own footers.

    A file that was compacted and vacuumed since is counted by the log's word.

    Args:
        root: the table's root.
        version: the commit.
        files: absolute paths.

    Raises:
        TableError: the commit cannot be read.
    """
    logged: dict[str, int] = {}
    for action in _actions(commit_path(root, version)):
        if added := action.get("add"):
            logged[_relative(root, added["path"])] = int(json.loads(added.get("stats") or "{}").get("numRecords", 0))
    rows = 0
    for name in files:
        path = Path(name)
        try:
            rows += pq.read_metadata(path).num_rows
        except FileNotFoundError:
            rows += logged.get(path.relative_to(root).as_posix(), 0)
        except (OSError, pa.ArrowException) as error:
            raise TableError(
                "a published file cannot be read",
                where=name,
                found=type(error).__name__,
                fix="restore it, or reprocess the slice",
            ) from error
    return rows


def _own_commits(root: Path) -> Iterator[dict[str, Any]]:
    for action in _all_actions(root):
        if "commitInfo" in action and (facts := own_metadata(action["commitInfo"])):
            yield facts


def _all_actions(root: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((root / "_delta_log").glob("*.json")):
        if path.stem.isdigit() or ".checkpoint." in path.name:
            yield from _actions(path)


def _actions(path: Path) -> Iterator[dict[str, Any]]:
    try:
        for line in path.read_bytes().splitlines():
            if line.strip():
                yield json.loads(line)
    except FileNotFoundError:
        return  # cleaned up meanwhile
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _checkpoint_files(root: Path) -> list[Path]:
    log = root / "_delta_log"
    sidecars = log / "_sidecars"
    return [*log.glob("*.checkpoint*.parquet"), *(sidecars.glob("*.parquet") if sidecars.is_dir() else ())]


def _checkpoint_paths(path: Path) -> set[str]:
    found: set[str] = set()
    try:
        with pq.ParquetFile(path) as source:
            wanted = [name for name in ("add.path", "remove.path") if name.split(".")[0] in source.schema_arrow.names]
            for batch in source.iter_batches(columns=wanted):
                for column in batch.columns:
                    values = column.field("path").to_pylist()
                    found |= {value for value in values if value is not None}
    except (OSError, pa.ArrowException, KeyError) as error:
        raise _unreadable(path, error) from error
    return found


def _relative(root: Path, path: str) -> str:
    """The log writes paths URL-encoded, and shallow clones absolute ones."""
    text = unquote(path.removeprefix("file://"))
    place = Path(text)
    return place.relative_to(root).as_posix() if place.is_absolute() and place.is_relative_to(root) else text


def _unreadable(path: Path, error: Exception) -> TableError:
    return TableError(
        "a file of the table's log cannot be read",
        where=str(path),
        found=type(error).__name__,
        fix="repair or restore the log; nothing was removed",
    )
