"""Boxes "Data Validation" and "Quality Checks": suites, the user's own checks, the output's suite, metrics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_processing.operators.step import StepOperator

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from batch_processing.quality.suite import Suite
    from batch_processing.quality.validation import Validated


class ValidateOperator(StepOperator):
    """Suite and row-level checks on all landed sources; bad rows go to quarantine, the gate decides."""

    ui_color = "#e6f4ea"


class CustomValidationOperator(StepOperator):
    """The user's table-level Python checks."""

    ui_color = "#e6f4ea"


class ValidateOutputOperator(StepOperator):
    """The output suite, on exactly the staged files."""

    ui_color = "#e6f4ea"


class QualityMetricsOperator(StepOperator):
    """Scores, counts, durations and resource use into the control store."""

    ui_color = "#e6f4ea"


def validate_data(
    df: DataFrame,
    suite: str | Suite | Mapping[str, Any],
    *,
    suites_dir: Path | str | None = None,
    threshold: float = 1.0,
    allow_empty: bool = False,
) -> Validated:
    """Judges a DataFrame by a suite: `if not validate_data(df, "batch_suite"): ...`

    Args:
        df: any Spark Connect DataFrame.
        suite: a suite, its JSON object, its name in `suites_dir`, or the path of its file.
        suites_dir: folder of the suites; `gx/expectations` under the working directory by default.
        threshold: least share of valid rows, 0..1.
        allow_empty: no rows is a pass.

    Returns:
        The verdict, true where it passed; it also has the counts, the bad rows and the valid rows.

    Raises:
        SuiteError: there is no such suite.
        CheckError: an expectation could not be evaluated, so there is no verdict.
    """
    from batch_processing.quality import validate_data as judge

    return judge(df, suite, suites_dir=suites_dir, threshold=threshold, allow_empty=allow_empty)
