"""`batchctl maintain`: a table's upkeep, and what it removed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_processing.cli.console import output_console
from batch_processing.cli.json_output import write_json
from batch_processing.cli.places import current_project
from batch_processing.cli.stores import has_store
from batch_processing.control.store import ControlStore
from batch_processing.pipeline.upkeep import maintain_table, maintained_object
from batch_processing.report.text import moment, number, size

if TYPE_CHECKING:
    from batch_processing.delta_lake.maintenance import Maintained, RemovedFile

_SHOWN = 20


@dataclass(frozen=True)
class MaintainRequest:
    """What the command line asks for; see `pipeline.upkeep.maintain_table`."""

    table: str
    dry_run: bool = False
    force: bool = False
    compact_appended: bool = False
    as_json: bool = False


def maintain_command(request: MaintainRequest) -> int:
    """Maintains the table.

    Raises:
        BatchError: a run goes on, or it could not be done.
    """
    with _store() as control:
        done = maintain_table(
            request.table,
            control=control,
            dry_run=request.dry_run,
            force=request.force,
            compact_appended=request.compact_appended,
        )
    if request.as_json:
        write_json(maintained_object(done))
    else:
        _print(done)
    return 0


@contextmanager
def _store() -> Iterator[ControlStore | None]:
    project = current_project()
    if not has_store(project):
        yield None
        return
    with ControlStore.open(project.control_url) as control:
        yield control


def _print(done: Maintained) -> None:
    console = output_console()
    console.print(f"{done.table}  version {done.version}", markup=False, soft_wrap=True)
    would = "would be " if done.dry_run else ""
    lines = [
        ("compacted", _compacted(done)),
        ("checkpoint", f"{would}written" if done.checkpoint else "there already"),
        ("log", "cleaned beyond the log's retention" if done.dry_run else f"{number(done.log_files)} files removed"),
        ("vacuum", f"{number(len(done.vacuumed))} files of earlier versions {would}removed"),
        ("orphans", f"{number(len(done.orphans))} staged files never published {would}removed"),
        ("freed", f"{size(done.freed)}{' could be' if done.dry_run else ''}"),
    ]
    for title, text in lines:
        console.print(f"  {title:12}{text}", markup=False, soft_wrap=True)
    _print_files("vacuum", done.vacuumed)
    _print_files("orphan", done.orphans)
    if done.dry_run:
        console.print("Nothing was changed.")


def _compacted(done: Maintained) -> str:
    if done.not_compacted:
        return f"left out: {done.not_compacted}"
    if done.compacted_into is None:
        return f"{number(done.small_files)} small files would be rewritten"
    return f"{number(done.small_files)} small files rewritten into {number(done.compacted_into)}"


def _print_files(title: str, files: tuple[RemovedFile, ...]) -> None:
    console = output_console()
    for file in files[:_SHOWN]:
        line = f"  {title:12}{file.path}  {size(file.size)}, {moment(file.changed)}"
        console.print(line, markup=False, soft_wrap=True)
    if len(files) > _SHOWN:
        console.print(f"  {title:12}and {number(len(files) - _SHOWN)} more; --json lists all")
