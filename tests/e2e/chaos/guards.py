"""Changes a child process makes before it runs: guards switched off one by one, to show what each is for.

A guard is replaced by what a simpler writer would do in its place.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.e2e.chaos.points import replace_everywhere


def no_file_lock() -> None:
    """Commits go ahead without waiting for one another."""

    @contextlib.contextmanager
    def free(root: Path, **_: Any) -> Iterator[bool]:
        yield False

    replace_everywhere("batch_processing.delta_lake.lock:commit_lock", lambda original: free)


def impatient_lock() -> None:
    """The lock's patience is over after half a second; not a guard off, but a test's time saved."""
    replace_everywhere(
        "batch_processing.delta_lake.lock:commit_lock",
        lambda original: lambda root, **named: original(root, patience=0.5),
    )


def no_transaction_check() -> None:
    """Nobody looks in the Delta log whether the slice's generation is there already."""
    from batch_processing.delta_lake import publish as module

    find, removed = module.find_published, module._removed

    def only_ours(request: Any) -> Any:
        found = find(request.root, app_id=request.app_id, generation=request.generation)
        ours = found is not None and found.metadata.get("commit_token") == request.token
        return dataclasses.replace(found, already=False) if ours else None

    def as_if_first(request: Any, table: Any) -> Any:
        return () if request.mode == "append" else removed(request, table)

    module._found = only_ours
    module._removed = as_if_first
    replace_everywhere("batch_processing.delta_lake.publish:find_published", lambda original: lambda *_, **__: None)


def no_atomic_rename() -> None:
    """Files are written in place, byte by byte."""

    def in_place(path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb", buffering=0) as handle:
            handle.write(data[: len(data) // 2])
            half_written(path)
            handle.write(data[len(data) // 2 :])

    replace_everywhere("batch_processing.storage:write_atomic", lambda original: in_place)


def half_written(path: Path) -> None:
    """The moment between the halves."""


def no_warehouse_ledger_check() -> None:
    """A load does not look at the warehouse's ledger."""
    replace_everywhere("batch_processing.warehouse.transaction:_already", lambda original: lambda *args: None)


def no_warehouse_transaction() -> None:
    """Each statement of a load is kept by itself."""
    from batch_processing.warehouse.duckdb import DuckDbSession

    begin = DuckDbSession._begin

    def without(self: DuckDbSession, connection: Any) -> None:
        begin(self, connection)
        self._db.execute("COMMIT")

    DuckDbSession._begin = without  # type: ignore[method-assign]
    DuckDbSession.commit = lambda self: None  # type: ignore[method-assign]


def no_snapshot_check() -> None:
    """delta-rs rebases a commit onto whatever is there by then."""
    from deltalake import CommitProperties

    from batch_processing.delta_lake import commit as module

    real = module._properties

    def rebased(change: Any) -> CommitProperties:
        wanted = real(change)
        return CommitProperties(
            custom_metadata=wanted.custom_metadata, app_transactions=wanted.app_transactions, max_commit_retries=10
        )

    module._properties = rebased


def no_quarantine_fence() -> None:
    """A run's bad rows are committed also where the slice has been published meanwhile."""
    from batch_processing.pipeline import quality_steps

    quality_steps._refuse_where_published = lambda ctx: None


CHANGES: dict[str, Callable[[], None]] = {
    "file lock off": no_file_lock,
    "impatient lock": impatient_lock,
    "transaction check off": no_transaction_check,
    "snapshot check off": no_snapshot_check,
    "quarantine fence off": no_quarantine_fence,
    "atomic rename off": no_atomic_rename,
    "warehouse ledger check off": no_warehouse_ledger_check,
    "warehouse transaction off": no_warehouse_transaction,
}
