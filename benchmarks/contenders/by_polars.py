"""The three rules written by hand in polars: one lazy query, which is as little as they can cost there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl


def prepare(path: Path, option: str) -> Callable[[], None]:
    """`option` is the query engine: `streaming` or `in-memory`."""
    amount = pl.col("amount")

    def call() -> None:
        bad = pl.scan_parquet(path).select(
            no_id=pl.col("id").null_count(),
            repeated=pl.len() - pl.col("id").n_unique(),
            out_of_range=((amount < 0) | (amount > 1_000_000)).sum(),
        )
        if any(bad.collect(engine=option).row(0)):
            raise SystemExit("the verdict of polars is wrong")

    return call
