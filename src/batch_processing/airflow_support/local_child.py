"""The child process of `local_run`: one DAG file, one run. Reads its order on stdin, writes events to a pipe."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import DAG

_LOG = logging.getLogger(__name__)


class Events:
    """Writes events, one JSON object per line; as an Airflow listener it tells of every task."""

    def __init__(self, descriptor: int) -> None:
        self._sink = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)

    def write(self, **event: Any) -> None:
        self._sink.write(json.dumps(event, default=str) + "\n")

    def listener(self) -> object:
        """The listener that Airflow's plugin manager takes."""
        from airflow.listeners import hookimpl

        write = self.write

        class TaskListener:
            @hookimpl
            def on_task_instance_running(self, previous_state: Any, task_instance: Any) -> None:
                del previous_state
                write(kind="running", task=_name(task_instance))

            @hookimpl
            def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:
                del previous_state
                write(kind="success", task=_name(task_instance))

            @hookimpl
            def on_task_instance_failed(self, previous_state: Any, task_instance: Any, error: Any) -> None:
                del previous_state
                write(kind="failed", task=_name(task_instance), error=str(error) if error else "")

            @hookimpl
            def on_task_instance_skipped(self, previous_state: Any, task_instance: Any) -> None:
                del previous_state
                write(kind="skipped", task=_name(task_instance))

        return TaskListener()


def main(descriptor: int, order: dict[str, Any]) -> int:
    """Runs the order; 0 where the run was made, whatever its state."""
    events = Events(descriptor)
    _make_metadata()
    file = Path(order["dag_file"])
    dag = _load(file, order["dag_id"], events)
    if dag is None:
        return 2
    _without_retries(dag)
    from airflow.sdk.listener import get_listener_manager

    get_listener_manager().add_listener(events.listener())
    conf = order["conf"] or None
    run = dag.test(logical_date=_logical_date(dag, order), run_conf=conf)
    events.write(kind="end", state=str(run.state.value), run_id=run.run_id)
    return 0


def _make_metadata() -> None:
    """Makes Airflow's tables where they are not there; a file of an older release is brought up to date."""
    from airflow.utils.db import initdb

    initdb()


def _load(file: Path, dag_id: str | None, events: Events) -> DAG | None:
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(dag_folder=str(file), bundle_path=file.parent, bundle_name="dags-folder", safe_mode=False)
    if bag.import_errors:
        text = "\n".join(bag.import_errors.values())
        events.write(
            kind="usage",
            what="the DAG file cannot be imported",
            where=str(file),
            found=text[-2000:],
            fix="mend what it names",
        )
        return None
    if dag_id is None and len(bag.dags) == 1:
        return next(iter(bag.dags.values()))
    found: DAG | None = bag.dags.get(dag_id or "")
    if found is None:
        events.write(
            kind="usage", what=f"no DAG {dag_id!r} in the file" if dag_id else "the file has not exactly one DAG",
            where=str(file), found=", ".join(bag.dags) or "none", fix="name one of its DAGs",
        )  # fmt: skip
    return found


def _without_retries(dag: DAG) -> None:
    for task in dag.tasks:
        if task.is_mapped:
            task.partial_kwargs["retries"] = 0
        else:
            task.retries = 0


def _logical_date(dag: DAG, order: dict[str, Any]) -> datetime:
    """The date whose run has the asked slice as data interval: a cron timetable takes the last interval before it."""
    if order["logical_date"]:
        moment = datetime.fromisoformat(order["logical_date"])
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not order["slice"]:
        return datetime.now(UTC)
    from batch_processing.settings.slices import parse_slice

    schedule = getattr(dag.timetable, "expression", None)
    found = parse_slice(order["slice"], schedule)
    return found.end if schedule else found.start


def _name(task_instance: Any) -> str:
    index = task_instance.map_index
    return task_instance.task_id if index is None or index < 0 else f"{task_instance.task_id}[{index}]"


if __name__ == "__main__":
    _code = main(int(sys.argv[1]), json.load(sys.stdin))
    logging.shutdown()
    sys.stdout.flush()
    # The threads of Airflow's in-process API would hold up an ordinary exit for several seconds.
    os._exit(_code)
