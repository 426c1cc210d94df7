"""The steps as a timeline: one row per step, its mapped parts side by side on it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from batch_processing.results import Outcome, StepResult

_PART = re.compile(r"\[\d+\]$")
_WORST_FIRST = (Outcome.ERROR, Outcome.FAIL, Outcome.RUNNING, Outcome.PASS_WITH_QUARANTINE, Outcome.PASS)
_LEAST_PERCENT = 0.4


@dataclass(frozen=True)
class Segment:
    """One part's time on the row: `left` and `width` in percent of the whole."""

    left: float
    width: float
    outcome: Outcome


@dataclass(frozen=True)
class StepRow:
    """One step, its parts summed: `seconds` from first start to last end where known, else the longest part's."""

    name: str
    outcome: Outcome
    segments: tuple[Segment, ...]
    parts: int
    seconds: float
    cpu_seconds: float
    peak_rss_mb: float
    attempts: int
    reused: bool
    errors: tuple[str, ...]


@dataclass(frozen=True)
class Timeline:
    """All rows, and the time they span."""

    rows: tuple[StepRow, ...]
    seconds: float


def timeline(steps: Sequence[StepResult], *, now: datetime | None = None) -> Timeline:
    """Lays steps out in time.

    Args:
        steps: last attempt of each step or part, in the order they started.
        now: end of what is still running; without it the latest time known.
    """
    times = [t for step in steps for t in (step.started_at, step.ended_at) if t is not None]
    first, last = (min(times), max(times)) if times else (None, None)
    if last is not None and now is not None and any(step.outcome is Outcome.RUNNING for step in steps):
        last = max(last, now)
    span = max((last - first).total_seconds(), 0.001) if first and last else 0.0
    groups: dict[str, list[StepResult]] = {}
    for step in steps:
        groups.setdefault(_PART.sub("", step.step), []).append(step)
    rows = tuple(_row(name, parts, first=first, last=last, span=span) for name, parts in groups.items())
    return Timeline(rows, span)


def _row(
    name: str, parts: Sequence[StepResult], *, first: datetime | None, last: datetime | None, span: float
) -> StepRow:
    segments = tuple(s for part in parts if (s := _segment(part, first=first, last=last, span=span)) is not None)
    return StepRow(
        name=name,
        outcome=min((part.outcome for part in parts), key=_WORST_FIRST.index),
        segments=segments,
        parts=len(parts),
        seconds=_seconds(parts),
        cpu_seconds=sum(part.usage.cpu_seconds for part in parts),
        peak_rss_mb=max(part.usage.peak_rss_mb for part in parts),
        attempts=max(part.attempt for part in parts),
        reused=all(part.reused for part in parts),
        errors=tuple(dict.fromkeys(part.error for part in parts if part.error)),
    )


def _seconds(parts: Sequence[StepResult]) -> float:
    longest = max(part.usage.seconds for part in parts)
    starts = [part.started_at for part in parts if part.started_at]
    ends = [part.ended_at for part in parts if part.ended_at]
    if len(parts) == 1 or not starts or not ends:
        return longest
    return max(longest, (max(ends) - min(starts)).total_seconds())


def _segment(part: StepResult, *, first: datetime | None, last: datetime | None, span: float) -> Segment | None:
    if part.started_at is None or first is None or last is None:
        return None
    end = part.ended_at
    if end is None:
        end = last if part.outcome is Outcome.RUNNING else part.started_at + timedelta(seconds=part.usage.seconds)
    left = min(100 * (part.started_at - first).total_seconds() / span, 100 - _LEAST_PERCENT)
    width = max(100 * (end - part.started_at).total_seconds() / span, _LEAST_PERCENT)
    return Segment(round(left, 3), round(min(width, 100 - left), 3), part.outcome)
