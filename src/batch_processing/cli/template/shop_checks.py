"""Checks that are easier to say in Python than in a suite."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from batch_processing.quality.checks import TableCheckResult, row_check, table_check


@row_check(columns=("ordered_at",))
def placed_in_the_past(orders: DataFrame) -> Column:  # noqa: ARG001 - every check is given the rows
    """True for a good row; a row for which this is false or null goes to quarantine."""
    return F.col("ordered_at") <= F.current_timestamp()


@table_check(severity="warning", columns=("customer_id",))
def has_many_customers(orders: DataFrame) -> TableCheckResult:
    """A day on which few customers ordered is worth a look."""
    customers = orders.select("customer_id").distinct().count()
    return TableCheckResult(success=customers >= 10, observed=customers, message="fewer than 10 customers ordered")
