"""`batchctl backfill`: every slice of the schedule in a span of time, in any order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batch_processing.cli.console import output_console
from batch_processing.cli.json_output import write_json
from batch_processing.cli.marks import MARKS, STYLES
from batch_processing.cli.places import pipeline_file, values_for
from batch_processing.cli.running import chosen_engine
from batch_processing.cli.workers import WorkerEnd, run_slices
from batch_processing.control.records import RunKey
from batch_processing.control.store import ControlStore
from batch_processing.errors import UsageError
from batch_processing.pipeline.preflight import check_can_start, look_at
from batch_processing.report.text import duration, number, percent
from batch_processing.results import Outcome, Slice
from batch_processing.settings.loading import LoadedPipeline, load_pipeline
from batch_processing.settings.slices import slices_within
from batch_processing.settings.values import Values

if TYPE_CHECKING:
    from batch_processing.warehouse.ledger import Loads

PUBLISHED, ROWS_REMOVED, NOT_OVER, NOT_RUN = "PUBLISHED", "ROWS_REMOVED", "NOT_OVER", "NOT_RUN"
"""Why a slice was not run: it is published; it is, and another tool removed rows of it; it ends in the future; Ctrl-C
came first.
"""

_WORDS = {
    PUBLISHED: "skipped: published",
    ROWS_REMOVED: "skipped: published, then another tool removed rows of it from the table",
    NOT_OVER: "skipped: not over yet",
    NOT_RUN: "not run",
}


@dataclass(frozen=True)
class BackfillRequest:
    """What the command line asks for.

    Attributes:
        pipeline: file or folder; None for the only one here.
        first: oldest slice, as written; `last` the newest.
        settings: `key=value` texts.
        engine: short form, instead of the declared engine.
        jobs: processes at once.
        newest_first: the order.
        as_json: one JSON object instead of the table.
    """

    first: str
    last: str
    pipeline: Path | None = None
    settings: tuple[str, ...] = ()
    engine: str | None = None
    jobs: int = 1
    newest_first: bool = False
    as_json: bool = False


@dataclass
class Backfill:
    """The slices with what became of each; a slice without an entry in `ends` was not run."""

    slices: tuple[Slice, ...]
    skipped: dict[Slice, str] = field(default_factory=dict)
    ends: dict[Slice, WorkerEnd] = field(default_factory=dict)

    @property
    def to_run(self) -> list[Slice]:
        return [wanted for wanted in self.slices if wanted not in self.skipped]

    @property
    def exit_code(self) -> int:
        """The worst of the slices: 3 before 2 before 1 before 0."""
        return max((end.exit_code for end in self.ends.values()), default=0)

    def outcome(self, wanted: Slice) -> str:
        """The run's outcome, or why there was none."""
        end = self.ends.get(wanted)
        if end is None:
            return self.skipped.get(wanted, NOT_RUN)
        return str(end.facts.get("outcome") or Outcome.ERROR.value)


def backfill_command(request: BackfillRequest) -> int:
    """Runs what is not published yet and returns the worst exit code of the slices.

    Raises:
        BatchError: nothing could be started.
        KeyboardInterrupt: Ctrl-C; the runs going on were interrupted and have ended.
    """
    loaded = load_pipeline(pipeline_file(request.pipeline))
    slices = slices_within(request.first, request.last, loaded.spec.schedule)
    values = values_for(loaded.project, request.settings)
    backfill = Backfill(tuple(reversed(slices)) if request.newest_first else slices)
    backfill.skipped = _skipped(loaded, backfill.slices, values, request)
    if backfill.to_run:
        _check(loaded, backfill.to_run[0], values, request)
    started = datetime.now(UTC)
    try:
        _run(loaded, backfill, request)
    except KeyboardInterrupt:
        if not request.as_json:
            _print(loaded, backfill, started)
        raise
    if request.as_json:
        write_json(backfill_object(loaded.spec.pipeline, backfill))
    else:
        _print(loaded, backfill, started)
    return backfill.exit_code


def backfill_object(pipeline: str, backfill: Backfill) -> dict[str, Any]:
    """The object of `backfill --json`; each slice has the keys of `run --json` beside its own."""
    slices = []
    for wanted in backfill.slices:
        end = backfill.ends.get(wanted)
        facts = {"slice": wanted.iso, "outcome": backfill.outcome(wanted), "skipped": wanted in backfill.skipped}
        if end is not None:
            facts = {**end.facts, **facts, "seconds": round(end.seconds, 3), "exit_code": end.exit_code}
        slices.append(facts)
    return {
        "pipeline": pipeline,
        "slices": slices,
        "run": len(backfill.ends),
        "passed": sum(not end.exit_code for end in backfill.ends.values()),
        "skipped": len(backfill.skipped),
        "exit_code": backfill.exit_code,
    }


def _skipped(
    loaded: LoadedPipeline, slices: Sequence[Slice], values: Values, request: BackfillRequest
) -> dict[Slice, str]:
    now = datetime.now(UTC)
    skipped = {wanted: NOT_OVER for wanted in slices if wanted.end > now}
    if len(skipped) == len(slices):
        raise UsageError(
            "no slice in that time is over yet",
            where=f"schedule {loaded.spec.schedule or 'none: one slice per UTC day'}",
            found=f"{request.first} to {request.last}",
            fix="give an earlier time; the slice that goes on now is run by: batchctl run --slice",
        )
    loads = cache(lambda: _loads(loaded, values))
    with ControlStore.open(loaded.project.control_url) as control:
        for wanted in slices:
            if wanted not in skipped and (why := _done(loaded, wanted, values, control, loads)):
                skipped[wanted] = why
    return skipped


