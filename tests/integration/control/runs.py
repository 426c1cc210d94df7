"""Runs to record in a control store, and work for several threads at once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from batch_processing.control.records import RunKey
from batch_processing.control.store import ControlStore
from batch_processing.results import Slice


def key(run_id: str = "run-1", *, pipeline: str = "shop", day: int = 1, generation: int = 1) -> RunKey:
    start = datetime(2026, 11, day, 2, tzinfo=UTC)
    return RunKey(pipeline, Slice(start, start + timedelta(days=1)), generation, run_id)


def started(store: ControlStore, *keys: RunKey) -> None:
    for each in keys:
        store.start_run(each, engine="embedded", trigger="cli")


def in_threads(work: object, count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
