"""DAG runs under a real scheduler, with deferred sensors, mapped tasks, retries and mails."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from deltalake import DeltaTable

from batch_processing.airflow_support.local_servers import LocalAirflow, free_port
from batch_processing.control.store import ControlStore
from batch_processing.errors import TechnicalError
from batch_processing.results import Outcome
from tests.services.airflow import started_airflow, task_logs, task_states, wait_for_dag, wait_for_run
from tests.services.postgres import PostgresServer
from tests.services.project import GOOD_ROWS, OUTPUT_SUITE, SUITE, TRANSFORM

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(900)]

DAG_FILE = """
from pathlib import Path
from batch_processing.airflow_support.dag import build_dag
from batch_processing.settings.loading import load_pipeline

dag = build_dag(load_pipeline(Path(__file__).with_suffix(".yml")))
"""
SLICE = {"slice": "2026-11-01"}


@dataclass
class Stage:
    """A running Airflow over a folder of pipelines."""

    airflow: LocalAirflow
    root: Path
    mailbox: Any
    warehouse: PostgresServer

    def run(self, dag_id: str, *, conf: dict[str, Any] | None = None) -> tuple[str, str]:
        """Starts a run with no logical date, as the UI's button does, and gives its id and final state."""
        run_id = self.start(dag_id, conf=conf)
        return run_id, wait_for_run(self.airflow, dag_id, run_id)

    def start(self, dag_id: str, *, conf: dict[str, Any] | None = None) -> str:
        wait_for_dag(self.airflow, dag_id)
        body = {"logical_date": None, "conf": SLICE if conf is None else conf}
        return str(self.airflow.api("POST", f"dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str]:
        return task_states(self.airflow, dag_id, run_id)

    @property
    def control(self) -> ControlStore:
        return ControlStore.open(f"sqlite:///{self.root}/batch/control.db")

    def mails_of(self, pipeline: str) -> list[Any]:
        return [mail for mail in self.mailbox.messages if f"[{pipeline}]" in mail["Subject"]]


def _declaration(root: Path, name: str, **changes: Any) -> dict[str, Any]:
    return {
        "pipeline": name,
        "sources": {
            "orders": {
                "files": {"path": f"{root}/data/{name}/*.csv", "ready": "stable", "poke": "1s", "files_per_task": 1},
                "schema": {"id": "bigint", "customer_id": "bigint", "amount": "double", "day": "date"},
            },
            "customers": {
                "database": {"connection": "crm", "table": "customers"},
                "schema": {"customer_id": "bigint", "name": "string"},
            },
        },
        "schedule": "0 2 * * *",
        "start_date": "2030-01-01",
        "retries": 1,
        "retry_delay": "2s",
        "validate": {"orders": {"suite": "orders", "threshold": "{{ var.value.validation_threshold }}"}},
        "transform": "stage_jobs:transform",
        "target": {"table": f"{root}/lake/{name}", "partition_by": ["day"]},
        "validate_output": {"suite": "output"},
        "warehouse": {"connection": "warehouse", "table": name},
        "alerts": {"email": ["alert@company.com"], "on": ["failure"]},
        **changes,
    }


def _by_day(root: Path, name: str) -> dict[str, Any]:
    """A small pipeline whose every day has a file of its own."""
    declaration = _declaration(root, name, transform="stage_jobs:plain", alerts={})
    files = {"path": f"{root}/data/days/{{{{ ds }}}}.csv", "ready": "exists", "timeout": "1s"}
    orders = {**declaration["sources"]["orders"], "files": files}
    kept = {key: value for key, value in declaration.items() if key not in ("warehouse", "validate_output")}
    return {**kept, "sources": {"orders": orders}}


def _write_project(root: Path) -> Path:
    dags = root / "dags"
    suites = dags / "gx" / "expectations"
    suites.mkdir(parents=True)
    for suite in (SUITE, OUTPUT_SUITE):
        (suites / f"{suite['name']}.json").write_text(json.dumps(suite))
    (dags / "stage_jobs.py").write_text(
        TRANSFORM
        + textwrap.dedent("""
        def broken(spark, inputs):
            raise RuntimeError("no such luck")

        def waiting(spark, inputs, *, pid_file):
            import os, pathlib, time
            pathlib.Path(pid_file).write_text(str(os.getpid()))
            time.sleep(120)

        def plain(spark, inputs):
            return inputs["orders"].select("id", "customer_id", "amount", "day")
        """)
    )
    with sqlite3.connect(root / "crm.db") as crm:
        crm.execute("CREATE TABLE customers (customer_id INTEGER, name TEXT)")
        crm.executemany("INSERT INTO customers VALUES (?, ?)", [(1, "Ada"), (2, "Bo"), (3, "Cy")])
    crm.close()
    down = {"database": {"connection": "gone", "table": "customers"}, "schema": {"customer_id": "bigint"}}
    good = _declaration(root, "arriving")
    pipelines = [
        good,
        _declaration(root, "breaking", transform="stage_jobs:broken"),
        _declaration(root, "unreachable", sources={"customers": down}, validate={}),
        _declaration(
            root, "struck", sources={"customers": {**down, "database": {**down["database"], "connection": "crm"}}},
            validate={}, retries=0, transform={"function": "stage_jobs:waiting", "params": {"pid_file": f"{root}/pid"}},
        ),
        _by_day(root, "by_airflow"),
    ]  # fmt: skip
    (root / "plain").mkdir()
    shutil.copytree(suites.parent, root / "plain" / "gx")
    shutil.copy(dags / "stage_jobs.py", root / "plain")
    (root / "plain" / "by_batchctl.yml").write_text(yaml.safe_dump(_by_day(root, "by_batchctl"), sort_keys=False))
    for declaration in pipelines:
        name = declaration["pipeline"]
        (dags / f"{name}.yml").write_text(yaml.safe_dump(declaration, sort_keys=False))
        (dags / f"{name}.py").write_text(DAG_FILE)
    return dags


def _warehouse_connection(server: PostgresServer) -> dict[str, Any]:
    """The connection as a person would enter it in Airflow's UI."""
    return {
        "connection_id": "warehouse",
        "conn_type": "postgres",
        "host": server.host,
        "port": server.port,
        "login": server.user,
        "password": server.password,
        "schema": server.dbname,
    }


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Stage]:
    from tests.services.smtp import smtp_server

    root = tmp_path_factory.mktemp("stage")
    dags = _write_project(root)
    with smtp_server() as mailbox:
        environ = {
            "BATCH_HOME": f"{root}/batch",
            "AIRFLOW_VAR_VALIDATION_THRESHOLD": "0.9",
            "AIRFLOW_CONN_CRM": json.dumps({"conn_type": "sqlite", "host": f"{root}/crm.db"}),
            "AIRFLOW_CONN_GONE": f"postgres://reader:secret-word@127.0.0.1:{free_port()}/crm",
            "AIRFLOW_CONN_SMTP_DEFAULT": mailbox.airflow_json,
        }
        with started_airflow(root / "airflow", dags, environ) as airflow:
            airflow.api("POST", "connections", _warehouse_connection(postgres))
            yield Stage(airflow, root, mailbox, postgres)


def _put(stage: Stage, pipeline: str, name: str, rows: list[str]) -> None:
    folder = stage.root / "data" / pipeline
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join(["id,customer_id,amount,day", *rows]) + "\n")


