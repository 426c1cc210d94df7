"""`batchctl ledger`: every row of a run, hop by hop, and whether the hops hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batch_processing.cli.console import output_console
from batch_processing.cli.failure import TECHNICAL
from batch_processing.cli.json_output import write_json
from batch_processing.cli.marks import MARKS, words
from batch_processing.cli.places import current_project, declaration_of, values_for
from batch_processing.cli.stores import looking_back
from batch_processing.control.records import RunRecord
from batch_processing.errors import DeclarationError
from batch_processing.pipeline.hops import Hop, hops_of
from batch_processing.pipeline.manifests import Manifests
from batch_processing.pipeline.verification import later_runs, verify_run
from batch_processing.settings.loading import load_pipeline
from batch_processing.settings.models import PipelineSpec
from batch_processing.settings.project import Project

_SIGNS: dict[bool | None, tuple[str, str]] = {True: ("✓", "green"), False: ("✗", "red"), None: ("·", "dim")}


def ledger_command(
    run_id: str | None, *, pipeline: str | None, verify: bool, settings: Sequence[str], as_json: bool
) -> int:
    """Shows the ledger and returns 0 where every hop holds, 3 where one breaks.

    Raises:
        UsageError: no such run.
        BatchError: the store, a table or the warehouse cannot be read.
    """
    project = current_project()
    with looking_back(project) as control:
        record = control.run(run_id, pipeline=pipeline)
        later = later_runs(record, control)
    spec = _declared(record.key.pipeline, project, needed=verify)
    loads = spec is not None and spec.warehouse is not None
    hops = hops_of(record, preserved=_preserved(spec), loads=loads, later=later)
    verified = _verified(record, later, spec, project, settings) if verify else ()
    broken = [hop for hop in (*hops, *verified) if hop.holds is False]
    code = TECHNICAL if broken else 0
    if as_json:
        document = ledger_object(record, hops, verified if verify else None, exit_code=code)
        write_json(document)
        return code
    console = output_console()
    _print_head(console, record)
    _print_hops(console, "Ledger", hops)
    if verify:
        _print_hops(console, "Files and tables", verified)
    if broken:
        console.print(f"The row ledger breaks at {', '.join(hop.name for hop in broken)}.", style="red", markup=False)
    elif not verify:
        console.print("To count again in files and tables: [bold]batchctl ledger --verify[/]")
    return code


def _verified(
    record: RunRecord,
    later: Sequence[RunRecord],
    spec: PipelineSpec | None,
    project: Project,
    settings: Sequence[str],
) -> tuple[Hop, ...]:
    key = record.key
    manifests = Manifests.of_run(project.run_folder(key.pipeline, key.slice, key.generation, key.run_id))
    return verify_run(record, later=later, spec=spec, values=values_for(project, settings), manifests=manifests)


def _declared(pipeline: str, project: Project, *, needed: bool) -> PipelineSpec | None:
    """The pipeline's declaration as it is now; None where it is not here, or is broken and not needed."""
    file = declaration_of(pipeline, project)
    try:
        return load_pipeline(file).spec if file is not None else None
    except DeclarationError:
        if needed:
            raise
        return None


def _preserved(spec: PipelineSpec | None) -> str | None:
    return next(iter(spec.sources)) if spec is not None and spec.transform.preserves_rows else None


def ledger_object(
    record: RunRecord, hops: Sequence[Hop], verified: Sequence[Hop] | None, *, exit_code: int
) -> dict[str, Any]:
    """The object of `ledger --json`; `verified` is null with `--no-verify`."""
    return {
        "pipeline": record.key.pipeline,
        "slice": record.key.slice.iso,
        "generation": record.key.generation,
        "run_id": record.key.run_id,
        "outcome": record.outcome.value,
        "hops": [_hop_object(hop) for hop in hops],
        "verified": None if verified is None else [_hop_object(hop) for hop in verified],
        "exit_code": exit_code,
    }


def _hop_object(hop: Hop) -> dict[str, Any]:
    return {
        "hop": hop.name,
        "into": dict(hop.into),
        "out": dict(hop.out),
        "holds": hop.holds,
        "equation": hop.equation,
        "note": hop.note,
    }


def _print_head(console: Console, record: RunRecord) -> None:
    key = record.key
    text = f"{key.pipeline}  slice {key.slice.iso}, generation {key.generation}, run {key.run_id}"
    console.print(f"{MARKS[record.outcome]} {words(record.outcome)}  {text}\n", markup=False, soft_wrap=True)


def _print_hops(console: Console, title: str, hops: Sequence[Hop]) -> None:
    console.print(title, style="bold")
    if not hops:
        console.print("  the run left nothing to count\n", style="dim")
        return
    table = Table.grid(padding=(0, 3, 0, 0))
    for hop in hops:
        sign, style = _SIGNS[hop.holds]
        table.add_row(Text(f"  {sign}", style=style), Text(hop.name), Text(hop.equation), Text(hop.note, style="dim"))
    console.print(table)
    console.print()
