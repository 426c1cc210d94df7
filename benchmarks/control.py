"""What the control store adds to a step: the time spent in its methods while real pipelines run.

    .venv/bin/python -m benchmarks.control [--runs 5]

Runs the project of `batchctl init` slice by slice, with the control store in SQLite and in PostgreSQL (where its server
programs are installed; it does not wait for its disk), and prints the time in the store per step, opening and closing
included:

- in one process that has the store open, as `batchctl run` does: the time of a run by its steps.
- with a store that each step opens anew, as each task under Airflow does: the median of the steps, each with a
  connection of its own and with its statements compiled for it alone. A login to the server is measured beside it.

Left out are the first run, which makes the tables, and what a new process has to import.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
from tests.services.postgres import PostgresServer, free_port, postgres_bin

from batch_processing.cli.places import values_for
from batch_processing.cli.project import make_project
from batch_processing.control.store import ControlStore
from batch_processing.pipeline.context import open_run
from batch_processing.pipeline.manifests import WaitManifest
from batch_processing.pipeline.plan import StepKind, build_plan
from batch_processing.pipeline.runner import run_pipeline
from batch_processing.pipeline.steps import execute_step
from batch_processing.results import Slice
from batch_processing.settings.loading import LoadedPipeline, load_pipeline
from batch_processing.settings.slices import parse_slice

_spent = [0.0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    _time_the_store()
    _measure("SQLite", "", options.runs)
    with _postgres() as url:
        if url:
            _measure("PostgreSQL", url, options.runs)
            print(f"{'':12}a login to this server alone: {_login(url):.1f} ms")


def _login(url: str, *, times: int = 20) -> float:
    """Milliseconds of a connection with its password, by the driver alone: the median."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        psycopg.connect(url).close()
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)


def _measure(name: str, url: str, runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        make_project(Path(folder) / "project", seed=1)
        environ = {**os.environ, "BATCH_HOME": f"{folder}/home", **({"BATCH_CONTROL_STORE": url} if url else {})}
        loaded = load_pipeline(next((Path(folder) / "project").glob("*.yml")), environ=environ)
        _whole_run(loaded, day=0)
        whole = [_whole_run(loaded, day=number) for number in range(1, runs + 1)]
        alone = [each for number in range(runs + 1, 2 * runs + 1) for each in _step_by_step(loaded, day=number)]
    per_step = [spent for spent, _ in whole]
    print(
        f"{name:12}{statistics.median(per_step):6.1f} ms a step  ({', '.join(f'{one:.1f}' for one in per_step)}); "
        f"{len(alone) // runs} steps, run {statistics.median(seconds for _, seconds in whole):.2f} s; "
        f"opened by each step {statistics.median(alone):.1f} ms"
    )


def _whole_run(loaded: LoadedPipeline, *, day: int) -> tuple[float, float]:
    """Milliseconds in the store per step of a run in one process, and the run's seconds."""
    _spent[0], started = 0.0, time.perf_counter()
    done = run_pipeline(loaded, values=values_for(loaded.project, ()), slice=_slice(loaded, day))
    seconds = time.perf_counter() - started
    if not done.outcome.passed:
        raise SystemExit(f"the run failed: {done.error}")
    return 1000 * _spent[0] / len(done.steps), seconds


def _step_by_step(loaded: LoadedPipeline, *, day: int) -> Iterator[float]:
    """Milliseconds in the store of each step of a run, opened for it as `operators.step.run_step` does."""
    parts: dict[str, int] = {}
    for step in build_plan(loaded.spec).steps:
        for part in range(parts[step.mapped_over]) if step.mapped_over else (None,):
            _spent[0] = 0.0
            values, slice = values_for(loaded.project, ()), _slice(loaded, day)
            with open_run(loaded, values=values, slice=slice, run_id=f"opened-{day}", trigger="airflow") as run:
                execute_step(run, step, part=part)
                if step.kind is StepKind.WAIT:
                    parts[step.id] = len(run.manifests.need(step.id, WaitManifest).parts)
            yield 1000 * _spent[0]


def _slice(loaded: LoadedPipeline, day: int) -> Slice:
    return parse_slice((date(2026, 11, 1) + timedelta(days=day)).isoformat(), loaded.spec.schedule)


def _time_the_store() -> None:
    """Wraps the opening and each public method; of methods that call each other only the outer one counts."""
    inside = [0]

    def timed(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            inside[0] += 1
            started = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                inside[0] -= 1
                _spent[0] += 0.0 if inside[0] else time.perf_counter() - started

        return call

    for name, method in vars(ControlStore).items():
        if callable(method) and (not name.startswith("_") or name == "__init__"):
            setattr(ControlStore, name, timed(method))


@contextlib.contextmanager
def _postgres() -> Iterator[str]:
    programs = postgres_bin()
    if programs is None:
        yield ""
        return
    folder = Path(tempfile.mkdtemp(prefix="batch-control-"))
    server = PostgresServer(bin=programs, folder=folder, port=free_port())
    try:
        server.create()
        yield server.uri
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