def test_a_run_goes_from_files_that_arrive_late_to_the_warehouse(stage: Stage) -> None:
    run_id = stage.start("arriving")
    _wait_for_state(stage, "arriving", run_id, "wait_for_orders", "deferred")
    _wait_until_the_scheduler_knows(stage, run_id, "wait_for_orders")
    _put(stage, "arriving", "a.csv", [*GOOD_ROWS[:60], "7,1,5.0,2026-11-01", ",1,5.0,2026-11-01"])
    _put(stage, "arriving", "b.csv", GOOD_ROWS[60:])

    state = wait_for_run(stage.airflow, "arriving", run_id)

    assert state == "success", task_logs(stage.airflow, run_id)[-5000:]
    tasks = stage.tasks("arriving", run_id)
    assert {"extract_orders[0]", "extract_orders[1]"} <= tasks.keys()
    assert set(tasks.values()) == {"success"}
    # The trigger handed over: the sensor was not just tried again.
    assert _tries(stage, "arriving", run_id, "wait_for_orders") == 1
    table = DeltaTable(f"{stage.root}/lake/arriving").to_pyarrow_table()
    # Row 7 and its copy, and the row without an id, are in quarantine.
    assert sorted(table["id"].to_pylist()) == [n for n in range(1, 101) if n != 7]
    assert stage.warehouse.execute("SELECT count(*), count(DISTINCT id) FROM arriving") == [(99, 99)]
    with stage.control as control:
        record = control.run(run_id, pipeline="arriving")
    assert record.outcome is Outcome.PASS_WITH_QUARANTINE
    assert (record.rows.read, record.rows.quarantined, record.rows.loaded) == (105, 3, 99)
    assert record.key.slice.iso == "2026-11-01T02:00:00Z"
    assert record.trigger == "airflow"
    assert not stage.mails_of("arriving")


