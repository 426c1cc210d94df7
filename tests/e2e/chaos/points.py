"""The named points at which a run is killed, and how each is reached. Nothing in the package knows of them.

A child process puts a wrapper around a real function and does its deed before it, after it, or amid it.
"""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

Only = Callable[[tuple[Any, ...], dict[str, Any]], bool]

_WATCH = """
import glob, os, signal, sys
pattern, victim = sys.argv[1], int(sys.argv[2])
before = set(glob.glob(pattern, recursive=True))
print("ready", flush=True)
while os.getppid() == victim:
    if set(glob.glob(pattern, recursive=True)) - before:
        os.kill(victim, signal.SIGKILL)
        break
"""


class Deed(Protocol):
    """What is done at a point."""

    def announce(self) -> None:
        """Leaves the mark that the point was reached."""
        ...

    def __call__(self) -> None: ...


def _always(args: tuple[Any, ...], named: dict[str, Any]) -> bool:
    return True


@dataclass(frozen=True)
class Point:
    """A place in the code, and the moment there.

    Attributes:
        target: `module:function` or `module:Class.method`.
        when: before the call, after it, or `item`: after a generator has given an item.
        only: which calls count.
        nth: which of them, from 1.
        watch: gives a glob pattern from the call's arguments: a process beside kills this one as soon as a new file
            of that pattern is there, the end of the call at the latest.
    """

    target: str
    when: Literal["before", "after", "item"] = "before"
    only: Only = field(default=_always, repr=False)
    nth: int = 1
    watch: Callable[[tuple[Any, ...], dict[str, Any]], str] | None = field(default=None, repr=False)


def _named(name: str) -> Only:
    return lambda args, named: Path(args[0]).name == name


def _temporary_of(name: str) -> Only:
    return lambda args, named: args[0].name.startswith(f".{name}.")


def _of_table(part: str) -> Only:
    return lambda args, named: part in str(named.get("table") or args[0])


def _first_text(text: str) -> Only:
    return lambda args, named: text in str(args[0])


def _step(name: str) -> Only:
    return lambda args, named: args[2].step == name


def _manifests() -> Iterator[tuple[str, Point]]:
    steps = ("wait_for_orders", "extract_orders.00000", "extract_customers.00000", "validate", "transform",
             "validate_output", "publish")  # fmt: skip
    for step in steps:
        file = f"{step}.json"
        label = step.removesuffix(".00000")
        yield f"manifest {label}: before", Point("batch_processing.storage:write_atomic", "before", _named(file))
        yield f"manifest {label}: before its rename", Point("pathlib:Path.replace", "before", _temporary_of(file))
        yield f"manifest {label}: after", Point("batch_processing.storage:write_atomic", "after", _named(file))


_STORE = "batch_processing.control.store:ControlStore"
_POSTGRES = "batch_processing.warehouse.postgres:PostgresSession"
_TABLE, _QUARANTINE = _of_table("lake/orders"), _of_table("quarantine")

