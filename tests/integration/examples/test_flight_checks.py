"""The flights example's own rules: what they let through and what they stop, on both engines."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "flights"
TIMES = (
    "dep_time int, sched_dep_time int, dep_delay int, arr_time int, sched_arr_time int, arr_delay int, air_time int,"
    " distance int"
)
FLOWN = (517, 515, 2, 830, 819, 11, 227, 1_400)
CANCELLED = (None, 1_630, None, None, 1_815, None, None, 1_400)
DIVERTED = (1_525, 1_530, -5, 1_934, 1_805, None, None, 1_400)
NOT_ARRIVED = (1_525, 1_530, -5, None, 1_805, None, None, 1_400)


@pytest.fixture(scope="module")
def checks() -> Iterator[Any]:
    sys.path.insert(0, str(EXAMPLE))
    yield import_module("flight_checks")
    sys.path.remove(str(EXAMPLE))


def verdict(spark: Any, check: Any, row: tuple[Any, ...], columns: str = TIMES) -> bool:
    frame = spark.createDataFrame([row], columns)
    (found,) = frame.select(check(frame).alias("good")).collect()
    assert found["good"] is not None
    return bool(found["good"])


def changed(row: tuple[Any, ...], **values: int | None) -> tuple[Any, ...]:
    names = [part.split()[0] for part in TIMES.split(", ")]
    return tuple(values.get(name, value) for name, value in zip(names, row, strict=True))


@pytest.mark.parametrize(
    "row", [FLOWN, CANCELLED, DIVERTED, NOT_ARRIVED], ids=["flown", "cancelled", "diverted", "lost"]
)
@pytest.mark.parametrize("name", ["clock_times", "times_fit_status", "delays_add_up", "plausible_speed"])
def test_what_happens_to_flights_breaks_no_rule(spark: Any, checks: Any, name: str, row: tuple[Any, ...]) -> None:
    assert verdict(spark, getattr(checks, name), row)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("clock_times", changed(FLOWN, dep_time=1_760)),
        ("clock_times", changed(FLOWN, arr_time=2_401)),
        ("clock_times", changed(FLOWN, sched_dep_time=0)),
        ("times_fit_status", changed(CANCELLED, air_time=10)),
        ("times_fit_status", changed(FLOWN, dep_delay=None)),
        ("times_fit_status", changed(FLOWN, air_time=None)),
        ("delays_add_up", changed(FLOWN, dep_delay=3)),
        ("delays_add_up", changed(FLOWN, arr_delay=-11)),
        ("plausible_speed", changed(FLOWN, air_time=139)),
        ("plausible_speed", changed(FLOWN, air_time=1_401)),
    ],
)
def test_a_flight_that_cannot_have_been_is_stopped(spark: Any, checks: Any, name: str, row: tuple[Any, ...]) -> None:
    assert not verdict(spark, getattr(checks, name), row)


@pytest.mark.parametrize(
    ("actual", "scheduled", "delay"), [(2_400, 2_359, 1), (5, 2_350, 15), (2_355, 5, -10), (517, 515, 1_442)]
)
def test_delays_add_up_across_midnight(spark: Any, checks: Any, actual: int, scheduled: int, delay: int) -> None:
    row = changed(FLOWN, dep_time=actual, sched_dep_time=scheduled, dep_delay=delay)
    assert verdict(spark, checks.delays_add_up, row)


@pytest.mark.parametrize(
    ("lat", "lon", "good"),
    [
        (40.64, -73.78, True),
        (19.72, -155.05, True),
        (52.71, 174.11, True),
        (72.27, 42.90, False),
        (None, None, True),
    ],
    ids=["New York", "Hawaii", "Aleutians", "Keene, with latitude and longitude swapped", "no position"],
)
def test_airports_are_in_the_united_states(
    spark: Any, checks: Any, lat: float | None, lon: float | None, good: bool
) -> None:
    assert verdict(spark, checks.in_the_united_states, (lat, lon), "lat double, lon double") is good
