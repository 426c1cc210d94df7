"""The project's own checks: rules that a suite cannot say. Named in pipelines/batch_processor.yml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

from batch_processing.quality.checks import TableCheckResult, row_check, table_check

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

MINIMUM_CUSTOMERS = 100


@row_check(columns=("ordered_at", "exported_at"))
def no_future_dates(_df: DataFrame) -> Column:
    """No order was placed after the moment that its file was exported.

    Against the export's own time, not against now: the same input gets the same verdict on every run.
    """
    return sf.col("ordered_at") <= sf.col("exported_at")


@table_check
def enough_customers(df: DataFrame) -> TableCheckResult:
    """The customer export is not cut short."""
    count = df.count()
    return TableCheckResult(
        success=count >= MINIMUM_CUSTOMERS,
        observed=count,
        message=f"the export has fewer than {MINIMUM_CUSTOMERS} customers",
    )
