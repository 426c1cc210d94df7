"""Rules on flights and airports that compare columns with each other. A value that is missing breaks none of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

from batch_processing.quality.checks import row_check

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

CLOCKS = ("dep_time", "sched_dep_time", "arr_time", "sched_arr_time")
SLOWEST_MPH, FASTEST_MPH = 60, 600
MINUTES_PER_DAY = 1_440


@row_check(columns=CLOCKS)
def clock_times(_df: DataFrame) -> Column:
    """Clock times are written as hours and minutes: 1 to 2400, and never 1760."""
    return _all(_or_missing(sf.col(name).between(1, 2400) & (sf.col(name) % 100 < 60), name) for name in CLOCKS)


@row_check(columns=("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"))
def times_fit_status(_df: DataFrame) -> Column:
    """A flight that never left has no times at all; one that arrived has all of them.

    A cancelled flight is no error: only half a flight is.
    """
    missing = {name: sf.col(name).isNull() for name in ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")}
    cancelled = _all(missing.values())
    left = ~missing["dep_time"] & ~missing["dep_delay"]
    arrived = ~missing["arr_time"] & ~missing["arr_delay"] & ~missing["air_time"]
    diverted = missing["arr_delay"] & missing["air_time"]
    return cancelled | (left & (arrived | diverted))


@row_check(columns=("dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay"))
def delays_add_up(_df: DataFrame) -> Column:
    """Actual time = scheduled time + delay, around midnight too."""
    return _adds_up("dep") & _adds_up("arr")


@row_check(columns=("distance", "air_time"))
def plausible_speed(_df: DataFrame) -> Column:
    """Between 60 and 600 miles per hour over the ground: airliners do neither less nor more for a whole leg."""
    way = sf.col("distance") * 60
    return _or_missing(
        (way >= sf.col("air_time") * SLOWEST_MPH) & (way <= sf.col("air_time") * FASTEST_MPH), "distance", "air_time"
    )


@row_check(columns=("lat", "lon"))
def in_the_united_states(_df: DataFrame) -> Column:
    """West of Greenwich, or in the Aleutian Islands beyond the date line."""
    lat, lon = sf.col("lat"), sf.col("lon")
    western = lat.between(15, 72) & lon.between(-180, -60)
    aleutian = lat.between(50, 56) & lon.between(170, 180)
    return _or_missing(western | aleutian, "lat", "lon")


def _adds_up(end: str) -> Column:
    names = (f"{end}_time", f"sched_{end}_time", f"{end}_delay")
    actual, scheduled, delay = _minutes(names[0]), _minutes(names[1]), sf.col(names[2])
    return _or_missing((actual - scheduled - delay) % MINUTES_PER_DAY == 0, *names)


def _minutes(clock: str) -> Column:
    """Minutes since midnight of a clock time such as 517."""
    hours = ((sf.col(clock) - sf.col(clock) % 100) / 100).cast("int")
    return hours * 60 + sf.col(clock) % 100


def _or_missing(condition: Column, *columns: str) -> Column:
    return reduce(or_, (sf.col(name).isNull() for name in columns)) | condition


def _all(conditions: Iterable[Column]) -> Column:
    return reduce(and_, conditions)
