"""The transforms of the flights example: one row per flight, and delays per day, airport and carrier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

LATE_FROM = 15
"""Minutes from which the US Department of Transportation counts a flight as late."""


def enrich(_spark: SparkSession, inputs: Mapping[str, DataFrame]) -> DataFrame:
    """Joins each flight with its airline, aircraft, airports and the weather of its scheduled hour.

    All joins are left joins on keys that the suites have made unique: one row per flight comes out. What the other
    source does not have is null, and `plane_known`, `dest_known`, `weather_known` say so.

    Returns:
        One row per flight; `status` is `flown`, `diverted` (left, and did not arrive where it was going) or
        `cancelled` (never left). Delays and air time in minutes, distance in miles, instants in UTC.
    """
    weather = inputs["weather"].select(
        "origin",
        "time_hour",
        *("temp", "wind_speed", "wind_gust", "precip", "pressure", "visib"),
        sf.lit(True).alias("weather_known"),
    )
    joined = (
        inputs["flights"]
        .join(inputs["airlines"].select("carrier", sf.col("name").alias("airline")), on="carrier", how="left")
        .join(_airports(inputs["airports"], "origin"), on="origin", how="left")
        .join(_airports(inputs["airports"], "dest"), on="dest", how="left")
        .join(_planes(inputs["planes"]), on="tailnum", how="left")
        .join(weather, on=["origin", "time_hour"], how="left")
    )
    scheduled = sf.unix_timestamp("time_hour") + sf.col("minute") * sf.lit(60)
    departed = scheduled + sf.col("dep_delay") * sf.lit(60)
    return joined.select(
        "year",
        "month",
        _flight_date().alias("flight_date"),
        *("carrier", "airline", "flight", "tailnum"),
        *("origin", "origin_name", "dest", "dest_name", _known("dest_known")),
        _status().alias("status"),
        sf.timestamp_seconds(scheduled).alias("scheduled_departure"),
        sf.timestamp_seconds(departed).alias("departure"),
        *("dep_delay", "arr_delay"),
        (sf.col("arr_delay") >= sf.lit(LATE_FROM)).alias("arrived_late"),
        *("air_time", "distance"),
        _speed().alias("speed_mph"),
        *("manufacturer", "model", "seats", "engines"),
        (sf.col("year") - sf.col("plane_year")).cast("int").alias("plane_age"),
        _known("plane_known"),
        *("temp", "wind_speed", "wind_gust", "precip", "pressure", "visib"),
        _known("weather_known"),
    )


def daily_delays(_spark: SparkSession, inputs: Mapping[str, DataFrame]) -> DataFrame:
    """Delays per day, airport and carrier, beside that day's weather at the airport.

    Sums and extremes are exact whatever the order of the rows, and means are made of exact sums, so that every
    engine gives the same table.

    Returns:
        One row per day, origin and carrier: counts (flights, flown, diverted, cancelled, departed_late,
        arrived_late), minutes (dep_delay_minutes, arr_delay_minutes, max_arr_delay), means to a tenth of a minute
        over the flights that left or arrived, shares to a ten-thousandth, and the day's weather.
    """
    late = sf.lit(LATE_FROM)
    status = _status()
    groups = inputs["flights"].groupBy("year", "month", "day", "origin", "carrier")
    daily = groups.agg(
        sf.count(sf.lit(1)).alias("flights"),
        *(_count(status == sf.lit(name)).alias(name) for name in ("flown", "diverted", "cancelled")),
        _count(sf.col("dep_delay") >= late).alias("departed_late"),
        _count(sf.col("arr_delay") >= late).alias("arrived_late"),
        sf.sum("dep_delay").alias("dep_delay_minutes"),
        sf.sum("arr_delay").alias("arr_delay_minutes"),
        sf.count("dep_delay").alias("departures"),
        sf.max("arr_delay").alias("max_arr_delay"),
    )
    airlines = inputs["airlines"].select("carrier", sf.col("name").alias("airline"))
    joined = daily.join(airlines, on="carrier", how="left").join(
        _daily_weather(inputs["weather"]), on=["year", "month", "day", "origin"], how="left"
    )
    return joined.select(
        "year",
        "month",
        _flight_date().alias("flight_date"),
        *("origin", "carrier", "airline"),
        *("flights", "flown", "diverted", "cancelled", "departed_late", "arrived_late"),
        *("dep_delay_minutes", "arr_delay_minutes", "max_arr_delay"),
        _ratio("dep_delay_minutes", "departures", per=10).alias("mean_dep_delay"),
        _ratio("arr_delay_minutes", "flown", per=10).alias("mean_arr_delay"),
        _ratio("arrived_late", "flown", per=10_000).alias("late_share"),
        _ratio("cancelled", "flights", per=10_000).alias("cancelled_share"),
        *("precip_total", "wind_speed_max", "visib_min"),
    )


def _airports(airports: DataFrame, end: str) -> DataFrame:
    columns = [sf.col("faa").alias(end), sf.col("name").alias(f"{end}_name")]
    return airports.select(*columns, sf.lit(True).alias(f"{end}_known"))


def _planes(planes: DataFrame) -> DataFrame:
    return planes.select(
        "tailnum",
        sf.col("year").alias("plane_year"),
        *("manufacturer", "model", "seats", "engines"),
        sf.lit(True).alias("plane_known"),
    )


def _daily_weather(weather: DataFrame) -> DataFrame:
    return weather.groupBy("year", "month", "day", "origin").agg(
        sf.sum("precip").cast("decimal(8,2)").alias("precip_total"),
        sf.max("wind_speed").alias("wind_speed_max"),
        sf.min("visib").alias("visib_min"),
    )


def _flight_date() -> Column:
    return sf.make_date(sf.col("year"), sf.col("month"), sf.col("day"))


def _known(column: str) -> Column:
    return sf.coalesce(sf.col(column), sf.lit(False)).alias(column)


def _status() -> Column:
    return (
        sf.when(sf.col("dep_time").isNull(), "cancelled")
        .when(sf.col("arr_delay").isNull(), "diverted")
        .otherwise("flown")
    )


def _count(condition: Column) -> Column:
    return sf.count(sf.when(condition, sf.lit(1)))


def _speed() -> Column:
    """Miles per hour over the time in the air, to the nearest whole; halves go up."""
    return sf.floor(sf.col("distance") * sf.lit(60) / _positive("air_time") + sf.lit(0.5)).cast("int")


def _ratio(part: str, whole: str, *, per: int) -> Column:
    """part / whole to the nearest 1/per; halves go up; null where there is no whole.

    Not `round`, which works on decimal text on Apache Spark and on binary fractions on Sail.
    """
    return sf.floor(sf.col(part) * sf.lit(per) / _positive(whole) + sf.lit(0.5)) / sf.lit(per)


def _positive(column: str) -> Column:
    """The column, or null where dividing by it would be an error on Apache Spark."""
    return sf.when(sf.col(column) > sf.lit(0), sf.col(column))
