"""Box "Delta Lake": one atomic commit of the staged files, told to Airflow as an event of the table's asset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from batch_processing.operators.step import StepOperator

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from batch_processing.results import Published

_EVENT_FACTS = ("table", "version", "slice", "generation", "published", "already", "score", "outcome", "counts")


class PublishOperator(StepOperator):
    """Commits the staged files; the asset's event carries version, slice, score and counts."""

    ui_color = "#e8eaf6"

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Publishes; the XCom is the step's summary."""
        xcom = super().execute(context)
        summary = xcom.get("summary", {})
        for asset in self.outlets:
            context["outlet_events"][asset].extra = {name: summary[name] for name in _EVENT_FACTS if name in summary}
        return xcom


def write_to_delta_lake(
    df: DataFrame,
    table_path: str,
    *,
    mode: Literal["overwrite", "append", "replace_partitions"] = "overwrite",
    partition_by: Sequence[str] = (),
) -> Published:
    """Writes a DataFrame to a Delta table in one atomic commit.

    Args:
        df: any Spark DataFrame.
        table_path: the table's root, a path or a `file://` URI.
        mode: `overwrite`, `append` or `replace_partitions`.
        partition_by: partition columns, in order.

    Raises:
        TableError: the table must not be touched by this writer, or its schema differs.
        PublishConflict: other writers kept winning.
    """
    from batch_processing.delta_lake.write import write_to_delta_lake as write

    return write(df, table_path, mode=mode, partition_by=tuple(partition_by))
