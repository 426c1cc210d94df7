"""The transform of the pipeline `batch_processor`: orders, with their customer and in euros."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

from batch_processing.errors import UsageError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

SIZE_BANDS = ((50, "small"), (250, "medium"), (1_000, "large"))
"""Upper limits in EUR, exclusive, and the band below each; what is above them all is `extra_large`."""

HOME_CURRENCY = "EUR"


def transform(spark: SparkSession, inputs: Mapping[str, DataFrame], *, batch_date: str) -> DataFrame:
    """Joins a day's orders with their customers and that day's currency rates.

    Every order stays, once: both joins are left joins, and the suites of customers and rates let no key through
    twice. An order of an unknown customer has `customer_known` false, segment and country `unknown`; one in a
    currency without a rate has no amount in EUR, which the output suite refuses.

    Args:
        spark: the session that the inputs belong to.
        inputs: `orders` (id, customer_id, ordered_at, exported_at, channel, currency, items, amount, note),
            `customers` (id, name, segment, country, registered_on), `rates` (currency, rate_date, eur_per_unit).
        batch_date: the slice's day, as 2026-11-01; the partition the rows are published in.

    Returns:
        One row per order: id bigint, batch_date date, ordered_at timestamp, order_date date, order_hour int,
        weekday int (1 is Monday), weekday_name string, is_weekend boolean, days_late int, customer_id bigint,
        customer_known boolean, customer_segment string, customer_country string, customer_age_days int,
        channel string, currency string, items int, amount decimal(12,2), eur_per_unit decimal(18,8),
        amount_eur decimal(14,2), order_size string, note string.

    Raises:
        UsageError: `batch_date` is not a day.
    """
    day = sf.lit(_day(batch_date))
    orders = inputs["orders"].drop("_source_file", "_source_row")
    joined = orders.join(_customers(inputs["customers"]), on="customer_id", how="left").join(
        _rates(spark, inputs["rates"]), on="currency", how="left"
    )
    order_date = sf.to_date("ordered_at")
    weekday = _iso_weekday(order_date)
    amount_eur = (sf.col("amount") * sf.col("eur_per_unit")).cast("decimal(14,2)")
    return joined.select(
        "id",
        day.alias("batch_date"),
        "ordered_at",
        order_date.alias("order_date"),
        sf.hour("ordered_at").alias("order_hour"),
        weekday.alias("weekday"),
        sf.date_format(order_date, "EEEE").alias("weekday_name"),
        (weekday >= sf.lit(6)).alias("is_weekend"),
        _days_between(order_date, day).alias("days_late"),
        "customer_id",
        sf.coalesce(sf.col("customer_known"), sf.lit(False)).alias("customer_known"),
        sf.coalesce(sf.col("segment"), sf.lit("unknown")).alias("customer_segment"),
        sf.coalesce(sf.col("country"), sf.lit("unknown")).alias("customer_country"),
        _days_between(sf.col("registered_on"), order_date).alias("customer_age_days"),
        "channel",
        "currency",
        "items",
        "amount",
        "eur_per_unit",
        amount_eur.alias("amount_eur"),
        _size_band(amount_eur).alias("order_size"),
        "note",
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            "batch_date is not a day",
            where="transform.params.batch_date",
            found=text,
            fix='declare batch_date: "{{ ds }}"',
        ) from error


def _customers(customers: DataFrame) -> DataFrame:
    """Columns customer_id, segment, country, registered_on, customer_known."""
    return customers.select(
        sf.col("id").alias("customer_id"), "segment", "country", "registered_on", sf.lit(True).alias("customer_known")
    )


def _rates(spark: SparkSession, rates: DataFrame) -> DataFrame:
    """Columns currency and eur_per_unit. The home currency is 1, whatever the API says or leaves out."""
    home = spark.createDataFrame([(HOME_CURRENCY,)], "currency string").select(
        "currency", sf.lit(1).cast("decimal(18,8)").alias("eur_per_unit")
    )
    others = rates.where(sf.col("currency") != HOME_CURRENCY).select(
        "currency", sf.col("eur_per_unit").cast("decimal(18,8)").alias("eur_per_unit")
    )
    return others.unionByName(home)


def _iso_weekday(day: Column) -> Column:
    """1 for Monday to 7 for Sunday. Not `sf.weekday`, which is -1 for Sundays on Sail 0.7."""
    return (sf.pmod(sf.dayofweek(day) + sf.lit(5), sf.lit(7)) + sf.lit(1)).cast("int")


def _days_between(first: Column, last: Column) -> Column:
    """Days from first to last. Cast, as `datediff` is an int on Apache Spark and a bigint on Sail 0.7."""
    return sf.datediff(last, first).cast("int")


def _size_band(amount: Column) -> Column:
    first, *others = SIZE_BANDS
    band = sf.when(amount < first[0], first[1])
    for limit, name in others:
        band = band.when(amount < limit, name)
    return band.when(amount.isNotNull(), "extra_large")