def _loads(loaded: LoadedPipeline, values: Values) -> Loads | None:
    """What the warehouse table holds; None for a pipeline without a warehouse."""
    from batch_processing.warehouse.ledger import table_loads

    warehouse = loaded.spec.warehouse
    return table_loads(values.connection(warehouse.connection), table=warehouse.table) if warehouse else None


def _done(
    loaded: LoadedPipeline, wanted: Slice, values: Values, control: ControlStore, loads: Callable[[], Loads | None]
) -> str:
    """Why the slice is left alone: the table holds its generation, a run of it went through to the end, and the
    warehouse still has it. "" where it is to be run.
    """
    from batch_processing.delta_lake.log import open_table, recorded_generation
    from batch_processing.delta_lake.publish import find_published
    from batch_processing.pipeline.whole import known_remains
    from batch_processing.storage import local_path

    pipeline = loaded.spec.pipeline
    generation = control.current_generation(pipeline, wanted)
    passed = [run for run in control.runs_of_slice(pipeline, wanted, generation) if run.outcome.passed]
    if not passed:
        return ""
    ctx = look_at(loaded, RunKey(pipeline, wanted, generation, "RUN_ID"), values=values, control=control)
    table = open_table(local_path(ctx.target_table()))
    if table is None or recorded_generation(table, ctx.app_id) != generation:
        return ""
    held, table_id = loads(), str(table.metadata().id)
    if held is not None and held.generations.get((pipeline, wanted.start, table_id), 0) < generation:
        # A slice that was overwritten before it was loaded has nothing left to load.
        overwrites = loaded.spec.target.mode == "overwrite"
        versions = [run.version for run in passed if overwrites and run.version is not None]
        if not any(held.newest.get(table_id, -1) > one for one in versions):
            return ""
    published = find_published(ctx.target_table(), app_id=ctx.app_id, generation=generation)
    remains = known_remains(published) if published is not None else None
    return ROWS_REMOVED if remains is not None and remains.missing else PUBLISHED


def _check(loaded: LoadedPipeline, wanted: Slice, values: Values, request: BackfillRequest) -> None:
    """What every slice would fail with is said once, before the first one."""
    engine = chosen_engine(request.engine)
    with ControlStore.open(loaded.project.control_url) as control:
        key = RunKey(loaded.spec.pipeline, wanted, 1, "RUN_ID")
        check_can_start(look_at(loaded, key, values=values, control=control, engine=engine))


def _run(loaded: LoadedPipeline, backfill: Backfill, request: BackfillRequest) -> None:
    console = Console(stderr=True, highlight=False)
    total = len(backfill.slices)
    places = {wanted: f"[{position}/{total}] {wanted.iso}" for position, wanted in enumerate(backfill.slices, 1)}

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    def ended(end: WorkerEnd) -> None:
        backfill.ends[end.slice] = end
        error = str(end.facts.get("error") or "").splitlines()
        note = f": {error[0]}" if error else ""
        say(f"{places[end.slice]} {backfill.outcome(end.slice)} in {duration(end.seconds)}{note}")

    for wanted, why in backfill.skipped.items():
        say(f"{places[wanted]} {_WORDS[why]}")
    arguments = [str(loaded.file), *(part for text in request.settings for part in ("--set", text))]
    if request.engine is not None:
        arguments += ["--engine", request.engine]
    run_slices(
        backfill.to_run,
        arguments=arguments,
        jobs=request.jobs,
        on_start=lambda wanted: say(f"{places[wanted]} started"),
        on_end=ended,
    )


def _print(loaded: LoadedPipeline, backfill: Backfill, started: datetime) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for title in ("Slice", "Outcome", "Gen"):
        table.add_column(title, no_wrap=True)
    for title in ("Time", "Score", "Published", "Quarantined"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("Run or error", overflow="fold")
    for wanted in backfill.slices:
        table.add_row(*_row(backfill, wanted))
    console = output_console()
    console.print(table)
    codes = [end.exit_code for end in backfill.ends.values()]
    left = len(backfill.to_run) - len(codes)
    seconds = (datetime.now(UTC) - started).total_seconds()
    console.print(
        f"\n{loaded.spec.pipeline}: {len(codes)} run in {duration(seconds)}, {codes.count(0)} passed, "
        f"{len(codes) - codes.count(0)} failed, {len(backfill.skipped)} skipped" + (f", {left} not run" if left else "")
    )
    if ROWS_REMOVED in backfill.skipped.values():
        console.print("Rows that were removed come back by: batchctl reprocess --slice, once for each such slice")
    if left or any(codes):
        console.print("Next: the same command again; what is published is skipped")


def _row(backfill: Backfill, wanted: Slice) -> list[str | Text]:
    end = backfill.ends.get(wanted)
    if end is None:
        why = backfill.outcome(wanted)
        return [wanted.iso, Text(_WORDS[why], style="yellow" if why == ROWS_REMOVED else "dim")]
    outcome = Outcome(backfill.outcome(wanted))
    facts, rows = end.facts, end.facts.get("rows") or {}
    error = str(facts.get("error") or "").splitlines()
    return [
        wanted.iso,
        Text(f"{MARKS[outcome]} {outcome.value.replace('_', ' ')}", style=STYLES[outcome]),
        str(facts.get("generation") or ""),
        duration(end.seconds),
        percent(facts.get("score")),
        number(rows.get("published")),
        number(rows.get("quarantined")),
        Text(error[0] if error else str(facts.get("run_id") or "")),
    ]
