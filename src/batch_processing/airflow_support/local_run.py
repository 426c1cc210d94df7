"""One DAG run with no server: a real run through the operators, in a process of its own.

`run_dag_once` starts a child process that makes Airflow's metadata in a SQLite file, reads the DAG file, and runs one
DAG run to its end. The child's log goes into a file; what the tasks do comes back as events.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal

from batch_processing.errors import TechnicalError, UsageError

CHILD = "batch_processing.airflow_support.local_child"


@dataclass(frozen=True)
class TaskEvent:
    """A task starts or ends. `task` is `extract_orders[1]` for a mapped one; `error` is set where it failed."""

    kind: Literal["running", "success", "failed", "skipped"]
    task: str
    error: str = ""


@dataclass(frozen=True)
class DagRunResult:
    """How the run ended.

    Attributes:
        state: Airflow's state of the run, `success` or `failed`.
        run_id: Airflow's run id, also the control store's.
        log: the file that holds the child's whole log.
    """

    state: str
    run_id: str
    log: Path


Listener = Callable[[TaskEvent], None]


def run_dag_once(
    dag_file: Path | str,
    *,
    home: Path | str,
    slice: str | None = None,
    logical_date: datetime | None = None,
    dag_id: str | None = None,
    conf: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    on_task: Listener | None = None,
) -> DagRunResult:
    """Runs one DAG run to its end; tasks are not retried, for somebody is watching.

    Args:
        dag_file: the DAG file; its folder becomes the DAG bundle.
        home: `AIRFLOW_HOME` of the run; metadata and logs are kept there and reused by the next run.
        slice: as `2026-11-01`; without it and without `logical_date` the last complete slice.
        logical_date: Airflow's logical date instead of a slice.
        dag_id: which of the file's DAGs; needless where it has one.
        conf: the run's configuration, as `{"generation": 2}`.
        environ: environment of the child beside this process's own, as `AIRFLOW_CONN_...` and `AIRFLOW_VAR_...`.
        on_task: called as tasks start and end.

    Raises:
        UsageError: the DAG file cannot be imported, or has no such DAG.
        TechnicalError: Airflow itself stopped; the log says why.
    """
    place, file = Path(home).absolute(), Path(dag_file).absolute()
    (place / "logs").mkdir(parents=True, exist_ok=True)
    log = place / "logs" / "local_run.log"
    order = {
        "dag_file": str(file),
        "dag_id": dag_id,
        "slice": slice,
        "logical_date": logical_date.isoformat() if logical_date else None,
        "conf": dict(conf or {}),
    }
    end: dict[str, Any] = {}
    with _child(order, log=log, environ={**os.environ, **(environ or {}), **settings(place, file.parent)}) as events:
        for event in events:
            if event["kind"] in ("end", "usage"):
                end = event
            elif on_task is not None:
                on_task(TaskEvent(kind=event["kind"], task=event["task"], error=event.get("error", "")))
    if end.get("kind") == "usage":
        raise UsageError(end["what"], where=end["where"], found=end["found"], fix=end["fix"])
    if not end:
        raise TechnicalError(
            "Airflow stopped before the run ended", where=str(log), found=_tail(log), fix="read that log"
        )
    return DagRunResult(state=end["state"], run_id=end["run_id"], log=log)


def settings(home: Path, dags: Path) -> dict[str, str]:
    """Airflow's settings for a run with no server: a SQLite file, no examples, no default connections."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "_AIRFLOW__AS_LIBRARY": "",
    }


@contextmanager
def _child(order: dict[str, Any], *, log: Path, environ: Mapping[str, str]) -> Iterator[Iterator[dict[str, Any]]]:
    """The child process; gives its events as they come, and waits for its end."""
    reader, writer = os.pipe()
    arguments = [sys.executable, "-m", CHILD, str(writer)]
    with os.fdopen(reader, encoding="utf-8") as source, log.open("wb") as sink:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own module, run by our own interpreter
                arguments, stdin=subprocess.PIPE, stdout=sink, stderr=sink, pass_fds=(writer,), env=dict(environ)
            )
        finally:
            os.close(writer)
        try:
            _give(process.stdin, order)
            yield (json.loads(line) for line in source)
        finally:
            if process.poll() is None:
                _finish(process)


def _give(sink: IO[bytes] | None, order: dict[str, Any]) -> None:
    if sink is not None:
        with sink:
            sink.write(json.dumps(order).encode())


def _finish(process: subprocess.Popen[bytes]) -> None:
    """Lets the child end on its own; where we are being stopped, so is it."""
    stopping = sys.exc_info()[0] is not None
    if stopping:
        process.terminate()
    try:
        process.wait(timeout=10 if stopping else 60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return " | ".join(lines[-3:])[:600]
