"""Box "Data Extraction": a deferrable sensor for files, and the operator that lands a source as typed Parquet."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator

from batch_processing.errors import BatchError, TechnicalError
from batch_processing.operators.run_facts import run_facts
from batch_processing.operators.step import Declared, StepOperator, opened_run, run_step
from batch_processing.operators.trigger import FilesTrigger, Seen, files_to_json, to_json
from batch_processing.pipeline.plan import PlanStep
from batch_processing.settings.models import FilesSpec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from batch_processing.results import FileFact

_NO_TIME = timedelta(0)

INLINE_SECONDS = 5.0
"""Longest time between two looks for which a task slot is held; a longer wait is the triggerer's."""

_LOG = logging.getLogger(__name__)


class FilesSensor(BaseSensorOperator):
    """Waits until a source's files are complete, without holding a task slot, and records them.

    Its XCom is the list of part numbers that the mapped extraction expands over; the step's facts are under the key
    `summary`.

    Args:
        declared: the pipeline.
        step: the plan's step.
        pattern: the declaration's path, a template of the project (rendered by the project, not by Airflow).
    """

    template_fields: Sequence[str] = ()
    ui_color = "#e6f1f2"

    def __init__(self, *, declared: Declared, step: PlanStep, pattern: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.declared = declared
        self.step = step
        self.pattern = pattern

    def execute(self, context: Mapping[str, Any]) -> list[int]:
        """Looks twice; where the files are not complete, leaves the waiting to the trigger."""
        facts = run_facts(context, schedule=self.declared.loaded.spec.schedule)
        spec = self._files()
        try:
            with opened_run(self.declared, facts) as run:
                pattern = run.place(self.pattern)
            paths, seen = _look_now(pattern, spec)
        except BatchError:
            _LOG.info("run %s slice %s: cannot look for files", facts.run_id, facts.slice)
            return self._finish(context, run_step(self._out_of_time(), self.step, context))
        if paths:
            return self._record(context, paths)
        _LOG.info("run %s slice %s: waiting for %s", facts.run_id, facts.slice, pattern)
        self.defer(
            trigger=FilesTrigger(
                pattern=pattern,
                files=files_to_json(spec),
                seen=to_json(seen),
                deadline=time.time() + spec.timeout.total_seconds(),
            ),
            method_name="execute_complete",
        )
        return []

    def execute_complete(self, context: Mapping[str, Any], event: Mapping[str, Any]) -> list[int]:
        """Goes on with what the trigger found.

        Raises:
            SourceMissing: the files were not complete in time.
        """
        if event["ready"]:
            return self._record(context, event["paths"])
        _LOG.warning("no complete files in time: %s", event["why"])
        return self._finish(context, run_step(self._out_of_time(), self.step, context))

    def _record(self, context: Mapping[str, Any], paths: Sequence[str]) -> list[int]:
        return self._finish(context, run_step(self.declared, self.step, context, files=_facts(paths)))

    def _finish(self, context: Mapping[str, Any], xcom: dict[str, Any]) -> list[int]:
        context["ti"].xcom_push(key="summary", value=xcom)
        return list(range(int(xcom.get("summary", {}).get("parts", 1))))

    def _files(self) -> FilesSpec:
        files = self.declared.loaded.spec.sources[self.step.source].files
        if files is None:
            raise TechnicalError(f"source {self.step.source} is not read from files", where=self.step.id)
        return files

    def _out_of_time(self) -> Declared:
        """The pipeline with no time left for this source: the step then says what is missing, and stores it."""
        loaded = self.declared.loaded
        source = loaded.spec.sources[self.step.source]
        late = source.model_copy(update={"files": self._files().model_copy(update={"timeout": _NO_TIME})})
        spec = loaded.spec.model_copy(update={"sources": {**loaded.spec.sources, self.step.source: late}})
        return Declared(replace(loaded, spec=spec))


class ExtractOperator(StepOperator):
    """Lands one source, or one part of it, as typed Parquet with its rejects beside it."""

    ui_color = "#d7ecf5"


def extract_data(
    spark: SparkSession,
    path: str,
    *,
    schema: Mapping[str, str],
    format: str = "csv",
    folder: Path | None = None,
) -> DataFrame:
    """Lands files and gives their typed rows.

    Args:
        spark: a Spark Connect session that sees the same file system.
        path: path or glob.
        schema: column -> type, as in a declaration.
        format: `csv`, `jsonl` or `parquet`.
        folder: where the landed Parquet goes; a new temporary folder by default.

    Returns:
        The landed rows: the declared columns, `_source_file` (string), `_source_row` (bigint, from 1).

    Raises:
        SourceMissing: no file matches.
        SourceSchemaError: a file has other columns.
        SourceUnreadable: a file is damaged.
    """
    import tempfile

    from batch_processing.settings.models import SourceSpec
    from batch_processing.sources.files import extract_files, wait_for_files

    source = SourceSpec.model_validate(
        {"files": {"path": path, "format": format, "ready": "exists", "timeout": 0}, "schema": dict(schema)}
    )
    if source.files is None:
        raise TechnicalError("files were asked for and none are declared", where=path)
    landing = folder or Path(tempfile.mkdtemp(prefix="landed-"))
    landed = extract_files(wait_for_files(path, source.files), source="data", spec=source, folder=landing)
    if not landed.files:
        fields = [f"`{name}` {kind}" for name, kind in source.columns.items()]
        return spark.createDataFrame([], ", ".join([*fields, "_source_file string", "_source_row bigint"]))
    return spark.read.parquet(*landed.files)


def _look_now(pattern: str, spec: FilesSpec) -> tuple[list[str], Seen]:
    from batch_processing.sources.files import look_for_files

    look = look_for_files(pattern, spec, previous=None)
    pause = spec.poke.total_seconds()
    if not look.ready and look.seen and pause <= INLINE_SECONDS:
        time.sleep(pause)
        look = look_for_files(pattern, spec, previous=look.seen)
    return (sorted(look.seen) if look.ready else []), look.seen


def _facts(paths: Sequence[str]) -> tuple[FileFact, ...]:
    from batch_processing.sources.files import file_facts

    return file_facts(paths)
