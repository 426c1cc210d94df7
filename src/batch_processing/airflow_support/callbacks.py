"""What a task tells when it has failed for good, is to be tried again, or ends a run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from batch_processing.errors import UsageError
from batch_processing.operators.run_facts import RunFacts, run_facts
from batch_processing.operators.step import Declared

if TYPE_CHECKING:
    from batch_processing.alerts.event import AlertEvent, AlertKind
    from batch_processing.control.records import RunRecord
    from batch_processing.control.store import ControlStore

_LOG = logging.getLogger(__name__)


class AlertCallback:
    """A task callback: Airflow calls it in the task's process, or in the DAG processor for one that sent no heartbeat.

    For a task whose process was killed Airflow calls none; see `RunFailedCallback`.

    Args:
        declared: the pipeline.
        kind: `failure` (Airflow calls it after the last retry only), `retry` or `success`.
    """

    def __init__(self, declared: Declared, *, kind: AlertKind) -> None:
        self.declared = declared
        self.kind = kind

    def __repr__(self) -> str:
        return f"AlertCallback({self.kind})"

    def __call__(self, context: Mapping[str, Any]) -> None:
        """Tells it. Whatever goes wrong here is logged and changes nothing."""
        from batch_processing.alerts.mail import notify, send_pending
        from batch_processing.control.store import ControlStore
        from batch_processing.operators.values import AirflowValues

        spec = self.declared.loaded.spec
        try:
            with ControlStore.open(self.declared.loaded.project.control_url) as control:
                if self.kind in spec.alerts.on:
                    event = self._event(context, control)
                    notify(event, spec=spec, values=AirflowValues(), control=control)
                if self.kind == "success":
                    send_pending(values=AirflowValues(), control=control)
        except Exception:  # noqa: BLE001 - a callback tells of a result, it must not change it; logged below
            _LOG.exception("pipeline %s: the %s callback did not work", spec.pipeline, self.kind)

    def _event(self, context: Mapping[str, Any], control: ControlStore) -> AlertEvent:
        from batch_processing.alerts.event import event_of_run

        spec = self.declared.loaded.spec
        pipeline = spec.pipeline
        task_id = context["ti"].task_id
        try:
            facts = run_facts(context, schedule=spec.schedule)
        except UsageError as error:
            return self._event_of_no_slice(context, error)
        exception = context.get("exception")
        record = _record(control, pipeline, facts)
        return event_of_run(
            record,
            kind=self.kind,
            error=str(exception) if exception else "",
            step=task_id,
            next_command=_next_command(pipeline, task_id, facts) if self.kind == "failure" else "",
            attempt=facts.attempt,
        )

    def _event_of_no_slice(self, context: Mapping[str, Any], error: UsageError) -> AlertEvent:
        """For a run whose configuration names a slice or generation that cannot be: no record is kept of it."""
        from batch_processing.alerts.event import AlertEvent

        pipeline, run_id = self.declared.loaded.spec.pipeline, context["dag_run"].run_id
        return AlertEvent(
            kind=self.kind,
            run=f"{pipeline}:{run_id}",
            pipeline=pipeline,
            slice="unknown",
            run_id=run_id,
            step=context["ti"].task_id,
            outcome="ERROR",
            message=str(error),
            next_command=f"airflow dags trigger {pipeline}, with a configuration that can be used",
            attempt=max(1, int(context["ti"].try_number)),
        )


class RunFailedCallback:
    """A DAG callback: Airflow calls it in the DAG processor when a run has failed.

    It ends the run in the control store where a task's process was killed before it could, and tells of that. An alert
    that the task has queued itself has the same key, so it is not told twice.

    Args:
        declared: the pipeline.
    """

    def __init__(self, declared: Declared) -> None:
        self.declared = declared
        self.alert = AlertCallback(declared, kind="failure")

    def __repr__(self) -> str:
        return "RunFailedCallback()"

    def __call__(self, context: Mapping[str, Any]) -> None:
        """Ends the run and tells it. Whatever goes wrong here is logged and changes nothing."""
        if context.get("ti") is None:
            _LOG.warning("run %s has failed, and Airflow does not say in which task", context.get("run_id"))
            return
        try:
            self._end(context)
        except Exception:  # noqa: BLE001 - a callback tells of a result, it must not change it; logged below
            _LOG.exception("run %s: its end could not be recorded", context.get("run_id"))
        self.alert(context)

    def _end(self, context: Mapping[str, Any]) -> None:
        from batch_processing.control.store import ControlStore
        from batch_processing.pipeline.interruption import end_run
        from batch_processing.results import Outcome, StepResult

        spec = self.declared.loaded.spec
        facts, ti = run_facts(context, schedule=spec.schedule), context["ti"]
        with ControlStore.open(self.declared.loaded.project.control_url) as control:
            record = _record(control, spec.pipeline, facts)
            if record.outcome is not Outcome.RUNNING:
                return
            step = ti.task_id if ti.map_index in (None, -1) else f"{ti.task_id}[{ti.map_index}]"
            error = f"the process of task {step} ended without a word: killed, or out of memory; its log may say more"
            control.record_step(record.key, StepResult(step, Outcome.ERROR, error=error, attempt=facts.attempt))
            end_run(record, error=error, control=control)


class RunPassedCallback:
    """A DAG callback: Airflow calls it in the DAG processor when a run has succeeded.

    A run whose last task was marked as success by hand has not recorded its end: it is ended here, so that the history
    and the upkeep do not take it for one that goes on.

    Args:
        declared: the pipeline.
    """

    def __init__(self, declared: Declared) -> None:
        self.declared = declared

    def __repr__(self) -> str:
        return "RunPassedCallback()"

    def __call__(self, context: Mapping[str, Any]) -> None:
        """Ends the run where it has not ended. Whatever goes wrong here is logged and changes nothing."""
        if context.get("ti") is None:
            return
        try:
            self._end(context)
        except Exception:  # noqa: BLE001 - a callback tells of a result, it must not change it; logged below
            _LOG.exception("run %s: its end could not be recorded", context.get("run_id"))

    def _end(self, context: Mapping[str, Any]) -> None:
        from batch_processing.control.store import ControlStore
        from batch_processing.pipeline.interruption import end_run
        from batch_processing.pipeline.plan import build_plan
        from batch_processing.results import Outcome

        spec = self.declared.loaded.spec
        facts = run_facts(context, schedule=spec.schedule)
        with ControlStore.open(self.declared.loaded.project.control_url) as control:
            record = _known_record(control, spec.pipeline, facts)
            if record is None or record.outcome is not Outcome.RUNNING:
                return
            missing = ", ".join(step.id for step in build_plan(spec).steps if not _passed(record, step.id))
            error = (
                f"{missing or 'the run'} did not record its end: marked as success by hand, or its process was killed. "
                f"To do: where its work is wanted, clear it: airflow tasks clear {spec.pipeline}"
            )
            end_run(record, error=error, control=control)


def _passed(record: RunRecord, step_id: str) -> bool:
    parts = [part.outcome.passed for part in record.steps if part.step.partition("[")[0] == step_id]
    return bool(parts) and all(parts)


def _record(control: ControlStore, pipeline: str, facts: RunFacts) -> RunRecord:
    """The run as the store knows it; a task that was killed before its first line left no record there."""
    from batch_processing.control.records import RunKey

    if (found := _known_record(control, pipeline, facts)) is not None:
        return found
    generation = facts.generation or control.current_generation(pipeline, facts.slice)
    key = RunKey(pipeline=pipeline, slice=facts.slice, generation=generation, run_id=facts.run_id)
    control.start_run(key, engine="", trigger="airflow")
    return control.run(facts.run_id, pipeline=pipeline)


def _known_record(control: ControlStore, pipeline: str, facts: RunFacts) -> RunRecord | None:
    from batch_processing.control.records import RunKey
    from batch_processing.pipeline.generations import latest_record

    if facts.generation:
        return control.record(RunKey(pipeline, facts.slice, facts.generation, facts.run_id))
    return latest_record(control, pipeline=pipeline, slice=facts.slice, run_id=facts.run_id)


def _next_command(pipeline: str, task_id: str, facts: RunFacts) -> str:
    return (
        f"airflow tasks clear {pipeline} --task-regex '^{task_id}$' --downstream "
        f"--start-date {facts.slice.iso} --end-date {facts.slice.iso}"
    )
