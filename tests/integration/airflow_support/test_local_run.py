"""One real DAG run with no server."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from batch_processing.airflow_support.local_run import TaskEvent, run_dag_once
from batch_processing.control.store import ControlStore
from batch_processing.errors import UsageError
from batch_processing.results import Outcome
from tests.services.project import GOOD_ROWS, SmallProject
from tests.services.smtp import Mailbox

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

DAY = "2026-11-01"
DAG_FILE = """
from pathlib import Path
from batch_processing.airflow_support.dag import build_dag
from batch_processing.settings.loading import load_pipeline

dag = build_dag(load_pipeline(Path(__file__).parent / "pipeline.yml"))
"""


def _dag_file(project: SmallProject) -> Path:
    project.load()
    file = project.root / "small_dag.py"
    file.write_text(DAG_FILE)
    return file


def test_a_run_does_every_step_and_can_be_repeated(project: SmallProject) -> None:
    project.declaration["sources"]["orders"]["files"].update(ready="stable", poke="0.2s", files_per_task=1)
    project.write_orders(GOOD_ROWS[:50])
    project.write_orders(GOOD_ROWS[50:], name="b.csv")
    file = _dag_file(project)
    events: list[TaskEvent] = []

    for _ in range(2):
        result = run_dag_once(
            file, home=project.root / "airflow", slice=DAY, environ=project.environ, on_task=events.append
        )
        assert result.state == "success", result.log.read_text()[-3000:]

    done = [event.task for event in events if event.kind == "success"]
    first = done[: len(done) // 2]
    assert set(first) == {
        "wait_for_orders",
        "extract_orders[0]",
        "extract_orders[1]",
        "extract_customers",
        "validate",
        "transform",
        "validate_output",
        "quality_metrics",
        "publish",
        "load_warehouse",
    }
    with duckdb.connect(str(project.warehouse), read_only=True) as warehouse:
        assert warehouse.execute("SELECT count(*) FROM orders").fetchone() == (100,)
    with ControlStore.open(f"sqlite:///{project.root}/home/control.db") as control:
        records = control.history(pipeline="orders")
    assert [record.key.slice.iso for record in records] == ["2026-11-01T02:00:00Z"] * 2
    assert {record.outcome for record in records} == {Outcome.PASS}


def test_a_failure_ends_the_run_at_once_and_mails(project: SmallProject, smtp: Mailbox) -> None:
    project.declaration |= {"alerts": {"email": ["alert@company.com"]}, "retries": 3, "retry_delay": "10m"}
    del project.environ["AIRFLOW_CONN_CRM"]
    file = _dag_file(project)
    events: list[TaskEvent] = []
    environ = {**project.environ, "AIRFLOW_CONN_SMTP_DEFAULT": smtp.airflow_json}

    result = run_dag_once(file, home=project.root / "airflow", slice=DAY, environ=environ, on_task=events.append)

    assert result.state == "failed"
    (failed,) = [event for event in events if event.kind == "failed"]
    assert failed.task == "extract_customers"
    assert "connection 'crm' is not set" in failed.error
    assert "AIRFLOW_CONN_CRM" in failed.error
    (mail,) = smtp.messages
    assert "extract_customers" in mail["Subject"]
    assert not project.warehouse.exists()


def test_files_that_never_come_end_the_sensor_with_one_clear_message(project: SmallProject) -> None:
    project.declaration["sources"]["orders"]["files"].update(path=f"{project.root}/nowhere/*.csv", timeout="1s")
    file = _dag_file(project)
    events: list[TaskEvent] = []

    result = run_dag_once(
        file, home=project.root / "airflow", slice=DAY, environ=project.environ, on_task=events.append
    )

    assert result.state == "failed"
    (failed,) = [event for event in events if event.kind == "failed"]
    assert failed.task == "wait_for_orders"
    assert f"{project.root}/nowhere/*.csv" in failed.error
    with ControlStore.open(f"sqlite:///{project.root}/home/control.db") as control:
        record = control.run(result.run_id)
    assert record.outcome is Outcome.ERROR
    assert "nowhere" in record.error
    assert Path(record.report).exists()


def test_a_variable_that_is_not_set_is_named(project: SmallProject) -> None:
    project.declaration["sources"]["orders"]["files"]["path"] = "{{ var.value.batch_source_path }}/*.csv"
    file = _dag_file(project)
    events: list[TaskEvent] = []

    run_dag_once(file, home=project.root / "airflow", slice=DAY, environ=project.environ, on_task=events.append)

    (failed,) = [event for event in events if event.kind == "failed"]
    assert failed.task == "wait_for_orders"
    assert "Airflow Variable 'batch_source_path' is not set" in failed.error
    assert "airflow variables set batch_source_path" in failed.error


def test_a_dag_file_that_cannot_be_imported_says_why(project: SmallProject) -> None:
    file = _dag_file(project)
    project.file.write_text(project.file.read_text().replace("schedule:", "shedule:"))

    with pytest.raises(UsageError, match="shedule"):
        run_dag_once(file, home=project.root / "airflow", environ=project.environ)
