"""The compiled scan of this project, on the embedded engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from batch_processing.quality import parse_suite, validate
from batch_processing.spark.session import get_spark_session
from benchmarks.rules import SUITES


def prepare(path: Path, option: str) -> Callable[[], None]:
    """Starts the session; `option` names the suite."""
    suite = parse_suite({"name": "orders", "expectations": SUITES[option], "meta": {}})
    spark = get_spark_session()

    def call() -> None:
        found = validate(spark.read.parquet(str(path)), suite=suite, dataset="orders")
        if not found:
            raise SystemExit(f"the verdict is wrong: {found.result.message}")

    return call
