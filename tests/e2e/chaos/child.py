"""A process that is forked once everything is imported: it takes an order, runs a slice, and may be struck on the way.

`python -m tests.e2e.chaos.child` reads orders from standard input, one JSON object per line, forks for each
and answers on standard output: `{"pid": n}`, and for `{"wait": n}` the process's wait status.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PRELOADED = (
    "pyarrow.parquet", "pyarrow.csv", "pyarrow.dataset", "deltalake", "duckdb", "sqlalchemy.dialects.sqlite", "sqlite3",
    "pysail.spark", "pyspark.sql.functions", "pyspark.sql.connect.session", "pyspark.sql.connect.functions", "grpc",
    "pandas", "jinja2", "psutil",
    "croniter", "email.message", "smtplib",
    "batch_processing.pipeline.runner", "batch_processing.pipeline.upkeep", "batch_processing.delta_lake.maintenance",
    "batch_processing.alerts.mail", "batch_processing.control.store",
    "batch_processing.delta_lake.publish", "batch_processing.delta_lake.schema",
    "batch_processing.quality.checks", "batch_processing.quality.suite", "batch_processing.quality.table_checks",
    "batch_processing.quality.validation", "batch_processing.report.html", "batch_processing.sources.database",
    "batch_processing.sources.files", "batch_processing.sources.sqlite", "batch_processing.spark.session",
    "batch_processing.warehouse.duckdb", "batch_processing.warehouse.load",
    "tests.e2e.chaos.guards", "tests.e2e.chaos.points", "tests.services.project",
)  # fmt: skip


@dataclass(frozen=True)
class Deed:
    """What is done at the point: the mark is written first, so that the harness knows it was reached."""

    kind: str
    mark: Path
    name: str
    disk: Path

    def announce(self) -> None:
        self.mark.write_text(self.name)

    def __call__(self) -> None:
        self.announce()
        if self.kind == "fill":
            fill_disk(self.disk)
        else:
            os.kill(os.getpid(), signal.SIGSTOP if self.kind == "freeze" else signal.SIGKILL)


def fill_disk(disk: Path) -> None:
    """Takes all space that is left on a disk; it comes back when `ballast` there is removed."""
    with (disk / "ballast").open("ab", buffering=0) as ballast:
        size = 1 << 20
        while size:
            try:
                ballast.write(b"\0" * size)
            except OSError:
                size //= 2


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Carries out an order; see `harness.Order`."""
    from batch_processing.errors import BatchError
    from batch_processing.pipeline.runner import run_pipeline
    from batch_processing.settings.loading import load_pipeline
    from batch_processing.settings.models import EngineSpec
    from batch_processing.settings.slices import parse_slice
    from batch_processing.settings.values import EnvironmentValues
    from tests.e2e.chaos.guards import CHANGES
    from tests.e2e.chaos.points import ALL_POINTS, install

    root, work = Path(order["root"]), Path(order["work"])
    for name in order["changes"]:
        CHANGES[name]()
    if order["point"]:
        install(ALL_POINTS[order["point"]], Deed(order["deed"], work / "mark", order["point"], Path(order["disk"])))
    if order["way"] == "maintain":
        return _maintain(root)
    environ = json.loads((root / "environ.json").read_text())
    loaded = load_pipeline(root / "pipeline.yml", environ=environ)
    wanted = parse_slice(order["day"], loaded.spec.schedule)
    values = EnvironmentValues(overrides={}, environ=environ, settings_file=None)
    engine = EngineSpec(name="spark", remote=order["remote"]) if order["remote"] else None
    common = {"values": values, "slice": wanted, "engine": engine, "run_id": order["run_id"]}
    steps = (work / "steps").open("a", buffering=1)
    if order["way"] == "retry":
        return _retry(loaded, order["from_step"], **common)
    try:
        result = run_pipeline(
            loaded, **common, on_step=lambda event: steps.write(f"{event.kind} {event.step}\n") and None
        )
    except BatchError as error:
        return {"outcome": "not started", "error": str(error), "version": None}
    return {"outcome": result.outcome.value, "error": result.error, "version": result.version}


def _maintain(root: Path) -> dict[str, Any]:
    """Upkeep of the world's table, as `batchctl maintain` does it."""
    from batch_processing.control.store import ControlStore
    from batch_processing.errors import BatchError
    from batch_processing.pipeline.upkeep import maintain_table

    with ControlStore.open(f"sqlite:///{root}/home/control.db") as control:
        try:
            done = maintain_table(root / "lake/orders", control=control)
        except BatchError as error:
            return {"outcome": "ERROR", "error": str(error), "version": None}
    return {"outcome": "PASS", "error": "", "version": done.version}


def _retry(loaded: Any, first: str, **common: Any) -> dict[str, Any]:
    """Goes on from a step as Airflow's retry does: each step opens the run anew."""
    from batch_processing.errors import BatchError
    from batch_processing.pipeline.context import open_run
    from batch_processing.pipeline.plan import build_plan
    from batch_processing.pipeline.steps import execute_step

    steps = build_plan(loaded.spec).steps
    names = [step.id for step in steps]
    for step in steps[names.index(first) if first else 0 :]:
        with open_run(loaded, **common, generation=1, trigger="airflow") as ctx:
            try:
                execute_step(ctx, step, part=0 if step.mapped_over else None, attempt=2)
            except BatchError as error:
                return {"outcome": ctx.control.run(ctx.run_id).outcome.value, "error": str(error), "version": None}
            outcome = ctx.control.run(ctx.run_id).outcome.value
    return {"outcome": outcome, "error": "", "version": None}


def _child(order: dict[str, Any]) -> None:
    work = Path(order["work"])
    work.mkdir(parents=True, exist_ok=True)
    log = os.open(work / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    status = 1
    try:
        result = run(order)
        (work / "result").write_text(json.dumps(result))
        status = 0
    except BaseException:  # noqa: BLE001 - the log is how the harness learns of it
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _serve() -> None:
    import importlib

    for name in _PRELOADED:
        importlib.import_module(name)
    answer = os.fdopen(os.dup(1), "w", buffering=1)
    answer.write(json.dumps({"ready": os.getpid()}) + "\n")
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status, usage = os.wait4(order["wait"], 0)
            answer.write(json.dumps({"status": status, "cpu": usage.ru_utime + usage.ru_stime}) + "\n")
            continue
        pid = os.fork()
        if pid == 0:
            answer.close()
            _child(order)
        answer.write(json.dumps({"pid": pid}) + "\n")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _serve()
