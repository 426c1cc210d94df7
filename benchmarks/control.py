"""What the control store adds to a step: the time spent in its methods while real pipelines run.

    .venv/bin/python -m benchmarks.control [--runs 5]

Runs the project of `batchctl init` slice by slice, with the control store in SQLite and in PostgreSQL (where its server
programs are installed), and prints the time in the store per step; opening and closing it count. The first run, which
makes the tables, is left out. Under Airflow each step opens the store anew: what that adds is the second figure.
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

from tests.services.postgres import PostgresServer, free_port, postgres_bin

from batch_processing.cli.places import values_for
from batch_processing.cli.project import make_project
from batch_processing.control.store import ControlStore
from batch_processing.pipeline.context import open_run
from batch_processing.pipeline.runner import run_pipeline
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


def _measure(name: str, url: str, runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        make_project(Path(folder) / "project", seed=1)
        environ = {**os.environ, "BATCH_HOME": f"{folder}/home", **({"BATCH_CONTROL_STORE": url} if url else {})}
        loaded = load_pipeline(next((Path(folder) / "project").glob("*.yml")), environ=environ)
        per_step, seconds = [], []
        for number in range(runs + 1):
            day = date(2026, 11, 1) + timedelta(days=number)
            _spent[0], started = 0.0, time.perf_counter()
            done = run_pipeline(
                loaded,
                values=values_for(loaded.project, ()),
                slice=parse_slice(day.isoformat(), loaded.spec.schedule),
            )
            if not done.outcome.passed:
                raise SystemExit(f"the run failed: {done.error}")
            seconds.append(time.perf_counter() - started)
            per_step.append(1000 * _spent[0] / len(done.steps))
            alone = [_opening(loaded, day + timedelta(days=1)) for _ in range(5)]
    middle = statistics.median(per_step[1:])
    each = ", ".join(f"{one:.1f}" for one in per_step[1:])
    print(
        f"{name:12}{middle:6.1f} ms a step  ({each}); {len(done.steps)} steps, run {statistics.median(seconds):.2f} s; "
        f"opened by each step {middle + statistics.median(alone):.1f} ms"
    )


def _opening(loaded: LoadedPipeline, day: date) -> float:
    """Milliseconds in the store to open a run for one step and to close it, as an Airflow task does."""
    before = _spent[0]
    values, slice = values_for(loaded.project, ()), parse_slice(day.isoformat(), loaded.spec.schedule)
    with open_run(loaded, values=values, slice=slice, run_id=f"opened-{day}", trigger="airflow"):
        pass
    return 1000 * (_spent[0] - before)


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
