"""The plan: which steps a declaration has, and what each waits for. Pure, and free of heavy imports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from batch_processing.errors import UsageError
from batch_processing.settings.models import PipelineSpec


class StepKind(StrEnum):
    """What a step does."""

    WAIT = "wait"
    EXTRACT = "extract"
    START_ENGINE = "start_engine"
    VALIDATE = "validate"
    CUSTOM = "custom_validation"
    TRANSFORM = "transform"
    VALIDATE_OUTPUT = "validate_output"
    METRICS = "quality_metrics"
    PUBLISH = "publish"
    LOAD = "load_warehouse"
    STOP_ENGINE = "stop_engine"


@dataclass(frozen=True)
class PlanStep:
    """One step.

    Attributes:
        id: the task id in Airflow and the step's name everywhere else.
        kind: what it does.
        upstreams: ids of the steps that must have passed.
        source: the source it serves, for `wait` and `extract`.
        mapped_over: id of the step whose `parts` it is run for, once each; "" for once.
        teardown_of: id of the setup step it undoes; a teardown runs also after a failure.
        box: the box of the flow it belongs to, for people.
    """

    id: str
    kind: StepKind
    upstreams: tuple[str, ...] = ()
    source: str = ""
    mapped_over: str = ""
    teardown_of: str = ""
    box: str = ""


@dataclass(frozen=True)
class Plan:
    """The steps of one pipeline, each after all of its upstreams."""

    spec: PipelineSpec
    steps: tuple[PlanStep, ...]

    def step(self, step_id: str) -> PlanStep:
        """The step of that id.

        Raises:
            UsageError: the plan has none.
        """
        for step in self.steps:
            if step.id == step_id:
                return step
        names = ", ".join(step.id for step in self.steps)
        raise UsageError(f"no step {step_id!r} in pipeline {self.spec.pipeline}", found=step_id, fix=f"one of {names}")

    @property
    def last(self) -> PlanStep:
        """The step whose success ends the run."""
        return [step for step in self.steps if step.kind is not StepKind.STOP_ENGINE][-1]


def build_plan(spec: PipelineSpec) -> Plan:
    """The plan of a declaration: what it does not ask for is not in it."""
    steps: list[PlanStep] = []
    for name, source in spec.sources.items():
        upstreams: tuple[str, ...] = ()
        if source.kind == "files":
            steps.append(PlanStep(f"wait_for_{name}", StepKind.WAIT, source=name, box="File Sensor"))
            upstreams = (f"wait_for_{name}",)
        steps.append(
            PlanStep(
                f"extract_{name}",
                StepKind.EXTRACT,
                upstreams,
                source=name,
                mapped_over="".join(upstreams),
                box="Data Extraction Operator",
            )
        )
    extracted = tuple(step.id for step in steps if step.kind is StepKind.EXTRACT)
    if spec.engine.master is not None:
        steps.append(PlanStep("start_engine", StepKind.START_ENGINE, extracted, box="Spark"))
        extracted = ("start_engine",)
    steps.append(PlanStep("validate", StepKind.VALIDATE, extracted, box="Great Expectations Check"))
    for kind, box in _chain(spec):
        steps.append(PlanStep(kind.value, kind, (steps[-1].id,), box=box))
    if spec.engine.master is not None:
        steps.append(
            PlanStep("stop_engine", StepKind.STOP_ENGINE, ("publish",), teardown_of="start_engine", box="Spark")
        )
    return Plan(spec, tuple(steps))


def _chain(spec: PipelineSpec) -> list[tuple[StepKind, str]]:
    chain: list[tuple[StepKind, str]] = []
    if any(validation.checks for validation in spec.validations.values()):
        chain.append((StepKind.CUSTOM, "Custom Python Validation"))
    chain.append((StepKind.TRANSFORM, "Spark Transform and Delta Lake Write"))
    if spec.validate_output is not None:
        chain.append((StepKind.VALIDATE_OUTPUT, "Post-Process Validation"))
    chain.append((StepKind.METRICS, "Data Quality Metrics"))
    chain.append((StepKind.PUBLISH, "Delta Lake"))
    if spec.warehouse is not None:
        chain.append((StepKind.LOAD, "Data Warehouse"))
    return chain
