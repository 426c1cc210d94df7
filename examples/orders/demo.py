"""The demo: makes a day's input with planted faults, runs the DAG `batch_processor` in Airflow, says what happened."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from examples.orders.faults import Planted
from examples.orders.generate import make_input
from examples.orders.rates import rates_api
from examples.run_summary import summary
from filelock import FileLock, Timeout

from batch_processing.airflow_support.local_run import TaskEvent, run_dag_once
from batch_processing.control.records import RunRecord
from batch_processing.control.store import ControlStore
from batch_processing.errors import BatchError, TechnicalError
from batch_processing.results import Outcome

REPO = Path(__file__).resolve().parent.parent.parent
PIPELINE = "batch_processor"
DAG_FILE = REPO / "dags" / "batch_processor_dag.py"
DAY = date(2026, 11, 1)
SEED = 20_261_101

LOCK = ".running"
KEPT = ("airflow", "flights", LOCK)
"""What a demo leaves in its folder: Airflow's own tables, which take long to make, and the other example."""

EXIT_CODES = {Outcome.PASS: 0, Outcome.PASS_WITH_QUARANTINE: 0, Outcome.FAIL: 1}


def main(folder: Path = REPO / ".demo", *, orders: int = 120_000) -> int:
    """Runs the demo in its folder, fresh each time; returns the exit code."""
    try:
        with _alone(folder):
            run = demo(folder, orders=orders)
    except BatchError as error:
        print(f"The demo failed. {error}", file=sys.stderr)
        return error.exit_code
    print()
    print(summary(run, base=REPO))
    print()
    print("Next: " + next_command(run, folder))
    return EXIT_CODES.get(run.outcome, TechnicalError.exit_code)


def demo(folder: Path, *, orders: int) -> RunRecord:
    """Makes the input, runs the DAG once, and returns the run as the control store knows it.

    Raises:
        BatchError: the run could not be made. A run that failed does not raise: see its `outcome`.
    """
    _clear(folder)
    planted = make_input(folder / "source", crm=folder / "crm.db", day=DAY, seed=SEED, orders=orders)
    print(_input_text(planted))
    print(f"Airflow runs the DAG {PIPELINE} for {DAY}:", flush=True)
    with rates_api(seed=SEED, token=secrets.token_urlsafe(16)) as rates:
        environ = environment(folder, rates=rates.connection())
        result = run_dag_once(
            DAG_FILE, home=folder / "airflow", slice=DAY.isoformat(), environ=environ, on_task=_Progress().show
        )
    with ControlStore.open(environ["BATCH_CONTROL_STORE"]) as control:
        if not control.history(pipeline=PIPELINE, limit=1):
            raise TechnicalError(
                "no task of the run came as far as the pipeline", where=str(result.log), fix="read that log"
            )
        return control.run(result.run_id, pipeline=PIPELINE)


def environment(folder: Path, *, rates: str) -> dict[str, str]:
    """Airflow's Variables and connections for the demo, as environment variables, and where runs keep their things."""
    return {
        "BATCH_HOME": str(folder / "home"),
        "BATCH_CONTROL_STORE": f"sqlite:///{folder / 'home' / 'control.db'}",
        "AIRFLOW_VAR_BATCH_SOURCE_PATH": str(folder / "source"),
        "AIRFLOW_VAR_DELTA_LAKE_PATH": str(folder / "delta"),
        "AIRFLOW_VAR_VALIDATION_THRESHOLD": "0.95",
        "AIRFLOW_CONN_CRM": json.dumps({"conn_type": "sqlite", "host": str(folder / "crm.db")}),
        "AIRFLOW_CONN_RATES_API": rates,
        "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "duckdb", "host": str(folder / "warehouse.duckdb")}),
        # The rates come from this machine: a proxy of the surroundings would not find them.
        "NO_PROXY": ",".join(part for part in (os.environ.get("NO_PROXY"), "127.0.0.1") if part),
    }


def next_command(run: RunRecord, folder: Path) -> str:
    """What to type after the run."""
    batchctl = f"BATCH_HOME={os.path.relpath(folder / 'home', REPO)} .venv/bin/batchctl"
    return f"{batchctl} history   (then make up, for Airflow's UI)" if run.outcome.passed else f"{batchctl} report"


def _clear(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name in KEPT:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _input_text(planted: Planted) -> str:
    faults = planted.rejected + planted.quarantined
    return (
        f"Input: {planted.records:,} orders in 4 files, {planted.customers:,} customers in SQLite,"
        f" {planted.rates} rates from an API; {faults:,} of the orders have a planted fault."
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps a second demo out while one runs: it would remove the first one's files."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise TechnicalError("another demo is running", where=str(folder), fix="wait for its end") from error
    try:
        yield
    finally:
        lock.release()


class _Progress:
    """One line for each task that ends."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}

    def show(self, event: TaskEvent) -> None:
        if event.kind == "running":
            self._started[event.task] = time.monotonic()
            return
        seconds = time.monotonic() - self._started.get(event.task, time.monotonic())
        print(f"  {event.task:<22} {event.kind:<8} {seconds:5.1f} s", flush=True)
