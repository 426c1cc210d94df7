"""Upkeep of a table beside its pipelines: never while one of them runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from batch_processing.control.records import RunRecord
from batch_processing.control.store import ControlStore
from batch_processing.errors import PublishConflict
from batch_processing.pipeline.interruption import end_interrupted
from batch_processing.storage import local_path

if TYPE_CHECKING:
    from batch_processing.delta_lake.maintenance import Maintained

RUNNING_FOR = timedelta(days=1)
"""A run recorded as running that started before this is taken for dead."""


def maintain_table(
    table: Path | str,
    *,
    control: ControlStore | None,
    retention_hours: int | None = None,
    dry_run: bool = False,
    force: bool = False,
    compact_appended: bool = False,
) -> Maintained:
    """`delta_lake.maintenance.maintain`, unless a run of the table's pipelines goes on.

    Args:
        table: root path or file:// URI.
        control: the control store that knows the runs; None where nothing has run.
        retention_hours: how old a file must be to be removed; the floor of 168 by default.
        dry_run: look only; that is harmless beside a run.
        force: also beside a run.
        compact_appended: compact also a table of mode append.

    Raises:
        PublishConflict: a run goes on; once it has ended, a retry helps.
        BatchError: as `maintain`.
    """
    from batch_processing.delta_lake.maintenance import FLOOR_HOURS, maintain

    if control is not None and not (dry_run or force):
        end_interrupted(control)
        _refuse_beside(running_on(table, control=control, now=datetime.now(UTC)), table)
    hours = FLOOR_HOURS if retention_hours is None else retention_hours
    return maintain(table, retention_hours=hours, dry_run=dry_run, compact_appended=compact_appended)


def is_table(table: Path | str) -> bool:
    """Whether there is a Delta table: not so before the first run has published to it."""
    from batch_processing.delta_lake.log import open_table

    return open_table(local_path(str(table))) is not None


def running_on(table: Path | str, *, control: ControlStore, now: datetime) -> tuple[RunRecord, ...]:
    """Runs of the table's pipelines that are recorded as running and started in the last day.

    The pipelines are those that the log and the control store name. Where neither names one, every run counts.
    """
    from batch_processing.delta_lake.history import writers

    root = local_path(str(table))
    running = control.running(since=now - RUNNING_FOR)
    if not running:
        return ()
    pipelines = control.pipelines_of_table(str(root)) | writers(root)
    return tuple(run for run in running if not pipelines or run.key.pipeline in pipelines)


def maintained_object(done: Maintained) -> dict[str, object]:
    """What was done, as JSON: the object of `maintain --json`."""
    from batch_processing.delta_lake.maintenance import removed_objects

    return {
        "table": done.table,
        "version": done.version,
        "dry_run": done.dry_run,
        "compacted": {"files": done.small_files, "into": done.compacted_into, "left_out": done.not_compacted or None},
        "checkpoint": done.checkpoint,
        "log_files_removed": done.log_files,
        "vacuumed": removed_objects(done.vacuumed),
        "orphans": removed_objects(done.orphans),
        "bytes_freed": done.freed,
    }


def _refuse_beside(running: tuple[RunRecord, ...], table: Path | str) -> None:
    if running:
        named = ", ".join(f"{run.key.pipeline} {run.key.slice} ({run.key.run_id})" for run in running[:5])
        raise PublishConflict(
            "a slice of the table's pipeline is running",
            where=str(table),
            found=named,
            fix="wait for its end; where that run is dead: batchctl maintain TABLE --force",
        )
