"""A real Airflow with its own home: scheduler, DAG processor, triggerer, API server (`started_airflow`)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from batch_processing.airflow_support.local_servers import LocalAirflow
from batch_processing.errors import TechnicalError

ROOT = Path(__file__).resolve().parents[2]
ENDED = ("success", "failed")


@contextmanager
def started_airflow(folder: Path, dags: Path, environ: Mapping[str, str]) -> Iterator[LocalAirflow]:
    """Airflow with the project's configuration; its DAGs run at once, and its processes end with the block."""
    base = {
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
        "AIRFLOW__CORE__PARALLELISM": "4",
        **environ,
    }
    with LocalAirflow(folder, dags, config=ROOT / "config" / "airflow.cfg", environ=base) as airflow:
        yield airflow


def wait_for_dag(airflow: LocalAirflow, dag_id: str, *, seconds: float = 120.0) -> dict[str, Any]:
    """The DAG, once the DAG processor has read it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return dict(airflow.api("GET", f"dags/{dag_id}"))
        except TechnicalError:
            if time.monotonic() > deadline:
                raise AssertionError(f"no DAG {dag_id}: {import_errors(airflow)}") from None
            time.sleep(0.5)


def import_errors(airflow: LocalAirflow) -> list[str]:
    return [error["stack_trace"] for error in airflow.api("GET", "importErrors")["import_errors"]]


def wait_for_run(airflow: LocalAirflow, dag_id: str, run_id: str, *, seconds: float = 300.0) -> str:
    """The state in which a DAG run ends."""
    return str(_wait(lambda: airflow.api("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"], airflow, seconds))


def task_states(airflow: LocalAirflow, dag_id: str, run_id: str) -> dict[str, str]:
    """Task id, with `[n]` for a mapped one, -> state."""
    found = airflow.api("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
    return {_task_name(one): str(one["state"]) for one in found}


def task_logs(airflow: LocalAirflow, run_id: str) -> str:
    """All task logs of a run, for a failing test's message."""
    files = sorted((airflow.home / "logs").glob(f"**/run_id={run_id}/**/*.log"))
    return "\n".join(file.read_text(errors="replace") for file in files)


def run_python(code: str, *, home: Path, **environ: str) -> str:
    """The output of a snippet in a fresh interpreter: Airflow keeps its settings from its first import on."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**isolated_environ(home), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def isolated_environ(home: Path) -> dict[str, str]:
    """An environment in which importing Airflow touches nothing outside `home`, and knows no Variable or connection."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return {
        **kept,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "BATCH_HOME": str(home / "batch"),
    }


def _task_name(one: Mapping[str, Any]) -> str:
    index = one["map_index"]
    return one["task_id"] if index < 0 else f"{one['task_id']}[{index}]"


def _wait(state: Callable[[], str], airflow: LocalAirflow, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while (now := state()) not in ENDED:
        assert airflow.running(), "an Airflow process has ended"
        assert time.monotonic() < deadline, f"still {now} after {seconds} s"
        time.sleep(0.5)
    return now
