"""Renders a pipeline's plan into an Airflow DAG: one task per step, in one place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Asset, BaseOperator, CronDataIntervalTimetable, Param

from batch_processing.airflow_support.callbacks import AlertCallback, RunFailedCallback, RunPassedCallback
from batch_processing.airflow_support.retries import ErrorTreeRetryPolicy
from batch_processing.operators.data_extraction import ExtractOperator, FilesSensor
from batch_processing.operators.data_validation import (
    CustomValidationOperator,
    QualityMetricsOperator,
    ValidateOperator,
    ValidateOutputOperator,
)
from batch_processing.operators.delta_lake import PublishOperator
from batch_processing.operators.spark_transform import StartEngineOperator, StopEngineOperator, TransformOperator
from batch_processing.operators.step import Declared, StepOperator
from batch_processing.operators.warehouse import LoadWarehouseOperator
from batch_processing.pipeline.plan import Plan, PlanStep, StepKind, build_plan
from batch_processing.settings.loading import LoadedPipeline
from batch_processing.settings.models import PipelineSpec
from batch_processing.settings.project import project_at
from batch_processing.settings.slices import PRESETS

if TYPE_CHECKING:
    from batch_processing.alerts.event import AlertKind

OPERATORS: dict[StepKind, type[StepOperator]] = {
    StepKind.EXTRACT: ExtractOperator,
    StepKind.START_ENGINE: StartEngineOperator,
    StepKind.VALIDATE: ValidateOperator,
    StepKind.CUSTOM: CustomValidationOperator,
    StepKind.TRANSFORM: TransformOperator,
    StepKind.VALIDATE_OUTPUT: ValidateOutputOperator,
    StepKind.METRICS: QualityMetricsOperator,
    StepKind.PUBLISH: PublishOperator,
    StepKind.LOAD: LoadWarehouseOperator,
    StepKind.STOP_ENGINE: StopEngineOperator,
}
"""The operator of each kind of step; a wait is a FilesSensor."""


def build_dag(pipeline: LoadedPipeline | PipelineSpec, *, root: Path | str = ".") -> DAG:
    """The DAG of a pipeline.

    Nothing is looked up here: Variables, connections and files are read when a task runs.

    Args:
        pipeline: a loaded pipeline file, or a declaration made in Python.
        root: for a declaration made in Python, the folder that holds its `gx` folder and its modules.
    """
    loaded = pipeline if isinstance(pipeline, LoadedPipeline) else _placed(pipeline, Path(root).absolute())
    plan = build_plan(loaded.spec)
    declared = Declared(loaded)
    with DAG(**_dag_arguments(declared, plan)) as dag:
        _wire(plan, _tasks(declared, plan))
    return dag


def table_asset(spec: PipelineSpec) -> Asset:
    """The asset that stands for a pipeline's Delta table; other DAGs can be scheduled on it."""
    return Asset(name=spec.pipeline, group="delta", extra={"table": spec.target.table, "mode": spec.target.mode})


def _placed(spec: PipelineSpec, root: Path) -> LoadedPipeline:
    return LoadedPipeline(spec=spec, file=root / f"{spec.pipeline}.yml", project=project_at(root))


def _dag_arguments(declared: Declared, plan: Plan) -> dict[str, Any]:
    spec = plan.spec
    schedule = None
    if spec.schedule is not None:
        schedule = CronDataIntervalTimetable(PRESETS.get(spec.schedule, spec.schedule), timezone="UTC")
    return {
        "dag_id": spec.pipeline,
        "description": spec.description or None,
        "schedule": schedule,
        "start_date": spec.start_date,
        "catchup": spec.catchup,
        "max_active_runs": 1,
        "on_failure_callback": [RunFailedCallback(declared)],
        "on_success_callback": [RunPassedCallback(declared)],
        "tags": list(spec.tags),
        "default_args": {
            "owner": spec.owner,
            "depends_on_past": False,
            "retries": spec.retries,
            "retry_delay": spec.retry_delay,
            "retry_policy": ErrorTreeRetryPolicy(),
            **_callbacks(declared),
        },
        "params": {
            "slice": Param(
                None, type=["null", "string"], title="Slice", description="As 2026-11-01; empty for the run's own."
            ),
            "generation": Param(
                None, type=["null", "integer"], minimum=1, title="Generation", description="Empty for the current one."
            ),
        },
        "doc_md": _doc(plan),
    }


def _callbacks(declared: Declared) -> dict[str, Any]:
    on = declared.loaded.spec.alerts.on
    names: dict[AlertKind, str] = {"failure": "on_failure_callback", "retry": "on_retry_callback"}
    return {name: [AlertCallback(declared, kind=kind)] for kind, name in names.items() if kind in on}


def _tasks(declared: Declared, plan: Plan) -> dict[str, Any]:
    """The tasks by step id; a mapped one is expanded over the parts its sensor returns."""
    tasks: dict[str, Any] = {}
    for step in plan.steps:
        if step.kind is StepKind.WAIT:
            tasks[step.id] = _sensor(declared, plan, step)
        elif step.mapped_over:
            partial = OPERATORS[step.kind].partial(task_id=step.id, declared=declared, step=step)
            tasks[step.id] = partial.expand(part=tasks[step.mapped_over].output)
        else:
            tasks[step.id] = OPERATORS[step.kind](
                task_id=step.id, declared=declared, step=step, **_extras(declared, plan, step)
            )
    return tasks


def _sensor(declared: Declared, plan: Plan, step: PlanStep) -> BaseOperator:
    files = plan.spec.sources[step.source].files
    return FilesSensor(
        task_id=step.id,
        declared=declared,
        step=step,
        pattern=files.path if files else "",
        poke_interval=files.poke if files else 60,
        timeout=files.timeout if files else None,
    )


def _extras(declared: Declared, plan: Plan, step: PlanStep) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if step.kind is StepKind.PUBLISH:
        extras["outlets"] = [table_asset(plan.spec)]
    if step.id == plan.last.id:
        # Also where success is not told: it sends what earlier runs left in the outbox.
        extras["on_success_callback"] = [AlertCallback(declared, kind="success")]
    return extras


def _wire(plan: Plan, tasks: dict[str, Any]) -> None:
    for step in plan.steps:
        for upstream in step.upstreams:
            tasks[upstream] >> tasks[step.id]
        if step.teardown_of:
            tasks[step.id].as_teardown(setups=tasks[step.teardown_of])


def _doc(plan: Plan) -> str:
    spec = plan.spec
    lines = [f"### {spec.pipeline}", spec.description, "", "| task | box |", "|---|---|"]
    lines += [f"| `{step.id}` | {step.box} |" for step in plan.steps]
    lines += ["", f"Target: `{spec.target.table}` ({spec.target.mode})"]
    return "\n".join(lines)