POINTS: dict[str, Point] = {
    **dict(_manifests()),
    "landing: mid-file": Point("batch_processing.sources.landing:Landing._write", "after"),
    "landing: before the rejects": Point(
        "batch_processing.sources.landing:Landing._flush_rejects", "before", lambda args, named: args[0].rejected > 0
    ),
    "landing: files closed": Point("batch_processing.sources.landing:Landing.finish", "after"),
    "evidence: before its rename": Point("pathlib:Path.replace", "before", _temporary_of("orders.json")),
    "quarantine: staged": Point("batch_processing.delta_lake.staging:stage", "after", _QUARANTINE),
    "quarantine: before its commit": Point("batch_processing.delta_lake.commit:commit_change", "before", _QUARANTINE),
    "quarantine: after its commit": Point("batch_processing.delta_lake.commit:commit_change", "after", _QUARANTINE),
    "staging: before": Point("batch_processing.delta_lake.staging:stage", "before", _TABLE),
    "staging: at the first file": Point(
        "batch_processing.delta_lake.staging:stage",
        "after",
        _TABLE,
        watch=lambda args, named: f"{named['table']}/{named['folder']}/**/*.parquet",
    ),
    "staging: before the footers are read": Point("batch_processing.delta_lake.staging:_collect", "before", _TABLE),
    "staging: amid the footers": Point("batch_processing.delta_lake.staging:file_statistics", "after", _TABLE),
    "staging: done": Point("batch_processing.delta_lake.staging:stage", "after", _TABLE),
    "metrics: before": Point("batch_processing.pipeline.metrics:write_metrics", "before"),
    "metrics: before their rename": Point("pathlib:Path.replace", "before", _temporary_of("orders.prom")),
    "report: before": Point("batch_processing.storage:write_atomic", "before", _named("report.html"), nth=5),
    "report: before its rename": Point("pathlib:Path.replace", "before", _temporary_of("report.html"), nth=5),
    "publish: before the lock": Point("batch_processing.delta_lake.lock:commit_lock", "before", _TABLE),
    "publish: before the commit": Point("batch_processing.delta_lake.commit:commit_change", "before", _TABLE),
    "publish: at the log entry": Point(
        "batch_processing.delta_lake.commit:commit_change",
        "after",
        _TABLE,
        watch=lambda args, named: f"{args[0]}/_delta_log/*.json",
    ),
    "publish: after the commit": Point("batch_processing.delta_lake.commit:commit_change", "after", _TABLE),
    "publish: a torn checkpoint": Point("tests.e2e.chaos.points:torn_checkpoint", "after"),
    "control: before the run starts": Point(f"{_STORE}.start_run", "before"),
    "control: the run started": Point(f"{_STORE}.start_run", "after"),
    "control: before a source": Point(f"{_STORE}.record_source", "before"),
    "control: before a verdict": Point(f"{_STORE}.record_quality", "before"),
    "control: before a step": Point(f"{_STORE}.record_step", "before", _step("transform")),
    "control: amid a step's transaction": Point(
        "batch_processing.control.store:_put",
        "after",
        lambda args, named: args[2].get("step") == "transform",
    ),
    "control: after a step": Point(f"{_STORE}.record_step", "after", _step("transform")),
    "control: before the publish": Point(f"{_STORE}.record_published", "before"),
    "control: after the publish": Point(f"{_STORE}.record_published", "after"),
    "control: before the load": Point(f"{_STORE}.record_loaded", "before"),
    "control: before the run's end": Point(f"{_STORE}.finish_run", "before"),
    "control: after the run's end": Point(f"{_STORE}.finish_run", "after"),
    "warehouse: table made": Point("batch_processing.warehouse.transaction:ready_table", "after"),
    "warehouse: amid the rows": Point("batch_processing.warehouse.files:_parquet_batches", "item"),
    "warehouse: rows counted": Point("batch_processing.warehouse.transaction:check_count", "after"),
    "warehouse: before its ledger row": Point("batch_processing.warehouse.transaction:_write_entry", "before"),
    "warehouse: before its commit": Point("batch_processing.warehouse.duckdb:DuckDbSession.commit", "before"),
    "warehouse: after its commit": Point("batch_processing.warehouse.duckdb:DuckDbSession.commit", "after"),
    "warehouse: file closed": Point("batch_processing.warehouse.duckdb:DuckDbSession.close", "after"),
}
"""Points that every run passes that has bad rows."""

MERGE_POINTS: dict[str, Point] = {
    "merge: rows carried over": Point("batch_processing.delta_lake.merge:plan_merge", "after"),
    "merge: between its staged files": Point(
        "batch_processing.delta_lake.staging:stage", "after", lambda args, named: named["folder"].startswith("merge/")
    ),
    "merge: after the commit, before the discard": Point(
        "batch_processing.delta_lake.staging:discard", "before", _TABLE
    ),
}
"""Points of mode merge alone; the table has rows to merge with."""

MAIL_POINTS: dict[str, Point] = {
    "mail: before it is queued": Point(f"{_STORE}.queue_alert", "before"),
    "mail: queued": Point(f"{_STORE}.queue_alert", "after"),
    "mail: sent": Point("batch_processing.alerts.transport:send_mail", "after"),
    "mail: marked as sent": Point(f"{_STORE}.mark_alert", "after"),
}
"""Points of a run whose data fails."""

POSTGRES_POINTS: dict[str, Point] = {
    "postgres: before the table is locked": Point(f"{_POSTGRES}.lock", "before"),
    "postgres: table made": Point("batch_processing.warehouse.transaction:ready_table", "after"),
    "postgres: amid the rows": Point("batch_processing.warehouse.files:_parquet_batches", "item"),
    "postgres: rows counted": Point("batch_processing.warehouse.transaction:check_count", "after"),
    "postgres: before its commit": Point(f"{_POSTGRES}.commit", "before"),
    "postgres: after its commit": Point(f"{_POSTGRES}.commit", "after"),
}
"""Moments at which a PostgreSQL warehouse is stopped."""

_UPKEEP = "batch_processing.delta_lake.maintenance"


def _new(pattern: str) -> Callable[[tuple[Any, ...], dict[str, Any]], str]:
    return lambda args, named: f"{args[0]}/{pattern}"


