"""pandera's schema for polars, on the rows themselves."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

os.environ["PANDERA_VALIDATION_DEPTH"] = "SCHEMA_AND_DATA"

import pandera.polars as pa
import polars as pl


def prepare(path: Path, _option: str) -> Callable[[], None]:
    """What checks the file."""
    schema = pa.DataFrameSchema(
        {
            "id": pa.Column(pl.Int64, nullable=False, unique=True),
            "amount": pa.Column(pl.Float64, pa.Check.in_range(0, 1_000_000), nullable=True),
        }
    )

    def call() -> None:
        schema.validate(pl.read_parquet(path), lazy=True)

    return call
