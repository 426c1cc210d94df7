"""One call for a DataFrame that is not a pipeline's: stage and publish."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from batch_processing.delta_lake.publish import publish
from batch_processing.delta_lake.staging import discard, stage
from batch_processing.results import Published

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def write_to_delta_lake(
    df: DataFrame,
    table_path: str | Path,
    *,
    mode: Literal["overwrite", "append", "replace_partitions"] = "overwrite",
    partition_by: tuple[str, ...] | list[str] = (),
) -> Published:
    """Writes a DataFrame to a Delta table in one atomic commit.

    Args:
        df: the rows.
        table_path: the table's root, a local path or file:// URI; made if absent.
        mode: replace the whole table, add to it, or replace the partitions that `df` has rows for.
        partition_by: partition columns.

    Returns:
        The version that holds the rows.

    Raises:
        BatchError: as `stage` and `publish`; nothing of the rows is then in the table or beside it.
    """
    token = uuid.uuid4().hex
    staged = stage(df, table=table_path, partition_by=tuple(partition_by), folder=f"data/{token}")
    try:
        return publish(staged, mode=mode, app_id=f"write_to_delta_lake:{token}", generation=1, metadata={})
    except Exception:
        discard(staged)
        raise
