"""The transform of the shop's pipeline: orders with their customer and their amount in euro."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention


def transform(
    spark: SparkSession,  # noqa: ARG001 - every transform is given the session
    inputs: Mapping[str, DataFrame],
    *,
    batch_date: str,
) -> DataFrame:
    """Joins orders, customers and rates.

    Args:
        spark: the session, for transforms that need one.
        inputs: the valid rows of each source.
        batch_date: day of the slice, `2026-11-01`; the table's partition.

    Returns:
        order_id (bigint), customer (string), country (string), amount (double), currency (string),
        amount_eur (double), ordered_at (timestamp), batch_date (date).
    """
    orders, customers, rates = inputs["orders"], inputs["customers"], inputs["rates"]
    priced = orders.withColumn("currency", F.coalesce("currency", F.lit("EUR")))
    return (
        priced.join(customers.select("customer_id", "name", "country"), on="customer_id", how="left")
        .join(rates.select("currency", "eur_rate"), on="currency", how="left")
        .select(
            F.col("id").alias("order_id"),
            F.col("name").alias("customer"),
            "country",
            "amount",
            "currency",
            F.round(F.col("amount") * F.col("eur_rate"), 2).alias("amount_eur"),
            "ordered_at",
            F.lit(batch_date).cast("date").alias("batch_date"),
        )
    )
