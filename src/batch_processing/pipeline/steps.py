"""Runs one step: measures it, carries it out, stores what happened, refreshes the report; then raises, if it must.

Airflow's operators and the plain runner both come through `execute_step`.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from batch_processing.alerts.mail import send_pending
from batch_processing.control.records import RunRecord
from batch_processing.errors import BatchError, DataError, TechnicalError
from batch_processing.pipeline import landing_steps, quality_steps, table_steps
from batch_processing.pipeline.context import RunContext
from batch_processing.pipeline.manifests import ValidateManifest, WaitManifest
from batch_processing.pipeline.plan import PlanStep, StepKind
from batch_processing.pipeline.usage import Meter
from batch_processing.results import OUTPUT_DATASET, FileFact, Outcome, StepResult, table_checks_dataset
from batch_processing.storage import write_atomic

_LOG = logging.getLogger(__name__)


def execute_step(
    ctx: RunContext,
    step: PlanStep,
    *,
    part: int | None = None,
    files: tuple[FileFact, ...] | None = None,
    attempt: int = 1,
) -> StepResult:
    """Runs one step of the run.

    Args:
        ctx: the run.
        step: a step of its plan.
        part: which part of a mapped step, from 0.
        files: for a wait step, the files a sensor found; without them the step waits itself.
        attempt: 1 for the first try.

    Returns:
        What happened. The control store and the report hold the same.

    Raises:
        BatchError: the step did not pass; stored before it is raised.
    """
    name = step.id if part is None else f"{step.id}[{part}]"
    _LOG.info("%s: start, pipeline %s, slice %s, run %s", name, ctx.spec.pipeline, ctx.slice, ctx.run_id)
    started = datetime.now(UTC)
    meter = Meter()
    error: BatchError | None = None
    summary: dict[str, Any] = {}
    try:
        _reopen(ctx, step)
        summary = _carry_out(ctx, step, part=part, files=files)
    except BatchError as raised:
        error = raised
    except (Exception, SystemExit) as raised:  # noqa: BLE001 - stored first, then raised as an error of ours with its cause
        error = TechnicalError(
            f"step {name} stopped on an unexpected {type(raised).__name__}",
            where=f"pipeline {ctx.spec.pipeline}, slice {ctx.slice}",
            found=str(raised)[:1000],
            fix="read the log of the step; where the message does not explain it, report it with the traceback",
        )
        error.__cause__ = raised
    finally:
        usage = meter.stop()
    result = StepResult(
        step=name,
        outcome=_outcome(error, summary),
        usage=usage,
        summary=summary,
        error=str(error) if error else "",
        started_at=started,
        ended_at=datetime.now(UTC),
        attempt=attempt,
    )
    if error is not None:
        # Told first: where the store fails too, its error is the one that is raised.
        _LOG.error("%s: %s after %.1f s, run %s: %s", name, result.outcome.value, usage.seconds, ctx.run_id, error)
    _store(ctx, step, result)
    if error is not None:
        raise error
    _LOG.info("%s: %s in %.1f s, run %s", name, result.outcome.value, usage.seconds, ctx.run_id)
    return result


_COUNTS = {
    StepKind.VALIDATE: ("valid", "quarantined"),
    StepKind.TRANSFORM: ("staged",),
    StepKind.PUBLISH: ("published",),
    StepKind.LOAD: ("loaded",),
}
"""The counts that a kind of step gives."""

_ORDER = tuple(StepKind)
"""In the order of the flow."""

_BESIDE = (StepKind.START_ENGINE, StepKind.STOP_ENGINE)
"""Steps that give no rows, and that Airflow clears together with any step that needs the engine."""


def _reopen(ctx: RunContext, step: PlanStep) -> None:
    """Drops what an earlier try of the step, and of those after it, counted and judged; what came before it stays."""
    if step.kind in _BESIDE:
        return
    later = _ORDER[_ORDER.index(step.kind) :]
    sources = tuple(ctx.spec.sources)
    verdicts = {
        StepKind.VALIDATE: sources,
        StepKind.CUSTOM: tuple(table_checks_dataset(source) for source in sources),
        StepKind.VALIDATE_OUTPUT: (OUTPUT_DATASET, table_checks_dataset(OUTPUT_DATASET)),
    }
    ctx.control.reopen(
        ctx.key,
        counts=[name for kind in later for name in _COUNTS.get(kind, ())],
        verdicts=[name for kind in later for name in verdicts.get(kind, ())],
    )


def _carry_out(
    ctx: RunContext, step: PlanStep, *, part: int | None, files: tuple[FileFact, ...] | None
) -> dict[str, Any]:
    match step.kind:
        case StepKind.WAIT:
            return landing_steps.wait(ctx, step, files=files)
        case StepKind.EXTRACT:
            return landing_steps.extract(ctx, step, part=part)
        case StepKind.START_ENGINE:
            return table_steps.start_engine(ctx)
        case StepKind.VALIDATE:
            return quality_steps.validate(ctx, step)
        case StepKind.CUSTOM:
            return quality_steps.custom_validation(ctx, step)
        case StepKind.TRANSFORM:
            return table_steps.transform(ctx, step)
        case StepKind.VALIDATE_OUTPUT:
            return quality_steps.validate_output(ctx, step)
        case StepKind.METRICS:
            return quality_steps.quality_metrics(ctx)
        case StepKind.PUBLISH:
            return table_steps.publish(ctx)
        case StepKind.LOAD:
            return table_steps.load_warehouse(ctx)
        case StepKind.STOP_ENGINE:
            return table_steps.stop_engine(ctx)


def _outcome(error: BatchError | None, summary: dict[str, Any]) -> Outcome:
    if error is not None:
        return Outcome.FAIL if isinstance(error, DataError) else Outcome.ERROR
    return Outcome(summary["outcome"]) if "outcome" in summary else Outcome.PASS


def _store(ctx: RunContext, step: PlanStep, result: StepResult) -> None:
    """Keeps the result. The run ends with its last step, and is failed for as long as a step's last attempt is."""
    given = {name: result.summary[name] for name in _COUNTS.get(step.kind, ()) if name in result.summary}
    ctx.control.record_step(ctx.key, result, counts=given)
    record = ctx.control.record(ctx.key)
    broken = next((one for one in record.steps if _breaks_the_run(ctx, one)), None) if record else None
    if broken is not None:
        ctx.control.finish_run(ctx.key, outcome=broken.outcome, error=broken.error)
        record = None
    elif step.id == ctx.plan.last.id:
        ctx.control.finish_run(ctx.key, outcome=_run_outcome(ctx))
        send_pending(values=ctx.values, control=ctx.control)
        record = None
    refresh_report(ctx, record)


