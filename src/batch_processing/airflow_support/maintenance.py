"""Renders the weekly upkeep of all tables of a folder of pipelines into an Airflow DAG."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param

from batch_processing.airflow_support.retries import ErrorTreeRetryPolicy
from batch_processing.operators.maintenance import ListTablesOperator, MaintainTableOperator

FLOOR_HOURS = 168
"""As `delta_lake.maintenance.FLOOR_HOURS`, which no DAG file may import."""

_LOG = logging.getLogger(__name__)
_DOC = """
### {dag_id}

Compacts, checkpoints, cleans and vacuums every Delta table of the pipelines in `{folder}`, their quarantines included.
One mapped task per table: one that fails does not stop the others, and one that does not exist yet is skipped.

A table whose pipeline has a slice running is tried again later. No file younger than 168 hours is removed.
"""


def build_maintenance_dag(
    pipelines: Path | str,
    *,
    dag_id: str = "batch_maintenance",
    schedule: str | None = "0 4 * * 0",
    owner: str = "data_engineer",
) -> DAG:
    """The DAG that maintains the tables of all pipelines in a folder.

    Nothing is looked up here: the declarations are read when the first task runs.

    Args:
        pipelines: the folder of the declarations.
        dag_id: its name.
        schedule: cron, UTC; None for a DAG that is started by hand. Sundays at 04:00 by default.
        owner: shown by Airflow.
    """
    folder = str(Path(pipelines).absolute())
    with DAG(
        dag_id=dag_id,
        description="Weekly upkeep of the Delta tables",
        schedule=None if schedule is None else CronTriggerTimetable(schedule, timezone="UTC"),
        start_date=datetime(2024, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        render_template_as_native_obj=True,
        tags=["maintenance"],
        default_args={
            "owner": owner,
            "retries": 3,
            # Long enough for the slice that is in the way to end.
            "retry_delay": timedelta(hours=1),
            "retry_policy": ErrorTreeRetryPolicy(),
            "on_failure_callback": [UpkeepAlert(folder)],
        },
        params={
            "dry_run": Param(False, type="boolean", title="Dry run", description="Look only; nothing is changed."),
            "retention_hours": Param(
                FLOOR_HOURS, type="integer", minimum=FLOOR_HOURS, title="Retention, hours",
                description="How old a file that no version needs must be to be removed.",
            ),
        },
        doc_md=_DOC.format(dag_id=dag_id, folder=Path(folder).name),
    ) as dag:  # fmt: skip
        tables = ListTablesOperator(task_id="list_tables", pipelines=folder)
        MaintainTableOperator.partial(
            task_id="maintain",
            pipelines=folder,
            dry_run="{{ params.dry_run }}",
            retention_hours="{{ params.retention_hours }}",
            map_index_template="{{ task.target['table'] or task.target['pipeline'] }}",
            # One after the other: compaction takes memory and disk.
            max_active_tis_per_dag=1,
        ).expand(target=tables.output)
    return dag


@dataclass(frozen=True)
class UpkeepAlert:
    """A task callback: tells everyone whom a pipeline of the folder tells of its failures.

    Attributes:
        folder: the folder of the declarations.
    """

    folder: str

    def __repr__(self) -> str:
        return "UpkeepAlert()"

    def __call__(self, context: Mapping[str, Any]) -> None:
        """Tells it. Whatever goes wrong here is logged and changes nothing."""
        try:
            self._tell(context)
        except Exception:  # noqa: BLE001 - a callback tells of a result, it must not change it; logged below
            _LOG.exception("the failure callback of the upkeep did not work")

    def _tell(self, context: Mapping[str, Any]) -> None:
        from batch_processing.alerts.event import AlertEvent
        from batch_processing.alerts.mail import notify_people
        from batch_processing.control.store import ControlStore
        from batch_processing.operators.values import AirflowValues
        from batch_processing.pipeline.declared_tables import alerts_of
        from batch_processing.settings.project import find_project

        ti, run = context["ti"], context["dag_run"]
        part = "" if ti.map_index is None or ti.map_index < 0 else f"[{ti.map_index}]"
        with ControlStore.open(find_project(Path(self.folder) / "pipeline.yml").control_url) as control:
            for alerts in alerts_of(Path(self.folder)):
                event = AlertEvent(
                    kind="failure",
                    run=f"{ti.dag_id}:{run.run_id}:{part}:{alerts.connection}",
                    pipeline=ti.dag_id,
                    slice=str(run.run_after or ""),
                    run_id=run.run_id,
                    step=f"{ti.task_id}{part}",
                    outcome="ERROR",
                    message=str(context.get("exception") or "the task was ended from outside"),
                    next_command=f"airflow dags trigger {ti.dag_id}, once what it names is mended",
                    attempt=max(1, int(ti.try_number)),
                )
                notify_people(event, alerts=alerts, values=AirflowValues(), control=control)
