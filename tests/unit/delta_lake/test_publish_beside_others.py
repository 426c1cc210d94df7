"""Publishing beside other writers: at the worst moment, at once, frozen, and with an outcome nobody knows."""

from __future__ import annotations

import json
import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from filelock import FileLock

from batch_processing.delta_lake import commit as commit_module
from batch_processing.delta_lake import publish as publish_module
from batch_processing.delta_lake.publish import publish
from batch_processing.errors import PublishConflict, StorageError

from .files import staged_rows
from .putting import PLAIN, ids_of, put


def commit_between(monkeypatch: pytest.MonkeyPatch, interfere: Callable[[], None], *, times: int) -> None:
    """Lets another writer commit after our snapshot was read and before our commit."""
    original = commit_module.commit_change
    left = [times]

    def late(root: Path, table: DeltaTable | None, change: commit_module.Change) -> None:
        if left[0]:
            left[0] -= 1
            interfere()
        original(root, table, change)

    monkeypatch.setattr(publish_module, "commit_change", late)


def foreign_append(root: Path, number: list[int]) -> None:
    number[0] += 1
    staged = staged_rows(root, [{"id": 100 + number[0], "v": "foreign"}], schema=PLAIN)
    file = staged.files[0]
    action = commit_module.AddAction(file.path, file.size, {}, file.mtime_ms, True, json.dumps(file.stats))
    properties = CommitProperties(app_transactions=[Transaction("foreign", number[0])])
    table = DeltaTable(root)
    table.create_write_transaction([action], "append", table.schema(), commit_properties=properties)


def test_an_overwrite_never_removes_less_than_the_table_it_replaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, [1])
    count = [0]
    commit_between(monkeypatch, lambda: foreign_append(tmp_path, count), times=3)
    put(tmp_path, [2], app="b", mode="overwrite")
    assert ids_of(tmp_path) == [2]
    assert count == [3]


def test_conflicts_end_in_an_error_that_can_be_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, [1])
    monkeypatch.setattr(publish_module, "ATTEMPTS", 3)
    count = [0]
    commit_between(monkeypatch, lambda: foreign_append(tmp_path, count), times=99)
    with pytest.raises(PublishConflict) as caught:
        put(tmp_path, [2], app="b")
    assert caught.value.retryable
    assert ids_of(tmp_path) == [1, 101, 102, 103]


def test_a_table_made_by_another_between_look_and_commit_is_a_conflict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other() -> None:
        DeltaTable.create(str(tmp_path), Schema.from_json(PLAIN))

    commit_between(monkeypatch, other, times=1)
    made = put(tmp_path, [2])
    assert (made.version, made.already) == (1, False)
    assert ids_of(tmp_path) == [2]


def test_the_same_slice_twice_at_once_is_published_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, [1], app="other")

    original = publish_module.commit_lock

    def wait_little() -> None:
        monkeypatch.setattr(publish_module, "commit_lock", lambda root: original(root, patience=0.1))

    def twin() -> None:
        monkeypatch.undo()
        wait_little()
        put(tmp_path, [2], app="b")

    wait_little()
    commit_between(monkeypatch, twin, times=1)
    late = put(tmp_path, [2], app="b")
    assert late.already
    assert ids_of(tmp_path) == [1, 2]


class Broken(OSError):
    pass


def break_commit(monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
    original = DeltaTable.create_write_transaction

    def broken(self: DeltaTable, *arguments: Any, **options: Any) -> None:
        if after:
            original(self, *arguments, **options)
        raise Broken(5, "Input/output error")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", broken)


def test_an_unknown_outcome_is_resolved_by_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, [1], app="a")
    break_commit(monkeypatch, after=True)
    made = put(tmp_path, [2], app="b")
    assert (made.version, made.already) == (1, False)
    assert ids_of(tmp_path) == [1, 2]


def test_a_commit_that_did_not_happen_is_an_error_and_its_files_stay_staged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, [1], app="a")
    break_commit(monkeypatch, after=False)
    staged = staged_rows(tmp_path, [{"id": 2, "v": "x"}], schema=PLAIN)
    with pytest.raises(StorageError, match="Input/output error"):
        publish(staged, mode="append", app_id="b", generation=1, metadata={})
    assert ids_of(tmp_path) == [1]
    assert (tmp_path / staged.files[0].path).exists()
    monkeypatch.undo()
    publish(staged, mode="append", app_id="b", generation=1, metadata={})
    assert ids_of(tmp_path) == [1, 2]


def test_a_frozen_holder_of_the_lock_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, [1], app="a")
    original = publish_module.commit_lock
    monkeypatch.setattr(publish_module, "commit_lock", lambda root: original(root, patience=0.1))
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with FileLock(tmp_path / ".publish.lock"):
            held.set()
            done.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    try:
        assert put(tmp_path, [2], app="b").version == 1
    finally:
        done.set()
        holder.join()


def _writer(root: str, number: int, commits: int) -> None:
    for turn in range(commits):
        put(Path(root), [number * 1000 + turn], app=f"w{number}.{turn}")


def test_processes_that_commit_at_once_lose_nothing(tmp_path: Path) -> None:
    put(tmp_path, [-1], app="first")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_writer, args=(str(tmp_path), n, 5)) for n in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert ids_of(tmp_path) == sorted([-1, *(n * 1000 + t for n in range(4) for t in range(5))])
