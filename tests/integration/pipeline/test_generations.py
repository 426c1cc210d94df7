"""A slice's generation that is raised while a run of the slice goes on: the run keeps its own."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from batch_processing.airflow_support.callbacks import _record
from batch_processing.control.store import ControlStore
from batch_processing.errors import TableError
from batch_processing.operators.run_facts import RunFacts
from batch_processing.pipeline.context import open_run
from batch_processing.pipeline.runner import _parts
from batch_processing.pipeline.steps import execute_step
from batch_processing.results import Outcome
from batch_processing.settings.slices import parse_slice
from tests.services.project import SmallProject

SLICE = parse_slice("2026-11-01", "0 2 * * *")
Tasks = Callable[..., int]


@pytest.fixture
def tasks(project: SmallProject) -> Tasks:
    """Carries out some of a run's steps, as Airflow's tasks do; returns the generation they were of."""

    def run(run_id: str, *steps: str) -> int:
        with open_run(
            project.load(), values=project.values(), slice=SLICE, run_id=run_id, trigger="airflow"
        ) as context:
            for step in context.plan.steps:
                if not steps or step.id in steps:
                    for part in _parts(context, step):
                        execute_step(context, step, part=part)
            return context.generation

    return run


@pytest.fixture
def control(project: SmallProject) -> ControlStore:
    return ControlStore.open(project.load().project.control_url)


BEFORE = ("wait_for_orders", "extract_orders", "extract_customers", "validate_orders", "validate")
AFTER = ("transform", "validate_output", "quality_metrics", "publish", "load_warehouse")


def test_a_run_that_goes_on_while_its_slice_is_reprocessed_keeps_its_generation_and_ends(
    tasks: Tasks, control: ControlStore
) -> None:
    tasks("scheduled", *BEFORE)
    control.raise_generation("orders", SLICE)
    assert tasks("scheduled", *AFTER) == 1
    assert [(run.key.generation, run.outcome) for run in control.history()] == [(1, Outcome.PASS)]
    assert tasks("reprocess") == 2
    assert tasks("scheduled") == 2, "cleared as a whole, it finds what is published"


def test_its_late_publish_is_refused_and_its_failure_told_of_the_run_itself(
    tasks: Tasks, control: ControlStore
) -> None:
    tasks("scheduled", *BEFORE, *AFTER[:3])
    control.raise_generation("orders", SLICE)
    assert tasks("reprocess") == 2
    with pytest.raises(TableError, match="newer generation"):
        tasks("scheduled", "publish")
    told = _record(control, "orders", RunFacts(SLICE, "scheduled", None, 1))
    assert (told.key.generation, told.outcome) == (1, Outcome.ERROR)
    assert {run.outcome for run in control.history()} == {Outcome.ERROR, Outcome.PASS}, "none is left running"
    assert tasks("scheduled") == 2, "cleared as a whole, it finds what is published"


def test_a_retry_goes_on_where_the_run_has_failed_until_the_reprocess_is_published(
    project: SmallProject, tasks: Tasks, control: ControlStore
) -> None:
    tasks("scheduled", *BEFORE)
    control.raise_generation("orders", SLICE)
    control.finish_run(control.run("scheduled").key, outcome=Outcome.ERROR, error="transform failed")
    assert tasks("scheduled", "transform") == 1
    assert tasks("new", *BEFORE) == 2


def test_a_new_run_takes_the_tables_generation_where_the_store_was_lost_and_keeps_it(
    project: SmallProject, tasks: Tasks, control: ControlStore
) -> None:
    assert tasks("scheduled") == 1
    control.raise_generation("orders", SLICE)
    assert tasks("reprocess") == 2
    control.close()
    for file in (project.root / "home").glob("control.db*"):
        file.unlink()
    assert tasks("scheduled again", *BEFORE) == 2
    assert tasks("scheduled again", *AFTER) == 2
    with ControlStore.open(project.load().project.control_url) as found:
        assert [(run.key.generation, run.outcome) for run in found.history()] == [(2, Outcome.PASS)]


def test_a_run_that_waits_for_its_files_has_begun(tasks: Tasks, control: ControlStore) -> None:
    """The sensor opens the run, is deferred, and leaves nothing behind."""
    assert tasks("scheduled", "no step") == 1
    control.raise_generation("orders", SLICE)
    assert tasks("reprocess") == 2
    assert tasks("scheduled", *BEFORE) == 1
    told = _record(control, "orders", RunFacts(SLICE, "scheduled", None, 1))
    assert (told.key.generation, told.outcome) == (1, Outcome.RUNNING)


@pytest.mark.parametrize("restored", [False, True])
def test_a_passed_run_that_is_cleared_finds_the_slice_done_where_the_store_was_lost(
    project: SmallProject, tasks: Tasks, control: ControlStore, restored: bool
) -> None:
    assert tasks("scheduled") == 1
    older = {file: file.read_bytes() for file in (project.root / "home").glob("control.db*")}
    control.raise_generation("orders", SLICE)
    assert tasks("reprocess") == 2
    control.close()
    for file in (project.root / "home").glob("control.db*"):
        file.unlink()
    for file, data in older.items() if restored else ():
        file.write_bytes(data)
    assert tasks("scheduled") == 2


def test_a_failed_run_that_is_cleared_finds_the_slice_done_where_an_older_store_was_restored(
    project: SmallProject, tasks: Tasks, control: ControlStore
) -> None:
    tasks("scheduled", *BEFORE)
    control.finish_run(control.run("scheduled").key, outcome=Outcome.ERROR, error="transform failed")
    older = {file: file.read_bytes() for file in (project.root / "home").glob("control.db*")}
    control.raise_generation("orders", SLICE)
    assert tasks("reprocess") == 2
    control.close()
    for file, data in older.items():
        file.write_bytes(data)
    assert tasks("scheduled") == 2


def test_a_table_that_cannot_be_looked_at_is_an_error_of_the_recorded_run(
    project: SmallProject, control: ControlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_dir(self: Path) -> bool:
        if self.name == "_delta_log":
            raise OSError(errno.ESTALE, "Stale file handle")
        return self.exists()

    monkeypatch.setattr(Path, "is_dir", is_dir)
    result = project.run()
    assert (result.outcome, "the table's log cannot be read" in result.error) == (Outcome.ERROR, True)
    assert control.run().outcome is Outcome.ERROR
