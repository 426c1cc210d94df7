"""Stage and publish of this project: Parquet files with statistics and digests, and one Delta commit."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from batch_processing.delta_lake.publish import publish
from batch_processing.delta_lake.staging import stage
from batch_processing.spark.session import get_spark_session


def prepare(path: Path, option: str) -> Callable[[], None]:
    """Starts the session; `option` is the partition column, or empty."""
    spark = get_spark_session()
    table = path.parent / "staged"

    def call() -> None:
        shutil.rmtree(table, ignore_errors=True)
        name = uuid.uuid4().hex
        rows = spark.read.parquet(str(path))
        staged = stage(rows, table=table, partition_by=(option,) if option else (), folder=f"data/{name}")
        publish(staged, mode="overwrite", app_id="orders", generation=1, metadata={"run_id": name})

    return call
