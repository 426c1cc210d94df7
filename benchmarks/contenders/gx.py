"""Great Expectations on the same engine as the compiled scan; its import is not timed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import great_expectations as ge

from batch_processing.spark.session import get_spark_session
from benchmarks.rules import SUITES


def prepare(path: Path, option: str) -> Callable[[], None]:
    """Starts the session; `option` is the result format."""
    spark = get_spark_session()
    expectations = [{"type": rule["type"], "kwargs": rule["kwargs"]} for rule in SUITES["three"]]

    def call() -> None:
        context = ge.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        asset = context.data_sources.add_spark("spark").add_dataframe_asset("orders")
        batch = asset.add_batch_definition_whole_dataframe("all").get_batch(
            {"dataframe": spark.read.parquet(str(path))}
        )
        suite = ge.ExpectationSuite(name="orders", expectations=expectations)
        if not batch.validate(suite, result_format=option).success:
            raise SystemExit("the verdict of Great Expectations is wrong")

    return call
