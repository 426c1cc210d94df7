"""`batchctl history`: what ran, how it ended, how long it took and what it cost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from batch_processing.cli.console import output_console
from batch_processing.cli.json_output import write_json
from batch_processing.cli.marks import MARKS, STYLES, words
from batch_processing.cli.places import current_project
from batch_processing.cli.stores import looking_back
from batch_processing.control.records import PipelineMetrics, RunRecord
from batch_processing.report.text import duration, memory, moment, number, percent
from batch_processing.results import Outcome, StepResult

_PART = re.compile(r"\[\d+\]$")


@dataclass(frozen=True)
class StepFigures:
    """One step over several runs; the parts of a mapped step count one by one."""

    step: str
    ended: int
    passed: int
    mean_seconds: float
    max_seconds: float
    cpu_seconds: float
    peak_rss_mb: float


def history_command(*, pipeline: str | None, limit: int, as_json: bool) -> int:
    """Prints the latest runs, newest first.

    Raises:
        UsageError: nothing has run.
        ControlStoreError: the store cannot be read.
    """
    with looking_back(current_project()) as control:
        runs = control.history(pipeline=pipeline, limit=limit)
        names = list(dict.fromkeys(run.key.pipeline for run in runs))
        metrics = [control.metrics(name) for name in names]
    if as_json:
        document = {"runs": [run_facts(run) for run in runs], "pipelines": [asdict(figures) for figures in metrics]}
        write_json(document)
        return 0
    console = output_console()
    if not runs:
        console.print(f"no run of {pipeline}" if pipeline else "no run yet; start one with: batchctl run", markup=False)
        return 0
    console.print(_runs_table(runs))
    for run in _left_interrupted(runs):
        console.print(f"run {run.key.run_id} was {run.error}", style=STYLES[run.outcome], markup=False, soft_wrap=True)
    console.print()
    console.print(_steps_table(step_figures(runs)))
    console.print()
    for figures in metrics:
        console.print(_sentence(figures), markup=False, soft_wrap=True)
    return 0


def run_facts(run: RunRecord) -> dict[str, Any]:
    """A run as JSON."""
    return {
        "pipeline": run.key.pipeline,
        "slice": run.key.slice.iso,
        "generation": run.key.generation,
        "run_id": run.key.run_id,
        "engine": run.engine,
        "trigger": run.trigger,
        "outcome": run.outcome.value,
        "interrupted": run.interrupted,
        "score": run.score,
        "started_at": run.started_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "seconds": run.seconds,
        "cpu_seconds": round(run.cpu_seconds, 3),
        "peak_rss_mb": run.peak_rss_mb,
        "step_success": run.step_success,
        "rows": asdict(run.rows),
        "delta": {"table": run.table or None, "version": run.version},
        "warehouse": {"table": run.warehouse_table or None},
        "steps": [_step_facts(step) for step in run.steps],
        "report": run.report or None,
        "error": run.error or None,
    }


def step_figures(runs: Sequence[RunRecord]) -> tuple[StepFigures, ...]:
    """Every step over these runs, in the order of the latest one."""
    found: dict[str, list[StepResult]] = {}
    for run in runs:
        for step in run.steps:
            if step.outcome is not Outcome.RUNNING:
                found.setdefault(_PART.sub("", step.step), []).append(step)
    return tuple(
        StepFigures(
            step=name,
            ended=len(steps),
            passed=sum(step.outcome.passed for step in steps),
            mean_seconds=sum(step.usage.seconds for step in steps) / len(steps),
            max_seconds=max(step.usage.seconds for step in steps),
            cpu_seconds=sum(step.usage.cpu_seconds for step in steps),
            peak_rss_mb=max(step.usage.peak_rss_mb for step in steps),
        )
        for name, steps in found.items()
    )


def _step_facts(step: StepResult) -> dict[str, Any]:
    return {
        "id": step.step,
        "outcome": step.outcome.value,
        "attempt": step.attempt,
        "seconds": step.usage.seconds,
        "cpu_seconds": step.usage.cpu_seconds,
        "peak_rss_mb": step.usage.peak_rss_mb,
        "error": step.error or None,
    }


def _left_interrupted(runs: Sequence[RunRecord]) -> Iterator[RunRecord]:
    """Interrupted runs that no newer run of their slice has followed; `runs` are newest first."""
    followed = set()
    for run in runs:
        slot = (run.key.pipeline, run.key.slice)
        if run.interrupted and slot not in followed:
            yield run
        followed.add(slot)


def _runs_table(runs: Sequence[RunRecord]) -> Table:
    table = _table(
        "Outcome", "Pipeline", "Slice", "Gen", "Started", "Time", "CPU", "Memory", "Score", "Published", "Run"
    )
    for run in runs:
        outcome = words(run.outcome, interrupted=run.interrupted)
        table.add_row(
            Text(f"{MARKS[run.outcome]} {outcome}", style=STYLES[run.outcome]),
            Text(run.key.pipeline),
            run.key.slice.iso,
            str(run.key.generation),
            moment(run.started_at).removesuffix(" UTC"),
            duration(run.seconds),
            duration(run.cpu_seconds),
            memory(run.peak_rss_mb),
            percent(run.score),
            number(run.rows.published),
            Text(run.key.run_id, style="dim"),
        )
    return table


def _steps_table(figures: Sequence[StepFigures]) -> Table:
    table = _table("Step", "Passed", "Ended", "Mean time", "Longest", "CPU", "Peak memory")
    for step in figures:
        style = "" if step.passed == step.ended else "red"
        table.add_row(
            Text(step.step),
            Text(f"{step.passed:,}", style=style),
            f"{step.ended:,}",
            duration(step.mean_seconds),
            duration(step.max_seconds),
            duration(step.cpu_seconds),
            memory(step.peak_rss_mb),
        )
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    left = {"Outcome", "Pipeline", "Slice", "Started", "Run", "Step"}
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right", overflow="fold")
    return table


def _sentence(figures: PipelineMetrics) -> str:
    return (
        f"{figures.pipeline}: of its last {figures.runs} ended runs {percent(figures.success_rate)} passed, "
        f"{percent(figures.step_success_rate)} of {figures.step_attempts} step attempts; "
        f"mean time {duration(figures.mean_seconds)}, mean score {percent(figures.mean_score)}"
    )
