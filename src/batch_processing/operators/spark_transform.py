"""Box "Spark Transform", and the setup and teardown of a run's own Spark Connect server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_processing.errors import TransformError
from batch_processing.operators.step import StepOperator

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class TransformOperator(StepOperator):
    """The user's `transform(spark, inputs) -> DataFrame`, written as staged files of the target table."""

    ui_color = "#fef7e0"


class StartEngineOperator(StepOperator):
    """Starts the Spark Connect server that serves this run (setup)."""

    ui_color = "#fce8b2"


class StopEngineOperator(StepOperator):
    """Stops that server, also after a failure (teardown)."""

    ui_color = "#fce8b2"


def transform_data(
    spark: SparkSession,
    inputs: Mapping[str, DataFrame],
    function: str,
    *,
    root: Path | str = ".",
    **params: Any,
) -> DataFrame:
    """Calls a pipeline's transform as the step does.

    Args:
        spark: a Spark Connect session.
        inputs: source name -> DataFrame of valid rows.
        function: `package.module:function`.
        root: the project's folder, from which its modules are imported.
        params: the transform's own keyword arguments.

    Raises:
        CodeReferenceError: there is no such function.
        TransformError: it did not return a DataFrame.
    """
    from pyspark.sql import DataFrame as Frame

    from batch_processing.settings.references import load_reference

    made = load_reference(function, root=Path(root).absolute(), what="transform")(spark, dict(inputs), **params)
    if not isinstance(made, Frame):
        raise TransformError(
            f"the transform {function} did not return a DataFrame",
            where=function,
            found=type(made).__name__,
            fix="return one",
        )
    return made
