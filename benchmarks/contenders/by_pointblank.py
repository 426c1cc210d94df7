"""pointblank on a polars frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pointblank as pb
import polars as pl


def prepare(path: Path, _option: str) -> Callable[[], None]:
    """What checks the file."""

    def call() -> None:
        found = (
            pb.Validate(pl.read_parquet(path))
            .col_vals_not_null("id")
            .rows_distinct("id")
            .col_vals_between("amount", 0, 1_000_000, na_pass=True)
            .interrogate(collect_extracts=False)
        )
        if not found.all_passed():
            raise SystemExit("the verdict of pointblank is wrong")

    return call
