"""`batchctl quarantine ls | show | export`: the rows that broke a critical rule, with their reasons."""

from __future__ import annotations

import difflib
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table
from rich.text import Text

from batch_processing.cli.console import output_console
from batch_processing.cli.json_output import write_json
from batch_processing.cli.places import current_project
from batch_processing.cli.stores import has_store
from batch_processing.control.store import ControlStore
from batch_processing.delta_lake.quarantine import (
    Chosen,
    QuarantineTable,
    export_rows,
    read_rows,
    slice_counts,
    table_facts,
)
from batch_processing.errors import UsageError
from batch_processing.report.text import number
from batch_processing.settings.project import Project

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_RUNS = 20
_NONE = "nothing is quarantined"


@dataclass(frozen=True)
class QuarantineFilter:
    """Which rows: each None is all of them; `slice_text` is a day or a start, as written."""

    pipeline: str | None = None
    source: str | None = None
    slice_text: str | None = None
    rule: str | None = None

    @property
    def chosen(self) -> Chosen:
        """The part that looks into the rows.

        Raises:
            UsageError: the slice is not a date.
        """
        return Chosen(_slice_prefix(self.slice_text) if self.slice_text is not None else None, self.rule)


def ls_command(wanted: QuarantineFilter, *, as_json: bool) -> int:
    """Lists tables, slices, rows and rules.

    Raises:
        BatchError: a table cannot be read, or a filter that names nothing.
    """
    chosen = wanted.chosen
    tables = [(table, slice_counts(table, chosen)) for table in _tables(wanted, may_be_none=True)]
    if as_json:
        write_json({"tables": [table_facts(*pair) for pair in tables if pair[1]]})
        return 0
    console = output_console()
    if not any(counts for _, counts in tables):
        console.print(_NONE + (" that fits" if wanted != QuarantineFilter() else ""))
        return 0
    for table, counts in tables:
        if not counts:
            continue
        console.print(f"{table.pipeline} / {table.source}", style="bold", markup=False, end="")
        console.print(f"  {table.path}", style="dim", markup=False, soft_wrap=True)
        lines = Table("  Slice", "Rows", "Rules broken", box=None, pad_edge=False, padding=(0, 3, 0, 0))
        lines.columns[1].justify = "right"
        for found in counts:
            rules = ", ".join(f"{rule} {number(count)}" for rule, count in found.rules.items())
            lines.add_row(Text(f"  {found.slice}"), number(found.rows), Text(rules))
        console.print(lines)
        console.print()
    return 0


def show_command(wanted: QuarantineFilter, *, limit: int, raw: bool) -> int:
    """Shows rows, values masked unless `raw`.

    Raises:
        BatchError: nothing is quarantined at all, or a table cannot be read.
    """
    chosen = wanted.chosen
    console = output_console()
    for table in _tables(wanted):
        rows = read_rows(table, chosen, limit=limit, raw=raw)
        total = sum(found.rows for found in slice_counts(table, chosen))
        title = f"{table.pipeline} / {table.source}: {number(rows.num_rows)} of {number(total)} rows"
        console.print(title, style="bold", markup=False)
        if not total:
            console.print("  nothing fits; batchctl quarantine ls lists the slices and rules")
        for position, row in enumerate(rows.to_pylist(), 1):
            console.print(f"  row {position}", style="dim")
            for item in rows.schema:
                kind = (item.metadata or {}).get(b"type", b"").decode()
                value = "null" if row[item.name] is None else row[item.name]
                console.print(f"    {item.name} ({kind}): {value}", markup=False, soft_wrap=True)
        if not raw and rows.num_rows:
            console.print("Values are masked; --raw shows them.")
        console.print()
    return 0


def export_command(file: Path, wanted: QuarantineFilter, *, raw: bool) -> int:
    """Writes rows of one table into a file, values masked unless `raw`.

    Raises:
        BatchError: several tables fit, another suffix, or the file cannot be written.
    """
    chosen = wanted.chosen
    tables = _tables(wanted)
    if len(tables) > 1:
        raise UsageError(
            "several quarantine tables fit, and each has its own columns",
            found=", ".join(f"{table.pipeline} / {table.source}" for table in tables),
            fix="name one with --pipeline and --source",
        )
    if wanted.rule is not None:
        _require_rule(wanted.rule, tables[0])
    count = export_rows(tables[0], chosen, file=file.absolute(), raw=raw)
    masked = "" if raw else ", values masked"
    sys.stdout.write(f"{number(count)} rows in {file}{masked}\n")
    return 0


def _require_rule(rule: str, table: QuarantineTable) -> None:
    """Refuses a rule that no row broke and no run judged: a file without rows would look like good news.

    Raises:
        UsageError: no such rule.
    """
    known = {name for counts in slice_counts(table, Chosen(None, None)) for name in counts.rules}
    project = current_project()
    if rule not in known and has_store(project):
        with ControlStore.open(project.control_url) as control:
            runs = control.history(pipeline=table.pipeline, limit=_RUNS)
        known |= {found.rule_id for run in runs for verdict in run.quality for found in verdict.rules}
    if rule not in known:
        close = difflib.get_close_matches(rule, known, n=1, cutoff=0.5)
        raise UsageError(
            f"there is no rule {rule}",
            where=f"{table.pipeline} / {table.source}",
            found=f"the rules {', '.join(sorted(known))}",
            fix=f"name one of them, as {close[0]}" if close else "name one of them",
        )


def _tables(wanted: QuarantineFilter, *, may_be_none: bool = False) -> list[QuarantineTable]:
    """The tables that fit pipeline and source.

    Raises:
        UsageError: there are tables and none fits; or there are none and some are needed.
    """
    project = current_project()
    known = _known(project)
    if not known:
        if may_be_none:
            return []
        raise UsageError(_NONE, where=str(project.root), fix="batchctl history shows what ran in this project")
    fitting = [
        table for table in known if wanted.pipeline in (None, table.pipeline) and wanted.source in (None, table.source)
    ]
    if not fitting:
        asked = " / ".join(name for name in (wanted.pipeline, wanted.source) if name is not None)
        names = [f"{table.pipeline} / {table.source}" for table in known]
        near = difflib.get_close_matches(asked, names, n=3, cutoff=0.3) or names[:5]
        raise UsageError(
            f"no quarantine table of {asked}", found=f"there are: {', '.join(near)}", fix="name one of them"
        )
    return fitting


def _known(project: Project) -> list[QuarantineTable]:
    """Tables that the control store knows, and those in the project's own quarantine folder; only those that exist."""
    found: dict[str, QuarantineTable] = {}
    if has_store(project):
        with ControlStore.open(project.control_url) as control:
            found = {
                path: QuarantineTable(pipeline, source, path) for pipeline, source, path in control.quarantine_tables()
            }
    for log in sorted((project.home / "quarantine").glob("*/*/_delta_log")):
        path = log.parent
        found.setdefault(str(path), QuarantineTable(path.parent.name, path.name, str(path)))
    there = [table for table in found.values() if (Path(table.path) / "_delta_log").is_dir()]
    return sorted(there, key=lambda table: (table.pipeline, table.source, table.path))


def _slice_prefix(text: str) -> str:
    cleaned = text.strip()
    try:
        moment = datetime.fromisoformat(cleaned)
    except ValueError as error:
        raise UsageError(
            "cannot read a slice",
            found=repr(text[:80]),
            fix="write a day as 2026-11-01, or a start in UTC as 2026-11-01T02:00Z",
        ) from error
    if _DAY.fullmatch(cleaned):
        return f"{cleaned}T"
    utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return utc.strftime("%Y-%m-%dT%H:%M:%SZ")