def test_the_published_table_is_an_asset_whose_event_says_what_was_published(stage: Stage) -> None:
    events = stage.airflow.api("GET", "assets/events")["asset_events"]

    (event,) = [one for one in events if one["source_dag_id"] == "arriving"]

    assert event["source_task_id"] == "publish"
    assert event["extra"]["version"] == 0
    assert event["extra"]["slice"] == "2026-11-01T02:00:00Z"
    assert event["extra"]["score"] == pytest.approx(99 / 102)
    assert event["extra"]["counts"]["quarantined"] == 3


def test_a_failure_that_no_retry_helps_fails_at_once_and_mails_once(stage: Stage) -> None:
    _put(stage, "breaking", "a.csv", GOOD_ROWS)

    run_id, state = stage.run("breaking")

    assert state == "failed"
    assert _tries(stage, "breaking", run_id, "transform") == 1
    (mail,) = _settled_mails(stage, "breaking")
    assert mail["To"] == "alert@company.com"
    text = mail.get_body(("plain",)).get_content()
    assert "TransformError" not in text
    assert "the transform stage_jobs:broken raised RuntimeError" in text
    for fact in ("2026-11-01T02:00:00Z", run_id, "transform", "ERROR", "report.html", "airflow tasks clear breaking"):
        assert fact in text
    assert not Path(f"{stage.root}/lake/breaking/_delta_log").exists()


def test_a_failure_that_a_retry_may_help_is_tried_again_and_mails_only_after_the_last_try(stage: Stage) -> None:
    run_id, state = stage.run("unreachable")

    assert state == "failed"
    assert _tries(stage, "unreachable", run_id, "extract_customers") == 2
    (mail,) = _settled_mails(stage, "unreachable")
    assert "try 2" in mail.get_body(("plain",)).get_content()
    assert "secret-word" not in mail.as_string()
    assert "secret-word" not in task_logs(stage.airflow, run_id)


def test_a_task_killed_from_outside_fails_the_run_and_mails_once(stage: Stage) -> None:
    run_id = stage.start("struck")
    _wait_for_state(stage, "struck", run_id, "transform", "running")
    pid = int(_read_when_there(stage.root / "pid"))

    os.kill(pid, signal.SIGKILL)

    assert wait_for_run(stage.airflow, "struck", run_id) == "failed"
    assert stage.tasks("struck", run_id)["transform"] == "failed"
    (mail,) = _settled_mails(stage, "struck")
    text = mail.get_body(("plain",)).get_content()
    for fact in ("2026-11-01T02:00:00Z", run_id, "transform", "airflow tasks clear struck"):
        assert fact in text
    with stage.control as control:
        record = control.run(run_id, pipeline="struck")
    assert record.outcome is Outcome.ERROR
    assert record.ended_at is not None
    assert "transform" in record.error