UPKEEP_POINTS: dict[str, Point] = {
    "upkeep: before the compaction": Point(f"{_UPKEEP}:_compact", "before"),
    "upkeep: at the compacted file": Point(f"{_UPKEEP}:_compact", "after", watch=_new("*.parquet")),
    "upkeep: at the compaction's log entry": Point(f"{_UPKEEP}:_compact", "after", watch=_new("_delta_log/*.json")),
    "upkeep: compacted": Point(f"{_UPKEEP}:_compact", "after"),
    "upkeep: amid the vacuum": Point(f"{_UPKEEP}:_vacuum", "after", watch=_new("_delta_log/*.json")),
    "upkeep: vacuumed": Point(f"{_UPKEEP}:_vacuum", "after"),
    "upkeep: at the checkpoint": Point(f"{_UPKEEP}:_checkpoint", "after", watch=_new("_delta_log/*checkpoint*")),
    "upkeep: checkpoint written": Point(f"{_UPKEEP}:_checkpoint", "after"),
    "upkeep: amid the orphans": Point(f"{_UPKEEP}:_remove_empty", "before"),
    "upkeep: orphans removed": Point(f"{_UPKEEP}:_remove_orphans", "after"),
}
"""Points of an upkeep that has something of each kind to do."""

GUARD_POINTS: dict[str, Point] = {
    "manifest transform: half written": Point(
        "tests.e2e.chaos.guards:half_written", "before", _named("transform.json")
    ),
}
"""Moments that exist only where a guard is off."""

ALL_POINTS = {**POINTS, **MERGE_POINTS, **MAIL_POINTS, **POSTGRES_POINTS, **UPKEEP_POINTS, **GUARD_POINTS}


def install(point: Point, deed: Deed) -> None:
    """Wraps the point's function, so that `deed` is done there."""
    if point.target.endswith(":torn_checkpoint"):
        replace_everywhere("batch_processing.delta_lake.commit:commit_change", _tearing)
    counter = _Counter(point)
    replace_everywhere(point.target, lambda original: _struck(original, point, counter, deed))


@dataclass
class _Counter:
    """Counts the calls down to the one that matters."""

    point: Point
    seen: int = 0

    def due(self, args: tuple[Any, ...], named: dict[str, Any]) -> bool:
        self.seen += self.point.only(args, named)
        return self.seen == self.point.nth and self.point.only(args, named)


def _struck(original: Callable[..., Any], point: Point, counter: _Counter, deed: Deed) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **named: Any) -> Any:
        now = counter.due(args, named)
        if now and point.when == "before":
            deed()
        if now and point.watch is not None:
            _start_watching(point.watch(args, named), deed)
        result = original(*args, **named)
        if now and point.when == "after":
            deed()
        return result

    @functools.wraps(original)
    def items(*args: Any, **named: Any) -> Iterator[Any]:
        for item in original(*args, **named):
            yield item
            if counter.due((), {}):
                deed()

    return items if point.when == "item" else call


def replace_everywhere(target: str, wrapped: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Puts a wrapper in the place of a function, in every module that has imported it."""
    module_name, _, path = target.partition(":")
    module = importlib.import_module(module_name)
    owner_name, _, name = path.rpartition(".")
    if owner_name:
        owner = getattr(module, owner_name)
        setattr(owner, name, wrapped(getattr(owner, name)))
        return
    original = getattr(module, name)
    wrapper = wrapped(original)
    for other in [m for n, m in sys.modules.items() if n.startswith(("batch_processing", "tests.e2e.chaos"))]:
        for alias in [alias for alias, value in vars(other).items() if value is original]:
            setattr(other, alias, wrapper)


def torn_checkpoint(root: Path) -> None:
    """Leaves a checkpoint as a crash amid its writing does: half of its bytes, under the writer's temporary name."""
    from deltalake import DeltaTable

    DeltaTable(str(root)).create_checkpoint()
    log = root / "_delta_log"
    written = max(log.glob("*.checkpoint.parquet"))
    data = written.read_bytes()
    written.unlink()
    (log / f"{written.name}#1").write_bytes(data[: len(data) // 2])
    (log / "_last_checkpoint").unlink()


def _tearing(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def commit(root: Path, *args: Any) -> None:
        original(root, *args)
        if "lake/orders" in str(root):
            torn_checkpoint(root)

    return commit


def _start_watching(pattern: str, deed: Deed) -> None:
    """Starts the process beside, which kills this one; the mark is left before."""
    deed.announce()
    watcher = subprocess.Popen(
        [sys.executable, "-S", "-c", _WATCH, pattern, str(os.getpid())], stdout=subprocess.PIPE, text=True
    )
    if watcher.stdout is not None:
        watcher.stdout.readline()
