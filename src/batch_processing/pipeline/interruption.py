"""Runs whose process is gone without having recorded their end."""

from __future__ import annotations

import logging
from pathlib import Path

from batch_processing.control.process import is_gone, this_host
from batch_processing.control.records import RunRecord
from batch_processing.control.store import ControlStore
from batch_processing.storage import write_atomic

_LOG = logging.getLogger(__name__)


def end_run(record: RunRecord, *, error: str, control: ControlStore) -> RunRecord:
    """Records that a run has ended which could not do so itself, and renders its report anew.

    Its end is the last thing it recorded. A run that has ended meanwhile stays as it is.

    Returns:
        The run as it is recorded now.

    Raises:
        ControlStoreError: the store cannot be reached.
    """
    ends = [step.ended_at for step in record.steps if step.ended_at is not None]
    if not control.interrupt_run(record.key, error=error, ended_at=max(ends, default=record.started_at)):
        return control.record(record.key) or record
    _LOG.info("run %s slice %s of %s: %s", record.key.run_id, record.key.slice, record.key.pipeline, error)
    ended = control.record(record.key) or record
    _render(ended)
    return ended


def end_interrupted(control: ControlStore, *, pipeline: str | None = None) -> tuple[RunRecord, ...]:
    """Ends the runs that are recorded as running and whose process, of this host, is gone.

    Runs of another host and those of Airflow are left alone: nobody here can tell.

    Args:
        control: the store.
        pipeline: only runs of this one.

    Returns:
        The runs that were ended.

    Raises:
        ControlStoreError: the store cannot be reached.
    """
    ended = []
    for key, process in control.processes(this_host(), pipeline=pipeline):
        record = control.record(key) if is_gone(process) else None
        if record is None:
            continue
        error = (
            f"interrupted: process {process.pid} on {process.host.partition('/')[0]} ended without a word, in or after "
            f"{record.steps[-1].step if record.steps else 'its start'}: killed, or out of memory. "
            f"To do: run it again: batchctl run FILE --slice {key.slice.iso}, "
            f"where FILE declares the pipeline {key.pipeline}"
        )
        ended.append(end_run(record, error=error, control=control))
    return tuple(ended)


def _render(record: RunRecord) -> None:
    """Telemetry never changes a verdict, so a failure here is only logged."""
    from batch_processing.report.html import render_report

    if not record.report or not Path(record.report).parent.is_dir():
        return
    try:
        write_atomic(Path(record.report), render_report(record).encode())
    except Exception:  # noqa: BLE001 - as refresh_report: the log has it
        _LOG.exception("the report %s could not be written", record.report)
