"""Runs a whole pipeline in this process: the second shell beside Airflow."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from batch_processing.control.records import RunRecord
from batch_processing.errors import BatchError
from batch_processing.pipeline.context import RunContext, open_run
from batch_processing.pipeline.plan import PlanStep, StepKind
from batch_processing.pipeline.steps import execute_step, refresh_report
from batch_processing.results import Outcome, RowCounts, RunResult, Slice, StepResult
from batch_processing.settings.loading import LoadedPipeline
from batch_processing.settings.models import EngineSpec
from batch_processing.settings.values import Values

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepEvent:
    """A step starts or ends. `result` is given at the end; `position` counts from 1 to `total`."""

    kind: Literal["start", "end"]
    step: str
    position: int
    total: int
    result: StepResult | None = None


Listener = Callable[[StepEvent], None]


def run_pipeline(
    loaded: LoadedPipeline,
    *,
    values: Values,
    slice: Slice,
    engine: EngineSpec | None = None,
    run_id: str | None = None,
    on_step: Listener | None = None,
    trigger: str = "cli",
) -> RunResult:
    """Runs every step of a pipeline for one slice.

    Where this generation of the slice is already published, only what may be missing after it is done
    (the warehouse load); nothing is read again.

    Returns:
        What happened, also where the data failed or something broke: see `outcome`, `error`, `exit_code`.

    Raises:
        UsageError: before the run starts, for a wrong declaration or setting.
        ControlStoreError: the control store cannot be reached, so nothing was started.
    """
    run_id = run_id or new_run_id()
    with open_run(loaded, values=values, slice=slice, run_id=run_id, engine=engine, trigger=trigger) as ctx:
        error = _run_steps(ctx, on_step or _silent)
        record = ctx.control.run(run_id, pipeline=ctx.spec.pipeline)
        if error is not None and not record.outcome.passed:
            _alert(ctx, record, error)
        return _result(record, error)


def new_run_id(now: datetime | None = None) -> str:
    """`20261101T020304Z-1a2b3c`: sorts by time."""
    moment = now or datetime.now(UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def _run_steps(ctx: RunContext, on_step: Listener) -> BatchError | None:
    """Runs the steps in order; teardowns run also after a failure."""
    try:
        steps = _steps_to_do(ctx)
    except BatchError as error:
        ctx.control.finish_run(ctx.key, outcome=Outcome.ERROR, error=str(error))
        refresh_report(ctx)
        return error
    failed: BatchError | None = None
    for number, step in enumerate(steps, start=1):
        if failed is not None and not step.teardown_of:
            continue
        for part in _parts(ctx, step):
            name = step.id if part is None else f"{step.id}[{part}]"
            on_step(StepEvent("start", name, number, len(steps)))
            result: StepResult | None
            try:
                result = execute_step(ctx, step, part=part)
            except BatchError as error:
                failed = failed or error
                result = _stored(ctx, name)
            on_step(StepEvent("end", name, number, len(steps), result))
            if failed is not None:
                break
    return failed


def _steps_to_do(ctx: RunContext) -> tuple[PlanStep, ...]:
    from batch_processing.delta_lake.publish import find_published

    found = find_published(ctx.target_table(), app_id=ctx.app_id, generation=ctx.generation)
    if found is None:
        return ctx.plan.steps
    return tuple(step for step in ctx.plan.steps if step.kind in (StepKind.PUBLISH, StepKind.LOAD))


def _parts(ctx: RunContext, step: PlanStep) -> Iterator[int | None]:
    if not step.mapped_over:
        yield None
        return
    from batch_processing.pipeline.manifests import WaitManifest

    yield from range(len(ctx.manifests.need(step.mapped_over, WaitManifest).parts))


def _stored(ctx: RunContext, name: str) -> StepResult | None:
    record = ctx.control.run(ctx.run_id, pipeline=ctx.spec.pipeline)
    return next((step for step in record.steps if step.step == name), None)


def _alert(ctx: RunContext, record: RunRecord, error: BatchError) -> None:
    from batch_processing.alerts.mail import notify_failure

    notify_failure(record, error=str(error), spec=ctx.spec, values=ctx.values, control=ctx.control)


def _silent(event: StepEvent) -> None:
    """For callers that do not listen."""


def _result(record: RunRecord, error: BatchError | None) -> RunResult:
    return RunResult(
        pipeline=record.key.pipeline,
        slice=record.key.slice,
        generation=record.key.generation,
        run_id=record.key.run_id,
        engine=record.engine,
        # A run that could not store its end is still at it for the store.
        outcome=Outcome.ERROR if error is not None and record.outcome is Outcome.RUNNING else record.outcome,
        score=record.score,
        rows=record.rows or RowCounts(),
        steps=record.steps,
        table=record.table,
        version=record.version,
        warehouse_table=record.warehouse_table,
        warehouse_location=record.warehouse_location,
        report=record.report,
        error=str(error) if error else "",
        exit_code=error.exit_code if error else 0,
    )
