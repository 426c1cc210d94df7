"""What a step that opens the control store itself, as each of Airflow's tasks does, asks of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event

from batch_processing.control.records import RunKey
from batch_processing.control.store import ControlStore
from batch_processing.pipeline.context import open_run
from batch_processing.pipeline.steps import execute_step
from batch_processing.results import Outcome, StepResult
from batch_processing.settings.slices import parse_slice
from tests.services.project import GOOD_ROWS, SmallProject

SLICE = parse_slice("2026-11-01", "0 2 * * *")


@pytest.fixture
def asked() -> Iterator[list[str]]:
    """The statements that the control stores of this process execute."""
    seen: list[str] = []

    def keep(*args: object) -> None:
        seen.append(str(args[2]))

    event.listen(Engine, "before_cursor_execute", keep)
    yield seen
    event.remove(Engine, "before_cursor_execute", keep)


def first_step(project: SmallProject, run_id: str) -> None:
    with open_run(project.load(), values=project.values(), slice=SLICE, run_id=run_id, trigger="airflow") as run:
        execute_step(run, run.plan.steps[0])


def test_a_step_asks_the_same_however_many_runs_go_on(project: SmallProject, asked: list[str]) -> None:
    project.write_orders(GOOD_ROWS)
    first_step(project, "alone")
    asked.clear()
    first_step(project, "still alone")
    alone = list(asked)

    with ControlStore.open(f"sqlite:///{project.root}/home/control.db") as control:
        for number in range(5):
            key = RunKey("orders", SLICE, 1, f"beside-{number}")
            control.start_run(key, engine="embedded", trigger="airflow")
            control.record_step(key, StepResult("validate", Outcome.PASS))
    asked.clear()
    first_step(project, "one of many")
    assert asked == alone


def test_a_step_reads_its_run_once(project: SmallProject, asked: list[str]) -> None:
    project.write_orders(GOOD_ROWS)
    first_step(project, "first, which has the report's place recorded")
    asked.clear()
    first_step(project, "first, which has the report's place recorded")
    for table in ("batch_steps", "batch_quality", "batch_sources", "batch_quarantine"):
        assert (
            len([sql for sql in asked if sql.startswith("SELECT") and f"FROM {table} " in sql.replace("\n", " ")]) == 1
        )


def test_only_the_first_step_of_a_run_looks_for_killed_ones(project: SmallProject, asked: list[str]) -> None:
    project.write_orders(GOOD_ROWS)
    first_step(project, "one run")
    assert [sql for sql in asked if "batch_runs.host = " in sql]
    asked.clear()
    first_step(project, "one run")
    assert not [sql for sql in asked if "batch_runs.host = " in sql]
