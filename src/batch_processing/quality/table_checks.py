"""Runs `@table_check` functions; an exception in one is its own ERROR and does not hide the others."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from batch_processing.quality.checks import Checks, TableCheck, TableCheckResult
from batch_processing.quality.engine_messages import describe
from batch_processing.quality.frames import missing_column
from batch_processing.results import Outcome, RuleResult

_LOG = logging.getLogger(__name__)
_LIMIT = 300


def run_table_checks(df: DataFrame, checks: Checks | Sequence[TableCheck], *, dataset: str) -> tuple[RuleResult, ...]:
    """Runs the table-level Python checks on a DataFrame.

    Args:
        df: the rows.
        checks: loaded checks; row checks among them are left alone.
        dataset: source name, for the log.

    Returns:
        One result per table check, in order. A check that raises, or returns neither bool nor TableCheckResult,
        is ERROR.
    """
    table = checks.table if isinstance(checks, Checks) else tuple(checks)
    results = tuple(_run(df, check) for check in table)
    _LOG.info(
        "table checks on %s: %d run, %d did not pass", dataset, len(results), sum(not r.outcome.passed for r in results)
    )
    return results


def _run(df: DataFrame, check: TableCheck) -> RuleResult:
    if absent := [name for name in check.columns if name not in df.columns]:
        return _result(check, Outcome.ERROR, message=missing_column(absent[0], df.columns))
    try:
        found = check.function(df)
    except Exception as error:  # noqa: BLE001 -- the user's code may raise anything; the other checks go on
        return _result(check, Outcome.ERROR, message=_raised(error))
    if isinstance(found, bool):
        found = TableCheckResult(found)
    if not isinstance(found, TableCheckResult):
        return _result(
            check,
            Outcome.ERROR,
            message=f"the check returned {type(found).__name__}, expected bool or TableCheckResult",
        )
    outcome = Outcome.PASS if found.success else Outcome.FAIL
    message = found.message or ("" if found.success else "the check returned false")
    return _result(
        check,
        outcome,
        message=message if not found.success else "",
        observed=found.observed,
        count=found.unexpected_count,
    )


def _result(
    check: TableCheck, outcome: Outcome, *, message: str = "", observed: object = None, count: int | None = None
) -> RuleResult:
    return RuleResult(
        rule_id=check.id, kind="check_table", outcome=outcome, severity=check.severity, unexpected_count=count,
        observed=observed, message=message, column=", ".join(check.columns), engine="python",
    )  # fmt: skip


def _raised(error: Exception) -> str:
    if isinstance(error, PySparkException):
        return f"the check raised {describe(error)}"
    text = " ".join(str(error).split())
    return f"the check raised {type(error).__name__}: {text if len(text) <= _LIMIT else text[: _LIMIT - 1] + '…'}"
