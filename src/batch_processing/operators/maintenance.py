"""Upkeep of the Delta tables: which there are, and the maintenance of one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from batch_processing.errors import UsageError

if TYPE_CHECKING:
    from batch_processing.delta_lake.maintenance import Maintained

LISTED = 100
"""Most removed files that XCom names of each kind; the task's log and the counts have all."""

_LOG = logging.getLogger(__name__)


class ListTablesOperator(BaseOperator):
    """Finds the tables that the pipelines of a folder declare; its XCom is what `MaintainTableOperator` maps over.

    Args:
        pipelines: the folder of the declarations.
    """

    template_fields: Sequence[str] = ()
    ui_color = "#e8f0fe"

    def __init__(self, *, pipelines: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pipelines = pipelines

    def execute(self, context: Mapping[str, Any]) -> list[dict[str, str]]:
        """Reads the declarations as they are now; a path's variables are asked for here."""
        from batch_processing.operators.values import AirflowValues
        from batch_processing.pipeline.declared_tables import declared_tables

        del context
        found = declared_tables(Path(self.pipelines), values=AirflowValues())
        for one in found:
            _LOG.info("%s of %s: %s", one.kind, one.pipeline, one.table or one.problem)
        return [asdict(one) for one in found]


class MaintainTableOperator(BaseOperator):
    """Compacts, cleans and vacuums one table, unless a slice of its pipeline is running.

    Args:
        pipelines: the folder of the declarations; its project's control store knows what is running.
        target: one entry of `ListTablesOperator`'s XCom.
        dry_run: look only.
        retention_hours: how old a file must be to be removed; 168 at least.
    """

    template_fields: Sequence[str] = ("target", "dry_run", "retention_hours")
    ui_color = "#e8eaf6"

    def __init__(
        self,
        *,
        pipelines: str,
        target: Mapping[str, str],
        dry_run: bool | str = False,
        retention_hours: int | str = 168,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pipelines = pipelines
        self.target = target
        self.dry_run = dry_run
        self.retention_hours = retention_hours

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Maintains the table; the XCom is what was done.

        Raises:
            AirflowSkipException: there is no table yet.
            PublishConflict: a slice is running; a retry helps.
            BatchError: it could not be done.
        """
        del context
        table = _known(self.target)
        done = _maintained(
            Path(self.pipelines), table, dry_run=_truth(self.dry_run), retention_hours=int(self.retention_hours)
        )
        return xcom_of(done)


def xcom_of(done: Maintained) -> dict[str, Any]:
    """What was done, with at most `LISTED` files of each kind beside their number."""
    from batch_processing.pipeline.upkeep import maintained_object

    found = maintained_object(done)
    for kind, files in (("vacuumed", done.vacuumed), ("orphans", done.orphans)):
        for file in files:
            _LOG.info("%s: %s, %d bytes, of %s", kind, file.path, file.size, file.changed)
        listed = found[kind]
        found[kind] = {"files": len(files), "listed": listed[:LISTED] if isinstance(listed, list) else []}
    return dict(found)


def _maintained(pipelines: Path, table: str, *, dry_run: bool, retention_hours: int) -> Maintained:
    from batch_processing.control.store import ControlStore
    from batch_processing.pipeline.upkeep import is_table, maintain_table
    from batch_processing.settings.project import find_project

    if not is_table(table):
        raise AirflowSkipException(f"there is no Delta table yet at {table}: no run has written to it")
    project = find_project(pipelines / "pipeline.yml")
    with ControlStore.open(project.control_url) as control:
        return maintain_table(table, control=control, dry_run=dry_run, retention_hours=retention_hours)


def _known(target: Mapping[str, str]) -> str:
    if target["problem"]:
        raise UsageError(
            "the tables of a pipeline are not known, so they are not maintained",
            where=target["pipeline"],
            found=target["problem"],
            fix="correct what it names, then clear this task and list_tables",
        )
    return target["table"]


def _truth(value: bool | str) -> bool:
    """A rendered template is text unless the DAG renders native objects."""
    return value if isinstance(value, bool) else value.strip().lower() == "true"
