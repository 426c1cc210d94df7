"""Slices follow the schedule, in UTC, end to end without gap or overlap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_processing.errors import UsageError
from batch_processing.settings.slices import (
    PRESETS,
    latest_slice,
    parse_slice,
    schedule_problem,
    slice_starting,
    slices_between,
    slices_within,
)

NIGHTLY = "0 2 * * *"
SCHEDULES = st.sampled_from([NIGHTLY, "*/7 * * * *", "30 6 * * MON-FRI", "0 0 29 2 *", "15 3 1,15 * *", *PRESETS, None])
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2080, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "schedule", "start", "end"),
    [
        ("2026-11-01", NIGHTLY, utc(2026, 11, 1, 2), utc(2026, 11, 2, 2)),
        ("2026-11-01T02:00", NIGHTLY, utc(2026, 11, 1, 2), utc(2026, 11, 2, 2)),
        ("2026-11-01T02:00:00Z", NIGHTLY, utc(2026, 11, 1, 2), utc(2026, 11, 2, 2)),
        ("2026-11-01T03:00+01:00", NIGHTLY, utc(2026, 11, 1, 2), utc(2026, 11, 2, 2)),
        (" 2026-11-01 ", None, utc(2026, 11, 1), utc(2026, 11, 2)),
        ("2026-11-01", "@hourly", utc(2026, 11, 1), utc(2026, 11, 1, 1)),
        ("2026-11-01", "0 6,18 * * *", utc(2026, 11, 1, 6), utc(2026, 11, 1, 18)),
        ("2026-11-01", "@monthly", utc(2026, 11, 1), utc(2026, 12, 1)),
        ("2026-10-01", "@quarterly", utc(2026, 10, 1), utc(2027, 1, 1)),
        ("2024-02-29", "0 0 29 2 *", utc(2024, 2, 29), utc(2028, 2, 29)),
        ("2026-03-29", NIGHTLY, utc(2026, 3, 29, 2), utc(2026, 3, 30, 2)),
    ],
)
def test_a_text_names_a_slice(text: str, schedule: str | None, start: datetime, end: datetime) -> None:
    found = parse_slice(text, schedule)
    assert (found.start, found.end) == (start, end)
    assert parse_slice(found.iso, schedule) == found


@pytest.mark.parametrize(
    ("text", "schedule", "nearest"),
    [
        ("2026-11-01T03:00", NIGHTLY, "2026-11-01T02:00:00Z and 2026-11-02T02:00:00Z"),
        ("2026-11-01T02:00:01", NIGHTLY, "2026-11-01T02:00:00Z and 2026-11-02T02:00:00Z"),
        ("2026-11-01T02:00:00.5", NIGHTLY, "2026-11-01T02:00:00Z and 2026-11-02T02:00:00Z"),
        ("2026-11-03", "@weekly", "2026-11-01T00:00:00Z and 2026-11-08T00:00:00Z"),
        ("2026-11-01T02:00", None, "2026-11-01T00:00:00Z and 2026-11-02T00:00:00Z"),
    ],
)
def test_a_time_that_starts_no_slice_names_the_nearest_that_do(text: str, schedule: str | None, nearest: str) -> None:
    with pytest.raises(UsageError, match="no slice starts") as caught:
        parse_slice(text, schedule)
    assert nearest in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "today", "2026-13-01", "01.11.2026", "2026-11-01T25:00", "9999-12-31", "0001-01-01", "x" * 9999]
)
def test_a_text_that_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_slice(text, "@yearly")
    assert len(str(caught.value)) < 500


def test_the_latest_slice_is_the_last_complete_one() -> None:
    assert latest_slice(NIGHTLY, utc(2026, 11, 2, 1, 59)).start == utc(2026, 10, 31, 2)
    assert latest_slice(NIGHTLY, utc(2026, 11, 2, 2)).start == utc(2026, 11, 1, 2)
    assert latest_slice(None, utc(2026, 11, 2, 15)).start == utc(2026, 11, 1)
    east = datetime(2026, 11, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    assert latest_slice(NIGHTLY, east).start == utc(2026, 10, 31, 2)


@given(schedule=SCHEDULES, now=MOMENTS)
def test_the_latest_slice_ended_and_the_next_has_not(schedule: str | None, now: datetime) -> None:
    latest = latest_slice(schedule, now)
    assert latest.start < latest.end <= now
    assert slice_starting(latest.start, schedule) == latest
    assert slice_starting(latest.end, schedule).end > now


@given(schedule=SCHEDULES, now=MOMENTS, count=st.integers(1, 20))
def test_slices_between_meet_without_gap(schedule: str | None, now: datetime, count: int) -> None:
    first = last = latest_slice(schedule, now)
    for _ in range(count - 1):
        last = slice_starting(last.end, schedule)
    found = slices_between(first, last, schedule)
    assert len(found) == count
    assert (found[0], found[-1]) == (first, last)
    assert all(earlier.end == later.start for earlier, later in pairwise(found))


def test_slices_between_refuses_turned_or_endless_ranges() -> None:
    old, new = parse_slice("2026-11-01", NIGHTLY), parse_slice("2026-11-05", NIGHTLY)
    assert len(slices_between(old, new, NIGHTLY)) == 5
    with pytest.raises(UsageError, match="before the first"):
        slices_between(new, old, NIGHTLY)
    with pytest.raises(UsageError, match="more than"):
        slices_between(parse_slice("2020-01-01", "* * * * *"), parse_slice("2026-01-01", "* * * * *"), "* * * * *")


@pytest.mark.parametrize(
    "schedule", ["", "@once", "0 2 * * * *", "H 2 * * *", "R(1-5) * * * *", "a b c d e", "0 0 31 4 *"]
)
def test_what_never_fires_or_fires_at_random_is_no_schedule(schedule: str) -> None:
    assert schedule_problem(schedule)
    with pytest.raises(UsageError):
        parse_slice("2026-11-01", schedule)


@given(st.text(max_size=30))
def test_no_text_breaks_the_schedule_check(text: str) -> None:
    schedule_problem(text)


@pytest.mark.parametrize(
    ("first", "last", "schedule", "starts"),
    [
        ("2026-11-01", "2026-11-03", NIGHTLY, [utc(2026, 11, 1, 2), utc(2026, 11, 2, 2), utc(2026, 11, 3, 2)]),
        ("2026-11-01T02:00", "2026-11-01T02:00", NIGHTLY, [utc(2026, 11, 1, 2)]),
        ("2026-11-01T02:01", "2026-11-03T01:59", NIGHTLY, [utc(2026, 11, 2, 2)]),
        ("2026-11-01", "2026-11-01", "0 */8 * * *", [utc(2026, 11, 1), utc(2026, 11, 1, 8), utc(2026, 11, 1, 16)]),
        ("2026-11-01", "2026-11-30", "0 0 * * MON", [utc(2026, 11, day) for day in (2, 9, 16, 23, 30)]),
        ("2026-11-01", "2026-11-02", None, [utc(2026, 11, 1), utc(2026, 11, 2)]),
    ],
)
def test_a_span_holds_every_slice_that_starts_in_it(
    first: str, last: str, schedule: str | None, starts: list[datetime]
) -> None:
    assert [found.start for found in slices_within(first, last, schedule)] == starts


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ("2026-11-02", "2026-11-01", "before the first"),
        ("2026-11-01T03:00", "2026-11-01T04:00", "no slice starts in that time"),
        ("soon", "2026-11-01", "cannot read"),
        ("2026-11-01", "later", "cannot read"),
    ],
)
def test_a_span_without_slices_is_refused(first: str, last: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        slices_within(first, last, NIGHTLY)
