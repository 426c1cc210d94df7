"""Reads a DAG folder in a fresh interpreter, as the DAG processor does, and prints what it found as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

EXPORTED = ("DAG", "Asset", "BaseOperator", "BaseSensorOperator", "Connection", "Param", "RetryPolicy", "Variable")


def found(folder: Path) -> dict[str, Any]:
    import airflow.sdk
    import airflow.triggers.base
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.serialization.serialized_objects import DagSerialization

    # Airflow loads what it exports on first use; what is left is ours.
    for name in (
        "DAG",
        "Asset",
        "BaseOperator",
        "BaseSensorOperator",
        "Connection",
        "Param",
        "RetryPolicy",
        "Variable",
    ):
        getattr(airflow.sdk, name)
    before = set(sys.modules)
    bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder")
    loaded = sorted(set(sys.modules) - before)
    return {
        "errors": bag.import_errors,
        "modules": loaded,
        "dags": {
            dag_id: {**_facts(dag), "serialized": json.dumps(DagSerialization.serialize_dag(dag))}
            for dag_id, dag in bag.dags.items()
        },
    }


def _facts(dag: Any) -> dict[str, Any]:
    return {
        "schedule": [type(dag.timetable).__name__, getattr(dag.timetable, "expression", None)],
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "start_date": str(dag.start_date),
        "tasks": {task.task_id: _task(task) for task in dag.topological_sort()},
    }


def _task(task: Any) -> dict[str, Any]:
    given = task.partial_kwargs if task.is_mapped else vars(task)
    return {
        "operator": (task.operator_class if task.is_mapped else type(task)).__name__,
        "upstream": sorted(task.upstream_task_ids),
        "mapped": task.is_mapped,
        "setup": task.is_setup,
        "teardown": task.is_teardown,
        "owner": task.owner,
        "retries": task.retries,
        "retry_delay": task.retry_delay.total_seconds(),
        "depends_on_past": task.depends_on_past,
        "retry_policy": type(given.get("retry_policy")).__name__,
        "callbacks": {
            name: len(given.get(name) or ())
            for name in ("on_failure_callback", "on_retry_callback", "on_success_callback")
        },
        "outlets": [asset.name for asset in task.outlets],
    }


if __name__ == "__main__":
    print(json.dumps(found(Path(sys.argv[1]))))