def _breaks_the_run(ctx: RunContext, result: StepResult) -> bool:
    """True for a step that did not pass, but for a teardown and for a part that the source no longer has."""
    if result.outcome not in (Outcome.FAIL, Outcome.ERROR):
        return False
    name, _, part = result.step.removesuffix("]").partition("[")
    step = ctx.plan.step(name)
    if part and step.mapped_over:
        found = ctx.manifests.read(step.mapped_over, WaitManifest)
        return found is None or int(part) < len(found.parts)
    return not step.teardown_of


def _run_outcome(ctx: RunContext) -> Outcome:
    published = table_steps.published_of(ctx)
    if published is not None and "outcome" in published.metadata:
        return Outcome(published.metadata["outcome"])
    verdicts = ctx.manifests.read("validate", ValidateManifest)
    bad = sum(verdict.quarantined for verdict in verdicts.sources.values()) if verdicts else 0
    return Outcome.PASS_WITH_QUARANTINE if bad else Outcome.PASS


def refresh_report(ctx: RunContext, record: RunRecord | None = None) -> None:
    """Writes the run's HTML report anew. Telemetry never changes a verdict, so a failure here is only logged.

    Args:
        ctx: the run.
        record: the run as it is recorded now; else it is read.
    """
    from batch_processing.report.html import render_report

    try:
        record = record or ctx.control.run(ctx.run_id, pipeline=ctx.spec.pipeline)
        if record.report != str(ctx.report_path):
            ctx.control.record_report(ctx.key, str(ctx.report_path))
            record = replace(record, report=str(ctx.report_path))
        write_atomic(ctx.report_path, render_report(record).encode())
    except Exception:  # noqa: BLE001 - a report's fault must not end a run; the log has it
        _LOG.exception("the report %s could not be written", ctx.report_path)
