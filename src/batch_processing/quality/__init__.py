"""Quality: Great Expectations suites and Python checks on Spark, in about one scan, and the gate.

The names below are the public API. They load on first use, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batch_processing.quality.checks import (
        Checks,
        RowCheck,
        TableCheck,
        TableCheckResult,
        load_checks,
        row_check,
        table_check,
    )
    from batch_processing.quality.limits import Limit
    from batch_processing.quality.suite import ExpectationConfig, Suite, load_suite, parse_suite
    from batch_processing.quality.table_checks import run_table_checks
    from batch_processing.quality.validation import Validated, validate, validate_data

__all__ = [
    "Checks",
    "ExpectationConfig",
    "Limit",
    "RowCheck",
    "Suite",
    "TableCheck",
    "TableCheckResult",
    "Validated",
    "load_checks",
    "load_suite",
    "parse_suite",
    "row_check",
    "run_table_checks",
    "table_check",
    "validate",
    "validate_data",
]

_HOMES = {
    "checks": ("Checks", "RowCheck", "TableCheck", "TableCheckResult", "load_checks", "row_check", "table_check"),
    "limits": ("Limit",),
    "suite": ("ExpectationConfig", "Suite", "load_suite", "parse_suite"),
    "table_checks": ("run_table_checks",),
    "validation": ("Validated", "validate", "validate_data"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
