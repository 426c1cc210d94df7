"""Slices of a schedule: from a text, from the clock, and between two of them. All times are UTC.

A slice starts at a firing of the schedule and ends at the next one, as Airflow's data intervals do.
A pipeline without a schedule has one slice per UTC day.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from croniter import croniter

from batch_processing.errors import UsageError
from batch_processing.results import Slice

PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""Names for common schedules."""

MOST_SLICES = 100_000
"""Most slices that `slices_between` gives; more is taken for a mistake in the dates."""

_DAILY = PRESETS["@daily"]
_FIELDS = 5
_FIRST_YEAR, _LAST_YEAR = 1970, 2099
_DAY = re.compile(r"\d{4}-?\d{2}-?\d{2}")
_RANDOM = re.compile(r"(?:^|[\s,])[rRhH](?=$|[\s,/(])")
_PROBE = datetime(2024, 1, 1, tzinfo=UTC)


def schedule_problem(text: str) -> str | None:
    """What is wrong with a schedule, or None where nothing is."""
    valid = f"valid: five cron fields (minute hour day month weekday) as '0 2 * * *', or one of {', '.join(PRESETS)}"
    if text.startswith("@"):
        return None if text in PRESETS else f"unknown preset {text!r}; {valid}"
    if _RANDOM.search(text):
        return f"{text[:80]!r} fires at random times; {valid}"
    if len(text.split()) != _FIELDS:
        return f"a cron expression has five fields, found {len(text.split())} in {text[:80]!r}; {valid}"
    try:
        croniter(text, _PROBE).get_next(datetime)
    except (ValueError, KeyError, OverflowError, TypeError) as error:
        # croniter's own errors are ValueErrors; the rest leak from it on odd fields.
        return f"{text[:80]!r} is not a schedule that ever fires ({error}); {valid}"
    return None


def parse_slice(text: str, schedule: str | None) -> Slice:
    """Reads a slice as a person writes it.

    Args:
        text: `2026-11-01` (the first slice that starts on that UTC day), or a start as
            `2026-11-01T02:00`, with seconds, with `Z` or an offset.
        schedule: cron expression or preset; None for one slice per UTC day.

    Raises:
        UsageError: not a date, or not a start of the schedule; the nearest starts are named.
    """
    wanted, whole_day = _read(text)
    if whole_day:
        first = _first_from(wanted, schedule)
        if first.date() == wanted.date():
            return slice_starting(first, schedule)
        raise _not_a_start(wanted, schedule, text=text, what="no slice starts on that day")
    return slice_starting(wanted, schedule)


def slice_starting(start: datetime, schedule: str | None) -> Slice:
    """The slice that starts at an instant.

    Raises:
        UsageError: the schedule does not fire then; the nearest starts are named.
    """
    instant = _utc(start)
    if _first_from(instant, schedule) != instant:
        raise _not_a_start(instant, schedule, text=_iso(instant), what="no slice starts at that time")
    return Slice(start=instant, end=_next(instant, schedule))


def latest_slice(schedule: str | None, now: datetime) -> Slice:
    """The last slice that is complete at `now`: the newest whose end is not after it."""
    end = _last_until(_utc(now), schedule)
    return Slice(start=_last_until(end - timedelta(seconds=1), schedule), end=end)


def slices_between(first: Slice, last: Slice, schedule: str | None) -> tuple[Slice, ...]:
    """All slices from `first` to `last`, both included, oldest first.

    Raises:
        UsageError: `last` is before `first`, or there are more than `MOST_SLICES`.
    """
    if last.start < first.start:
        raise UsageError(
            "the last slice is before the first",
            found=f"{first.iso} to {last.iso}",
            fix="give the older slice first",
        )
    starts: list[datetime] = []
    for start in _starts(first.start, schedule):
        starts.append(start)
        if start > last.start:
            break
        if len(starts) > MOST_SLICES:
            raise UsageError(f"more than {MOST_SLICES} slices", found=f"{first.iso} to {last.iso}", fix="give fewer")
    return tuple(Slice(start=start, end=end) for start, end in pairwise(starts))


def slices_within(first: str, last: str, schedule: str | None) -> tuple[Slice, ...]:
    """All slices that start from `first` to `last`, both included, oldest first.

    Args:
        first: `2026-11-01`, or a time as `2026-11-01T02:00`; it need not be a start of the schedule.
        last: the same; a date stands for its whole day.
        schedule: cron expression or preset; None for one slice per UTC day.

    Raises:
        UsageError: not dates, the last before the first, no slice between them, or more than `MOST_SLICES`.
    """
    lower, _ = _read(first)
    moment, whole_day = _read(last)
    upper = moment.replace(hour=23, minute=59, second=59) if whole_day else moment
    if upper < lower:
        raise UsageError(
            "the last slice is before the first", found=f"{first[:80]} to {last[:80]}", fix="give the older one first"
        )
    begin = _first_from(lower, schedule)
    if begin > upper:
        raise _not_a_start(lower, schedule, text=f"{first} to {last}", what="no slice starts in that time")
    end = _last_until(upper, schedule)
    return slices_between(slice_starting(begin, schedule), slice_starting(end, schedule), schedule)


def _read(text: str) -> tuple[datetime, bool]:
    cleaned = text.strip()
    try:
        moment = _utc(datetime.fromisoformat(cleaned))
    except (ValueError, OverflowError) as error:
        raise _unreadable(text) from error
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise _unreadable(text)
    return moment, _DAY.fullmatch(cleaned) is not None


def _unreadable(text: str) -> UsageError:
    return UsageError(
        "cannot read a slice",
        found=repr(text[:80]),
        fix="write a date as 2026-11-01, or a start in UTC as 2026-11-01T02:00Z, from 1970 to 2099",
    )


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _cron(schedule: str | None) -> str:
    if schedule is None:
        return _DAILY
    if problem := schedule_problem(schedule):
        raise UsageError("the schedule is not valid", found=problem, fix="correct `schedule` in the declaration")
    return PRESETS.get(schedule, schedule)


def _ticker(schedule: str | None, moment: datetime) -> croniter:
    return croniter(_cron(schedule), moment)


def _next(moment: datetime, schedule: str | None) -> datetime:
    return _fire(_ticker(schedule, moment), forward=True)


def _first_from(moment: datetime, schedule: str | None) -> datetime:
    """The first firing at or after a moment (croniter's is strictly after)."""
    if moment.microsecond:
        return _next(moment, schedule)
    return _next(moment - timedelta(seconds=1), schedule)


def _last_until(moment: datetime, schedule: str | None) -> datetime:
    """The last firing at or before a moment."""
    return _fire(_ticker(schedule, moment.replace(microsecond=0) + timedelta(seconds=1)), forward=False)


def _starts(first: datetime, schedule: str | None) -> Iterator[datetime]:
    ticker = _ticker(schedule, first)
    yield first
    while True:
        yield _fire(ticker, forward=True)


def _fire(ticker: croniter, *, forward: bool) -> datetime:
    try:
        moment: datetime = ticker.get_next(datetime) if forward else ticker.get_prev(datetime)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            "the schedule has no slice there", found=str(error), fix="give a date between 1970 and 2099"
        ) from error
    return _utc(moment)


def _not_a_start(moment: datetime, schedule: str | None, *, text: str, what: str) -> UsageError:
    before, after = _last_until(moment, schedule), _next(moment, schedule)
    return UsageError(
        what,
        where=f"schedule {schedule or 'none: one slice per UTC day'}",
        found=text[:80],
        fix=f"the nearest starts are {_iso(before)} and {_iso(after)}",
    )
