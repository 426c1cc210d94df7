"""polars' `sink_delta` of the same rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl


def prepare(path: Path, option: str) -> Callable[[], None]:
    """`option` is the partition column, or empty."""
    table = path.parent / "sunk"
    written = {"partition_by": [option]} if option else {}

    def call() -> None:
        shutil.rmtree(table, ignore_errors=True)
        pl.scan_parquet(path).sink_delta(table, mode="overwrite", delta_write_options=written)

    return call
