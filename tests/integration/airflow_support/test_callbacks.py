"""What the callbacks of a DAG run leave in the control store."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from batch_processing.airflow_support.callbacks import AlertCallback, RunFailedCallback, RunPassedCallback
from batch_processing.control.records import RunKey, RunRecord
from batch_processing.control.store import ControlStore
from batch_processing.operators.step import Declared
from batch_processing.results import Outcome, StepResult
from batch_processing.settings.slices import parse_slice
from tests.services.project import SmallProject
from tests.services.smtp import Mailbox

pytestmark = pytest.mark.airflow

STEPS = (
    "wait_for_orders",
    "extract_orders[0]",
    "extract_customers",
    "validate",
    "transform",
    "validate_output",
    "quality_metrics",
    "publish",
    "load_warehouse",
)


def _context(run_id: str, *, slice: str = "2026-11-01") -> dict[str, Any]:
    dag_run = SimpleNamespace(
        run_id=run_id,
        conf={"slice": slice},
        data_interval_start=None,
        data_interval_end=None,
        logical_date=None,
        run_after=datetime(2026, 11, 3, tzinfo=UTC),
    )
    return {"dag_run": dag_run, "run_id": run_id, "ti": SimpleNamespace(try_number=1, task_id="publish", map_index=-1)}


def _after_the_callback(project: SmallProject, *, steps: tuple[str, ...], passed: bool = False) -> RunRecord:
    loaded = project.load()
    key = RunKey("orders", parse_slice("2026-11-01", loaded.spec.schedule), 1, "by-hand")
    with ControlStore.open(loaded.project.control_url) as control:
        control.start_run(key, engine="embedded", trigger="airflow")
        for step in steps:
            control.record_step(key, StepResult(step, Outcome.PASS, ended_at=datetime(2026, 11, 3, tzinfo=UTC)))
        if passed:
            control.finish_run(key, outcome=Outcome.PASS)
        RunPassedCallback(Declared(loaded))(_context("by-hand"))
        return control.run("by-hand", pipeline="orders")


def test_a_run_whose_last_task_was_marked_as_success_by_hand_ends_and_says_what_was_not_run(
    project: SmallProject,
) -> None:
    record = _after_the_callback(project, steps=STEPS[:-1])

    assert record.outcome is Outcome.ERROR
    assert record.interrupted
    assert record.ended_at is not None
    assert "load_warehouse did not record its end: marked as success by hand" in record.error
    assert "publish" not in record.error


def test_a_run_that_recorded_its_end_stays_as_it_is(project: SmallProject) -> None:
    record = _after_the_callback(project, steps=STEPS, passed=True)

    assert (record.outcome, record.error, record.interrupted) == (Outcome.PASS, "", False)


def test_a_run_all_of_whose_tasks_were_marked_is_not_made_up(project: SmallProject) -> None:
    loaded = project.load()

    RunPassedCallback(Declared(loaded))(_context("never-run"))

    with ControlStore.open(loaded.project.control_url) as control:
        assert control.history() == ()


def test_a_run_whose_configuration_names_no_slice_is_mailed_once(
    project: SmallProject, smtp: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", smtp.airflow_json)
    project.declaration["alerts"] = {"email": ["alert@company.com"]}
    declared = Declared(project.load())
    context = _context("mistyped", slice="2026-13-01")

    AlertCallback(declared, kind="failure")(context)
    RunFailedCallback(declared)(context)

    (mail,) = smtp.messages
    body: Any = mail.get_body(("plain",))
    assert "cannot read a slice. Found: '2026-13-01'" in body.get_content()
