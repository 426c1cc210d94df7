"""What a run says at its end: a summary for a person, or one JSON object."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from batch_processing.cli.marks import MARKS, STYLES, words
from batch_processing.control.records import RunRecord
from batch_processing.report.text import duration, number, percent
from batch_processing.results import Outcome, RunResult

_HOPS = (
    ("read", ""),
    ("rejected", "not readable as declared; raw text kept"),
    ("landed", ""),
    ("quarantined", "broke a critical rule; kept with reasons"),
    ("valid", ""),
    ("staged", "after the transform"),
    ("published", ""),
    ("loaded", ""),
)


def run_object(result: RunResult) -> dict[str, Any]:
    """The object of `run --json`."""
    facts: dict[str, Any] = {
        "pipeline": result.pipeline,
        "slice": result.slice.iso,
        "generation": result.generation,
        "run_id": result.run_id,
        "engine": result.engine,
        "outcome": result.outcome.value,
        "score": result.score,
        "rows": asdict(result.rows),
        "delta": {"table": result.table or None, "version": result.version},
        "warehouse": {"table": result.warehouse_table or None},
        "steps": [
            {
                "id": step.step,
                "outcome": step.outcome.value,
                "seconds": step.usage.seconds,
                "peak_rss_mb": step.usage.peak_rss_mb,
            }
            for step in result.steps
        ],
        "report": result.report or None,
    }
    if result.exit_code or result.error:
        facts |= {"error": result.error, "exit_code": result.exit_code}
    return facts


def print_summary(result: RunResult, *, record: RunRecord, folder: Path, log: Path) -> None:
    """Prints the summary on standard output."""
    console = Console(highlight=False, soft_wrap=True)
    style = STYLES[result.outcome]
    console.print(
        f"[bold {style}]{MARKS[result.outcome]} {words(result.outcome)}[/]  [bold]{result.pipeline}[/]", end=""
    )
    console.print(f"  slice {result.slice.iso}, generation {result.generation}, {duration(record.seconds)}\n")
    _print_rows(console, result)
    _print_limits(console, record)
    _print_places(console, result, record=record, folder=folder, log=log)
    if result.error:
        console.print(f"\n{result.error}", style=style, markup=False)
    console.print(f"\nNext: [bold]{next_command(result)}[/]")


def next_command(result: RunResult) -> str:
    """What to type next."""
    if result.outcome.passed:
        return "batchctl history" if _was_published_before(result) else "batchctl report --open"
    return f"batchctl report {result.run_id} --open"


def _print_rows(console: Console, result: RunResult) -> None:
    counts = asdict(result.rows)
    if _was_published_before(result):
        console.print(
            "  This slice was published before: nothing was read again. To make it anew: batchctl reprocess "
            f"--slice {result.slice.iso}\n"
        )
    width = max((len(number(value)) for value in counts.values()), default=0)
    for name, note in _HOPS:
        value = counts[name]
        if value is None:
            continue
        bad = value > 0 and name in ("rejected", "quarantined")
        line = f"  {name:12}{number(value):>{width}}"
        console.print(
            line + (f"   {note}" if note and (bad or name == "staged") else ""), style="yellow" if bad else None
        )
    if result.score is not None:
        console.print(f"  {'score':12}{percent(result.score)}")
    console.print()


def _print_limits(console: Console, record: RunRecord) -> None:
    """The limits that nobody held the data to; what broke one is in the run's error."""
    waiting = [
        f"{found.dataset}: {limit.message}"
        for found in record.quality
        for limit in found.limits
        if limit.state == "not_judged"
    ]
    for text in waiting:
        console.print(f"  limit       {text}", style="yellow", markup=False)
    if waiting:
        console.print()


def _print_places(console: Console, result: RunResult, *, record: RunRecord, folder: Path, log: Path) -> None:
    places: list[tuple[str, str]] = []
    if result.table:
        version = f"  version {result.version}" if result.version is not None else ""
        places.append(("table", result.table + version))
    if result.warehouse_table:
        places.append(("warehouse", f"{result.warehouse_table}  in {result.warehouse_location}"))
    places += [("quarantine", f"{path}  ({name})") for name, path in record.quarantine_tables.items()]
    if result.rows.rejected:
        places.append(("rejects", str(folder / "landed")))
    if result.report:
        places.append(("report", result.report))
    places.append(("log", str(log)))
    for title, place in places:
        console.print(f"  {title:12}{place}", markup=False)


def _was_published_before(result: RunResult) -> bool:
    return result.outcome in (Outcome.PASS, Outcome.PASS_WITH_QUARANTINE) and result.rows.read is None