def test_airflows_own_backfill_gives_what_batchctls_gives(stage: Stage) -> None:
    for day in (1, 2):
        rows = [row.replace("2026-11-01", f"2026-11-0{day}") for row in GOOD_ROWS[: day * 10]]
        _put(stage, "days", f"2026-11-0{day}.csv", [*rows, f",1,5.0,2026-11-0{day}"])
    wait_for_dag(stage.airflow, "by_airflow")

    _start_backfill(stage, "by_airflow", "2026-11-01T00:00:00Z", "2026-11-02T02:00:00Z")
    _wait_for_runs(stage, "by_airflow", 2)
    code = _batchctl(stage, "backfill", "by_batchctl.yml", "--from", "2026-11-01", "--to", "2026-11-02", "--jobs", "2")

    assert code["exit_code"] == 0
    tables = [DeltaTable(f"{stage.root}/lake/{name}").to_pyarrow_table() for name in ("by_airflow", "by_batchctl")]
    rows_of = [sorted(tuple(row.values()) for row in table.to_pylist()) for table in tables]
    assert rows_of[0] == rows_of[1]
    assert len(rows_of[0]) == 10 + 20
    with stage.control as control:
        ours, theirs = control.history(pipeline="by_airflow"), control.history(pipeline="by_batchctl")
    facts = [
        {run.key.slice: (run.key.generation, run.outcome, run.rows, run.score) for run in runs}
        for runs in (ours, theirs)
    ]
    assert facts[0] == facts[1]
    assert {run.outcome for run in ours} == {Outcome.PASS_WITH_QUARANTINE}
    # What Airflow has done, batchctl finds done.
    again = _batchctl(stage, "backfill", "../dags/by_airflow.yml", "--from", "2026-11-01", "--to", "2026-11-02")
    assert {one["outcome"] for one in again["slices"]} == {"PUBLISHED"}


def _start_backfill(stage: Stage, dag_id: str, first: str, last: str) -> None:
    """As `airflow backfill create`, newest first, two at once.

    On SQLite Airflow may answer that the database is locked, and takes back what it had begun: one may ask again.
    """
    import time

    wanted = {"dag_id": dag_id, "from_date": first, "to_date": last, "run_backwards": True, "max_active_runs": 2}
    for attempt in range(10):
        try:
            stage.airflow.api("POST", "backfills", wanted)
        except TechnicalError as error:
            if "503" not in str(error) or attempt == 9:
                raise
            time.sleep(0.5)
        else:
            return


def _batchctl(stage: Stage, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "batch_processing.cli.main", *arguments, "--json"],
        env=stage.airflow.environment(), cwd=stage.root / "plain", capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _wait_for_runs(stage: Stage, dag_id: str, count: int) -> None:
    import time

    deadline = time.monotonic() + 240
    while True:
        states = [run["state"] for run in stage.airflow.api("GET", f"dags/{dag_id}/dagRuns")["dag_runs"]]
        if states == ["success"] * count:
            return
        assert "failed" not in states, states
        assert time.monotonic() < deadline, states
        time.sleep(0.5)


def _read_when_there(path: Path) -> str:
    import time

    deadline = time.monotonic() + 60
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline, f"{path} does not come"
        time.sleep(0.1)
    return path.read_text()


def _wait_for_state(stage: Stage, dag_id: str, run_id: str, task_id: str, state: str) -> None:
    import time

    deadline = time.monotonic() + 120
    while stage.tasks(dag_id, run_id).get(task_id) != state:
        assert time.monotonic() < deadline, stage.tasks(dag_id, run_id)
        time.sleep(0.3)


def _wait_until_the_scheduler_knows(stage: Stage, run_id: str, task_id: str) -> None:
    """That the deferred task's process has ended: a trigger that fires before costs the task a try (Airflow's race)."""
    import time

    deadline = time.monotonic() + 60
    while not any(
        "Received executor event with state success" in line and run_id in line and task_id in line
        for line in stage.airflow.log("scheduler").read_text(errors="replace").splitlines()
    ):
        assert time.monotonic() < deadline, "the scheduler has not read the deferred task's end"
        time.sleep(0.3)


def _tries(stage: Stage, dag_id: str, run_id: str, task_id: str) -> int:
    found = stage.airflow.api("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}")
    return int(found["try_number"])


def _settled_mails(stage: Stage, pipeline: str) -> list[Any]:
    """The mails of a pipeline after a pause in which a second one would have come."""
    import time

    deadline = time.monotonic() + 30
    while not stage.mails_of(pipeline) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(2)
    return stage.mails_of(pipeline)
