"""How a run is shown while it goes on: a live list on a terminal, plain lines elsewhere. Always on standard error."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from batch_processing.cli.marks import MARKS, STYLES
from batch_processing.pipeline.plan import Plan
from batch_processing.pipeline.runner import StepEvent
from batch_processing.report.text import duration
from batch_processing.results import Outcome, StepResult

_PART = re.compile(r"\[\d+\]$")
_NOTES = ("files", "read", "rejected", "landed", "quarantined", "valid", "checks", "staged", "published", "loaded")
_ADDED = ("files", "read", "rejected", "landed")


@contextmanager
def progress(plan: Plan, *, plain: bool = False) -> Iterator[Callable[[StepEvent], None]]:
    """Gives a listener for `run_pipeline`.

    Args:
        plan: the steps to come.
        plain: lines also on a terminal, where other lines are written between them: the log's own, waits among them.
    """
    console = Console(stderr=True, highlight=False)
    if plain or not console.is_terminal or console.is_dumb_terminal:
        with nullcontext() if plain else _waits_shown(console):
            yield _Lines(console).listen
        return
    board = Board(plan)
    with Live(board, console=console, refresh_per_second=10, transient=True), _waits_shown(console):
        yield board.listen
    console.print(board.still())


class _Waits(logging.Handler):
    """Shows what a step waits for: log lines with `waiting` in their `extra`. All others go to the log alone."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "waiting", False):
            self._console.print(record.getMessage(), markup=False, soft_wrap=True)


@contextmanager
def _waits_shown(console: Console) -> Iterator[None]:
    handler = _Waits(console)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def step_note(summary: dict[str, object]) -> str:
    """The counts of a step's summary in a few words: `landed 1,200, quarantined 27`."""
    found = [(name, summary[name]) for name in _NOTES if isinstance(summary.get(name), int)]
    found = [(name, value) for name, value in found if value or name != "files"]
    if {"read", "landed"} <= summary.keys() and summary["read"] == summary["landed"]:
        found = [(name, value) for name, value in found if name not in ("read", "rejected")]
    notes = [f"{name} {value:,}" for name, value in found]
    if isinstance(summary.get("version"), int):
        notes.append(f"version {summary['version']}")
    if summary.get("already"):
        notes.append("was there already")
    return ", ".join(notes)


class _Lines:
    """One line per start and per end."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def listen(self, event: StepEvent) -> None:
        place = f"[{event.position}/{event.total}] {event.step}"
        if event.kind == "start":
            self._say(f"{place} started")
            return
        if event.result is None:
            self._say(f"{place} ended")
            return
        result, note = event.result, step_note(event.result.summary)
        self._say(
            f"{place} {result.outcome.value} in {duration(result.usage.seconds)}" + (f" ({note})" if note else "")
        )

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)


@dataclass
class _Row:
    """One step on the board; mapped parts are added up."""

    started: float | None = None
    seconds: float = 0.0
    outcome: Outcome | None = None
    summary: dict[str, object] | None = None
    parts: int = 0


class Board:
    """The live list: every step of the plan with its mark, time and counts."""

    def __init__(self, plan: Plan, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rows = {step.id: _Row() for step in plan.steps}
        self._clock = clock
        self._spinner = Spinner("dots", style=STYLES[Outcome.RUNNING])

    def listen(self, event: StepEvent) -> None:
        """Takes an event of the run."""
        row = self._rows.setdefault(_PART.sub("", event.step), _Row())
        if event.kind == "start":
            row.started, row.outcome = self._clock(), None
            row.parts += 1
        elif event.result is not None:
            self._finish(row, event.result)

    def _finish(self, row: _Row, result: StepResult) -> None:
        before, row.summary = row.summary or {}, dict(result.summary)
        for name in _ADDED:
            earlier, now = before.get(name), row.summary.get(name)
            if row.parts > 1 and isinstance(earlier, int) and isinstance(now, int):
                row.summary[name] = earlier + now
        row.seconds += result.usage.seconds
        row.started, row.outcome = None, result.outcome

    def __rich__(self) -> RenderableType:
        return self._table(live=True)

    def still(self) -> RenderableType:
        """The list as it stays on the screen after the run."""
        return Group(self._table(live=False), Text())

    def _table(self, *, live: bool) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column()
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(overflow="fold", style="dim")
        for name, row in self._rows.items():
            if row.started is not None and live:
                elapsed = row.seconds + self._clock() - row.started
                table.add_row(self._spinner, Text(name), duration(elapsed), "")
            elif row.outcome is not None:
                mark = Text(MARKS[row.outcome], style=STYLES[row.outcome])
                table.add_row(mark, Text(name), duration(row.seconds), step_note(row.summary or {}))
            else:
                table.add_row(Text("·", style="dim"), Text(name, style="dim"), "", "")
        return table
