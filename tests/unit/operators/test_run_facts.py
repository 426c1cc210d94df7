"""Which run a task belongs to, from Airflow's context."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from batch_processing.errors import UsageError
from batch_processing.operators.run_facts import run_facts

DAILY = "0 2 * * *"
START, END = datetime(2026, 11, 1, 2, tzinfo=UTC), datetime(2026, 11, 2, 2, tzinfo=UTC)


def _context(*, params: dict[str, Any] | None = None, try_number: int = 1, **dag_run: Any) -> dict[str, Any]:
    facts = {
        "run_id": "run-1",
        "conf": None,
        "data_interval_start": None,
        "data_interval_end": None,
        "logical_date": None,
        "run_after": datetime(2026, 11, 3, 5, tzinfo=UTC),
        **dag_run,
    }
    return {"dag_run": SimpleNamespace(**facts), "ti": SimpleNamespace(try_number=try_number), "params": params or {}}


def test_a_scheduled_run_is_for_its_data_interval() -> None:
    facts = run_facts(_context(data_interval_start=START, data_interval_end=END, try_number=3), schedule=DAILY)

    assert (facts.slice.start, facts.slice.end) == (START, END)
    assert (facts.run_id, facts.attempt, facts.generation) == ("run-1", 3, None)


def test_a_data_interval_of_another_zone_is_the_same_slice() -> None:
    berlin = timezone(timedelta(hours=1))
    facts = run_facts(
        _context(data_interval_start=START.astimezone(berlin), data_interval_end=END.astimezone(berlin)), schedule=DAILY
    )

    assert facts.slice.iso == "2026-11-01T02:00:00Z"
    assert facts.slice.start.tzinfo is UTC


@pytest.mark.parametrize("schedule", [DAILY, None])
@pytest.mark.parametrize(("early", "late"), [(7200, 7200), (0, 60), (86_400, 0), (1, 1)])
def test_a_manual_run_of_an_interval_that_is_no_slice_is_refused(schedule: str | None, early: int, late: int) -> None:
    """It would be published beside the slices that its rows are in."""
    first = START if schedule else START.replace(hour=0)
    given = {
        "data_interval_start": first - timedelta(seconds=early),
        "data_interval_end": first + timedelta(days=1) - timedelta(seconds=late),
    }
    with pytest.raises(UsageError, match=r"not one of the schedule.*2026-1[01]-\d\dT.*configuration names the slice"):
        run_facts(_context(run_type="manual", **given), schedule=schedule)
    assert run_facts(_context(run_type="scheduled", **given), schedule=schedule).slice.end == given["data_interval_end"]


def test_a_manual_run_of_a_slice_is_for_it() -> None:
    given = {"data_interval_start": START, "data_interval_end": END}
    assert run_facts(_context(run_type="manual", **given), schedule=DAILY).slice.start == START
    asked = _context(run_type="manual", conf={"slice": "2026-11-02"}, **given)
    assert run_facts(asked, schedule=DAILY).slice.start == END


def test_a_run_without_a_logical_date_is_for_the_last_complete_slice() -> None:
    facts = run_facts(_context(), schedule=DAILY)

    assert facts.slice.iso == "2026-11-02T02:00:00Z"


def test_a_run_without_a_schedule_is_for_its_day() -> None:
    moment = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
    facts = run_facts(
        _context(logical_date=moment, data_interval_start=moment, data_interval_end=moment), schedule=None
    )

    assert (facts.slice.start, facts.slice.end) == (
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 2, tzinfo=UTC),
    )


@pytest.mark.parametrize("place", ["conf", "params"])
def test_the_run_configuration_can_name_slice_and_generation(place: str) -> None:
    asked = {"slice": "2026-10-05", "generation": 2}
    facts = run_facts(_context(data_interval_start=START, data_interval_end=END, **{place: asked}), schedule=DAILY)

    assert facts.slice.iso == "2026-10-05T02:00:00Z"
    assert facts.generation == 2


def test_empty_parameters_ask_for_nothing() -> None:
    facts = run_facts(
        _context(data_interval_start=START, data_interval_end=END, params={"slice": None, "generation": None}),
        schedule=DAILY,
    )

    assert facts.slice.start == START
    assert facts.generation is None


@pytest.mark.parametrize("asked", [0, -1, "two", 1.5])
def test_a_generation_that_is_no_whole_number_is_refused(asked: object) -> None:
    with pytest.raises(UsageError, match="generation"):
        run_facts(_context(conf={"generation": asked}), schedule=DAILY)


def test_a_slice_that_is_no_start_of_the_schedule_is_refused() -> None:
    with pytest.raises(UsageError, match="nearest starts"):
        run_facts(_context(conf={"slice": "2026-11-01T05:00Z"}), schedule=DAILY)
