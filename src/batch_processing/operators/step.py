"""What all operators share: one step of the plan, run as one Airflow task."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from batch_processing.operators.run_facts import RunFacts, run_facts
from batch_processing.pipeline.plan import PlanStep

if TYPE_CHECKING:
    from batch_processing.pipeline.context import RunContext
    from batch_processing.results import FileFact, StepResult
    from batch_processing.settings.loading import LoadedPipeline

XCOM_LIMIT = 48_000
"""Most bytes of a step's XCom."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Declared:
    """A loaded pipeline as an operator carries it: its text form is short and stable, for the serialized DAG."""

    loaded: LoadedPipeline

    def __repr__(self) -> str:
        return f"pipeline {self.loaded.spec.pipeline}"


@contextmanager
def opened_run(declared: Declared, facts: RunFacts) -> Iterator[RunContext]:
    """The run that a task belongs to, open for one step.

    The engines and libraries are imported here, in the task's own process, not where the DAG is parsed.
    """
    from batch_processing.operators.values import AirflowValues
    from batch_processing.pipeline.context import open_run

    with open_run(
        declared.loaded,
        values=AirflowValues(),
        slice=facts.slice,
        run_id=facts.run_id,
        generation=facts.generation,
        trigger="airflow",
    ) as run:
        yield run


def run_step(
    declared: Declared,
    step: PlanStep,
    context: Mapping[str, Any],
    *,
    part: int | None = None,
    files: tuple[FileFact, ...] | None = None,
) -> dict[str, Any]:
    """Runs one step in the open run of a task and gives its XCom.

    Raises:
        BatchError: the step did not pass; its result is stored before.
    """
    from batch_processing.pipeline.steps import execute_step

    facts = run_facts(context, schedule=declared.loaded.spec.schedule)
    _LOG.info("pipeline %s slice %s run %s: %s", declared.loaded.spec.pipeline, facts.slice, facts.run_id, step.id)
    with opened_run(declared, facts) as run:
        result = execute_step(run, step, part=part, files=files, attempt=facts.attempt)
        report = str(run.report_path)
    _LOG.info("%s: %s in %.1f s; report %s", result.step, result.outcome, result.usage.seconds, report)
    return xcom_of(result, report=report)


def xcom_of(result: StepResult, *, report: str) -> dict[str, Any]:
    """A step's XCom: outcome, cost, report and the summary; without the summary where that is too large."""
    head: dict[str, Any] = {
        "outcome": result.outcome.value,
        "seconds": round(result.usage.seconds, 3),
        "peak_rss_mb": round(result.usage.peak_rss_mb, 1),
        "reused": result.reused,
        "report": report,
    }
    whole = json.loads(json.dumps({**head, "summary": result.summary}, default=str))
    if len(json.dumps(whole).encode()) <= XCOM_LIMIT:
        return dict(whole)
    _LOG.warning("%s: its summary is above %d bytes, so XCom names the report only", result.step, XCOM_LIMIT)
    return head


class StepOperator(BaseOperator):
    """One step of a plan.

    Args:
        declared: the pipeline.
        step: the plan's step.
        part: the part of the source, for a mapped extraction.
    """

    template_fields: Sequence[str] = ("part",)
    ui_color = "#e8f0fe"

    def __init__(self, *, declared: Declared, step: PlanStep, part: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.declared = declared
        self.step = step
        self.part = part

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Runs the step; its XCom is the step's summary."""
        return run_step(self.declared, self.step, context, part=self.part)
