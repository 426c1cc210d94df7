"""Runs the flights example: both pipelines, on real data, and says what happened."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from examples.flights.inputs import DataMissingError, data_folder, make_database, weather_api
from examples.run_summary import run_record, summary

from batch_processing.errors import BatchError, UsageError
from batch_processing.pipeline.runner import Listener, StepEvent, run_pipeline
from batch_processing.results import RunResult
from batch_processing.settings.loading import load_pipeline
from batch_processing.settings.models import EngineSpec, parse_engine
from batch_processing.settings.slices import parse_slice
from batch_processing.settings.values import EnvironmentValues

REPO = Path(__file__).resolve().parent.parent.parent
PIPELINES = ("flights", "flights_daily")
YEAR = "2013-01-01"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the example from the command line, in a fresh folder; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make flights", description=__doc__)
    parser.add_argument("--engine", default="embedded", help="embedded, sc://host:port, or a Spark master")
    parser.add_argument("--folder", type=Path, default=REPO / ".demo" / "flights", help="where everything goes")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s - %(name)s - %(levelname)s - %(message)s")
    folder = options.folder.absolute()
    try:
        engine = _engine(options.engine)
        data = data_folder()
        shutil.rmtree(folder, ignore_errors=True)
        make_database(folder / "aviation.db", folder=data)
        aviation = json.dumps({"conn_type": "sqlite", "host": str(folder / "aviation.db")})
        code = 0
        for result in run_example(folder, engine=engine, aviation=aviation, on_step=_show):
            code = code or result.exit_code
            record = run_record(f"sqlite:///{folder / 'home' / 'control.db'}", result)
            print(f"\n{summary(record, base=REPO)}\n")
    except (BatchError, DataMissingError) as error:
        print(error, file=sys.stderr)
        return error.exit_code if isinstance(error, BatchError) else UsageError.exit_code
    home = os.path.relpath(folder / "home", REPO)
    print(f"Next: BATCH_HOME={home} .venv/bin/batchctl {'report' if code else 'history'}")
    return code


def run_example(
    folder: Path, *, engine: EngineSpec, aviation: str, on_step: Listener | None = None
) -> Iterator[RunResult]:
    """Runs the pipelines one after the other, up to the first that fails.

    Args:
        folder: where Delta tables, warehouse and runs go.
        engine: where Spark jobs run.
        aviation: the connection to the database with planes, airlines and airports, in Airflow's JSON form.
        on_step: told as steps start and end.

    Raises:
        BatchError: a run could not be started.
        DataMissingError: the package with the data is not there.
    """
    data = data_folder()
    for name in PIPELINES:
        with weather_api(data) as weather:
            environ = {**os.environ, **environment(folder, data=data, weather=weather.connection(), aviation=aviation)}
            loaded = load_pipeline(Path(__file__).parent / f"{name}.yml", environ=environ)
            year = parse_slice(YEAR, loaded.spec.schedule)
            values = EnvironmentValues(environ=environ)
            result = run_pipeline(loaded, values=values, slice=year, engine=engine, on_step=on_step)
        yield result
        if result.exit_code:
            return


def environment(folder: Path, *, data: Path, weather: str, aviation: str) -> dict[str, str]:
    """The variables and connections of the example, as environment variables."""
    return {
        "BATCH_HOME": str(folder / "home"),
        "BATCH_VAR_FLIGHTS_PATH": str(data),
        "BATCH_VAR_DELTA_LAKE_PATH": str(folder / "delta"),
        "BATCH_CONTROL_STORE": f"sqlite:///{folder / 'home' / 'control.db'}",
        "AIRFLOW_CONN_AVIATION": aviation,
        "AIRFLOW_CONN_WEATHER_API": weather,
        "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "duckdb", "host": str(folder / "warehouse.duckdb")}),
    }


def _engine(text: str) -> EngineSpec:
    try:
        return EngineSpec.model_validate(parse_engine(text))
    except ValueError as error:
        raise UsageError(str(error), where="--engine") from error


def _show(event: StepEvent) -> None:
    if event.result is not None:
        seconds = event.result.usage.seconds
        print(
            f"  [{event.position:>2}/{event.total}] {event.step:<20} {event.result.outcome.value} {seconds:6.2f} s",
            flush=True,
        )
