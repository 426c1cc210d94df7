"""A run in a few lines that a person can read, from the control store's record."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from batch_processing.control.records import RunRecord
from batch_processing.control.store import ControlStore
from batch_processing.results import Outcome, QualityResult, RunResult

WIDTH = 12


def run_record(control_url: str, result: RunResult) -> RunRecord:
    """A run as the control store knows it.

    Raises:
        ControlStoreError: the store cannot be read.
    """
    with ControlStore.open(control_url) as control:
        return control.run(result.run_id, pipeline=result.pipeline)


def summary(run: RunRecord, *, base: Path) -> str:
    """The run's outcome, its row ledger and where everything is; paths below `base` are shown relative to it."""
    return "\n".join(_lines(run, base))


def _lines(run: RunRecord, base: Path) -> Iterator[str]:
    score = "not scored" if run.score is None else f"score {run.score:.4%}"
    took = "" if run.seconds is None else f", {run.seconds:.0f} s"
    yield f"{run.key.pipeline}, slice {run.key.slice.ds}: {run.outcome.value} ({score}, engine {run.engine}{took})"
    yield ""
    rows = run.rows
    yield _line("read", rows.read, ", ".join(f"{source.source} {source.read:,}" for source in run.sources))
    yield _line(
        "rejected",
        rows.rejected,
        "lines that do not parse; kept with their text in the run's folder" if rows.rejected else "",
    )
    yield _line("quarantined", rows.quarantined, "")
    for quality in run.quality:
        yield from _broken(quality)
    version = "" if run.version is None else f"{_short(run.table, base)}, version {run.version}"
    yield _line("published", rows.published, version)
    loaded = f"table {run.warehouse_table} in {_short(run.warehouse_location, base)}" if run.warehouse_location else ""
    yield _line("loaded", rows.loaded, loaded)
    yield ""
    for source, table in run.quarantine_tables.items():
        yield f"  {'quarantine':<{WIDTH}}{source}: {_short(table, base)}"
    if run.report:
        yield f"  {'report':<{WIDTH}}{_short(run.report, base)}"
    if not run.outcome.passed:
        yield ""
        yield f"  {run.error or 'the run did not end'}"


def _line(name: str, count: int | None, note: str) -> str:
    shown = "-" if count is None else f"{count:,}"
    return f"  {name:<{WIDTH}}{shown:>10}  {note}".rstrip()


def _broken(quality: QualityResult) -> Iterator[str]:
    """The rules of one dataset that rows broke, the ones that only warn marked so."""
    for rule in quality.rules:
        if rule.unexpected_count:
            kept = "" if rule.severity == "critical" else f" ({rule.severity.value}: kept)"
            yield f"  {'':<{WIDTH}}{rule.unexpected_count:>10,}  {quality.dataset}: {rule.rule_id}{kept}"
        elif rule.outcome is not Outcome.PASS:
            yield f"  {'':<{WIDTH}}{'':>10}  {quality.dataset}: {rule.rule_id} {rule.outcome.value} {rule.message}"


def _short(path: str, base: Path) -> str:
    return os.path.relpath(path, base) if Path(path).is_relative_to(base) else path
