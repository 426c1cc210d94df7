"""`make up`: Airflow with its UI on this machine, the project's DAGs loaded, `batch_processor` with input to run on.

BATCH_UI_PORT and BATCH_UI_HOST change where the UI listens (8080 on 127.0.0.1).
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))

from examples.orders.demo import PIPELINE, SEED, environment  # noqa: E402 - after the path is set
from examples.orders.generate import make_input  # noqa: E402
from examples.orders.rates import rates_api  # noqa: E402
from filelock import FileLock, Timeout  # noqa: E402

from batch_processing.airflow_support.local_servers import USER, LocalAirflow  # noqa: E402
from batch_processing.errors import BatchError, TechnicalError, UsageError  # noqa: E402
from batch_processing.settings.loading import load_pipeline  # noqa: E402
from batch_processing.settings.slices import latest_slice  # noqa: E402

HOME = REPO / ".airflow"
DAGS = REPO / "dags"
DAG_IDS = (PIPELINE, "batch_maintenance")
VARIABLE = "AIRFLOW_VAR_"


def main() -> int:
    """Starts everything, waits for Ctrl-C, stops everything; returns the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        HOME.mkdir(exist_ok=True)
        with FileLock(HOME / ".running", timeout=0):
            serve()
    except KeyboardInterrupt:
        return 0
    except Timeout:
        print(f"make up runs already in {HOME}; stop it first", file=sys.stderr)
        return UsageError.exit_code
    except BatchError as error:
        print(f"Airflow is not up. {error}", file=sys.stderr)
        return error.exit_code
    return 0


def serve() -> None:
    """Runs Airflow until Ctrl-C.

    Raises:
        BatchError: the port is taken, or a process of Airflow ended by itself.
    """
    data = HOME / "demo"
    port, host = _port(os.environ.get("BATCH_UI_PORT", "8080")), os.environ.get("BATCH_UI_HOST", "127.0.0.1")
    day = latest_slice(
        load_pipeline(DAGS / "pipelines" / f"{PIPELINE}.yml").spec.schedule, datetime.now(UTC)
    ).start.date()
    with rates_api(seed=SEED, token=secrets.token_urlsafe(16)) as rates:
        demo = environment(data, rates=rates.connection())
        variables = {key.removeprefix(VARIABLE).lower(): text for key, text in demo.items() if key.startswith(VARIABLE)}
        environ = {key: text for key, text in demo.items() if not key.startswith(VARIABLE)}
        config = REPO / "config" / "airflow.cfg"
        airflow = LocalAirflow(HOME, DAGS, port=port, host=host, config=config, environ=environ)
        airflow.check_port()
        _make_input(data, day)
        print("Starting Airflow (API server, scheduler, DAG processor, triggerer) ...", flush=True)
        try:
            with airflow:
                _import_variables(airflow, variables)
                for dag_id in DAG_IDS:
                    _unpause(airflow, dag_id)
                _tell(airflow, day)
                while airflow.running():
                    time.sleep(1)
                raise TechnicalError("a process of Airflow ended", where=str(HOME / "logs"), fix="read the logs there")
        finally:
            print("\nAirflow is stopped.", flush=True)


def _make_input(data: Path, day: date) -> None:
    """The input of the slice that the scheduler runs first; kept if it is there."""
    if not (data / "source" / "orders" / day.isoformat()).is_dir() or not (data / "crm.db").exists():
        make_input(data / "source", crm=data / "crm.db", day=day, seed=SEED)


def _import_variables(airflow: LocalAirflow, demo: dict[str, str]) -> None:
    """Imports config/variables.json; its paths, which are a server's, become the demo's."""
    given = json.loads((REPO / "config" / "variables.json").read_text())
    known = {one["key"] for one in airflow.api("GET", "variables?limit=100")["variables"]}
    for key, value in given.items():
        if key not in known:
            text = demo.get(key, value if isinstance(value, str) else json.dumps(value))
            airflow.api("POST", "variables", {"key": key, "value": text})


def _unpause(airflow: LocalAirflow, dag_id: str) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            airflow.api("PATCH", f"dags/{dag_id}?update_mask=is_paused", {"is_paused": False})
        except TechnicalError as error:
            problems = airflow.api("GET", "importErrors")["import_errors"]
            if problems or time.monotonic() > deadline:
                found = problems[0]["stack_trace"][-1500:] if problems else str(error)
                raise TechnicalError(f"the DAG {dag_id} is not loaded", where=str(DAGS), found=found) from error
            time.sleep(1)
        else:
            return


def _tell(airflow: LocalAirflow, day: date) -> None:
    print(
        f"""
Airflow is up:    {airflow.url}/dags/{PIPELINE}
Log in as:        {USER}   password: {airflow.password}
The first run:    slice {day}, started by the scheduler; its input is in {HOME / "demo" / "source"}
Runs and scores:  BATCH_HOME={os.path.relpath(HOME / "demo" / "home", Path.cwd())} .venv/bin/batchctl history
Upkeep:           {airflow.url}/dags/batch_maintenance, weekly; its trigger form has a dry run
Logs:             {HOME / "logs"}
Stop with Ctrl-C.""",
        flush=True,
    )


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise UsageError("BATCH_UI_PORT is not a port", found=text[:20], fix="give a number from 1 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
