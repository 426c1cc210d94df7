"""The Delta tables that the pipelines of a folder write: their targets and their quarantines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from batch_processing.control.records import RunKey
from batch_processing.control.store import ControlStore
from batch_processing.errors import BatchError, UsageError
from batch_processing.pipeline.preflight import look_at
from batch_processing.settings.loading import LoadedPipeline, load_pipeline
from batch_processing.settings.models import AlertsSpec
from batch_processing.settings.slices import latest_slice
from batch_processing.settings.values import Values
from batch_processing.storage import local_path

_SUFFIXES = (".yml", ".yaml")


@dataclass(frozen=True)
class DeclaredTable:
    """A table of a pipeline, or why it cannot be told which.

    Attributes:
        pipeline: the pipeline's name; the declaration's file where that cannot be read.
        kind: what the pipeline keeps in it.
        table: root path; "" where `problem` says why it is not known.
        problem: the error's message, or "".
    """

    pipeline: str
    kind: Literal["target", "quarantine"]
    table: str = ""
    problem: str = ""


def declared_tables(folder: Path, *, values: Values, now: datetime | None = None) -> tuple[DeclaredTable, ...]:
    """Each table once, also where several pipelines write it. One wrong declaration does not hide the others.

    A path with a template of the slice is that of the last complete slice.

    Args:
        folder: holds the declarations.
        values: variables that the paths may name.
        now: the moment that the last complete slice is counted from; the clock's by default.

    Raises:
        UsageError: there is no declaration in the folder.
    """
    found: dict[str, DeclaredTable] = {}
    problems: list[DeclaredTable] = []
    for file in pipeline_files(folder):
        name = file.name
        try:
            loaded = load_pipeline(file)
            name = loaded.spec.pipeline
            tables = list(_tables(loaded, values, now or datetime.now(UTC)))
        except BatchError as error:
            problems.append(DeclaredTable(name, "target", problem=str(error)))
            continue
        for table in tables:
            found.setdefault(table.table, table)
    return (*found.values(), *problems)


def pipeline_files(folder: Path) -> tuple[Path, ...]:
    """The declarations in a folder, by name.

    Raises:
        UsageError: there is none.
    """
    found = sorted(path for path in folder.glob("*") if path.suffix in _SUFFIXES and path.is_file())
    if not found:
        raise UsageError("there is no pipeline", where=str(folder), fix="name the folder of the declarations (*.yml)")
    return tuple(found)


def alerts_of(folder: Path) -> tuple[AlertsSpec, ...]:
    """Who is told of failures by the pipelines of a folder: one for each mail connection, with all recipients.

    A declaration that cannot be read is left out: this asks on the way to telling of an error.
    """
    people: dict[str, dict[str, None]] = {}
    for spec in _readable(pipeline_files(folder)):
        if "failure" in spec.on:
            people.setdefault(spec.connection, {}).update(dict.fromkeys(spec.email))
    return tuple(
        AlertsSpec(email=tuple(emails), on=("failure",), connection=name) for name, emails in people.items() if emails
    )


def _readable(files: Iterable[Path]) -> Iterator[AlertsSpec]:
    for file in files:
        try:
            loaded = load_pipeline(file)
        except BatchError:
            continue
        yield loaded.spec.alerts


def _tables(loaded: LoadedPipeline, values: Values, now: datetime) -> Iterator[DeclaredTable]:
    spec = loaded.spec
    with ControlStore.open(loaded.project.control_url) as control:
        key = RunKey(spec.pipeline, latest_slice(spec.schedule, now), 1, "RUN_ID")
        ctx = look_at(loaded, key, values=values, control=control)
        yield DeclaredTable(spec.pipeline, "target", str(local_path(ctx.target_table())))
        for source in spec.validations:
            yield DeclaredTable(spec.pipeline, "quarantine", str(local_path(ctx.quarantine_table(source))))
