"""What an Airflow task's context says about the run: slice, generation, attempt. Pure, so testable without a DAG."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from batch_processing.errors import UsageError
from batch_processing.results import Slice
from batch_processing.settings.slices import latest_slice, parse_slice, slice_starting


@dataclass(frozen=True)
class RunFacts:
    """Which run a task belongs to.

    Attributes:
        slice: the data interval, UTC.
        run_id: Airflow's run id.
        generation: the one that was asked for, or None for the control store's.
        attempt: 1 for the first try.
    """

    slice: Slice
    run_id: str
    generation: int | None
    attempt: int


def run_facts(context: Mapping[str, Any], *, schedule: str | None) -> RunFacts:
    """Reads a task's context.

    The slice is, in this order: `slice` of the run's configuration; the run's data interval; for a run
    with neither, the last slice that was complete when the run was asked for.

    Raises:
        UsageError: `slice` or `generation` of the run's configuration cannot be used, or a manual run was given a data
            interval that is not one of the schedule.
    """
    dag_run = context["dag_run"]
    asked = {**dict(context.get("params") or {}), **(getattr(dag_run, "conf", None) or {})}
    return RunFacts(
        slice=_slice(dag_run, asked.get("slice"), schedule=schedule),
        run_id=dag_run.run_id,
        generation=_generation(asked.get("generation")),
        attempt=max(1, int(context["ti"].try_number)),
    )


def _slice(dag_run: Any, asked: object, *, schedule: str | None) -> Slice:
    if asked not in (None, ""):
        return parse_slice(str(asked), schedule)
    start, end = _utc(dag_run.data_interval_start), _utc(dag_run.data_interval_end)
    if start is not None and end is not None and start < end:
        # A scheduled run may be older than its schedule; the interval of a manual one can be whatever was asked for.
        if getattr(dag_run, "run_type", None) == "manual":
            _check_interval(start, end, schedule)
        return Slice(start=start, end=end)
    if schedule is None and (moment := _utc(dag_run.logical_date)) is not None:
        return parse_slice(moment.strftime("%Y-%m-%d"), None)
    return latest_slice(schedule, _utc(dag_run.run_after) or datetime.now(UTC))


def _check_interval(start: datetime, end: datetime, schedule: str | None) -> None:
    with suppress(UsageError):
        if slice_starting(start, schedule).end == end:
            return
    raise UsageError(
        "the run's data interval is not one of the schedule",
        where=f"schedule {schedule or 'none: one slice per UTC day'}",
        found=f"{start.isoformat()} to {end.isoformat()}",
        fix='trigger a new run without a data interval; {"slice": "2026-11-01"} as configuration names the slice',
    )


def _generation(asked: object) -> int | None:
    if asked in (None, ""):
        return None
    text = str(asked)
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(
            "the run's configuration has an unusable generation", found=text[:50], fix="give a whole number from 1 on"
        )
    return int(text)


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return datetime.fromtimestamp(aware.timestamp(), UTC)
