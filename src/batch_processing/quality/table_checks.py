"""Runs `@table_check` functions; an exception in one is its own ERROR and does not hide the others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from batch_processing.quality.checks import EVIDENCE_ROWS, Checks, TableCheck, TableCheckResult
from batch_processing.quality.engine_messages import describe
from batch_processing.quality.frames import missing_column
from batch_processing.results import Outcome, RuleResult
from batch_processing.settings.project import safe_name

_LOG = logging.getLogger(__name__)
_LIMIT = 300


def run_table_checks(
    df: DataFrame, checks: Checks | Sequence[TableCheck], *, dataset: str, evidence: Path | None = None
) -> tuple[RuleResult, ...]:
    """Runs the table-level Python checks on a DataFrame.

    Args:
        df: the rows.
        checks: loaded checks; row checks among them are left alone.
        dataset: source name, for the log.
        evidence: folder for the `failing_rows` of checks that fail, made where needed; None keeps none.

    Returns:
        One result per table check, in order; its message names the file of its failing rows. A check that raises, or
        returns neither bool nor TableCheckResult, is ERROR.
    """
    table = checks.table if isinstance(checks, Checks) else tuple(checks)
    results = tuple(_run(df, check, evidence) for check in table)
    _LOG.info(
        "table checks on %s: %d run, %d did not pass", dataset, len(results), sum(not r.outcome.passed for r in results)
    )
    return results


def _run(df: DataFrame, check: TableCheck, evidence: Path | None) -> RuleResult:
    if absent := [name for name in check.columns if name not in df.columns]:
        return _result(check, Outcome.ERROR, message=missing_column(absent[0], df.columns))
    try:
        found = check.function(df)
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- the user's code may raise anything; the other checks go on
        return _result(check, Outcome.ERROR, message=_raised(error))
    if isinstance(found, bool):
        found = TableCheckResult(found)
    if not isinstance(found, TableCheckResult):
        return _result(
            check,
            Outcome.ERROR,
            message=f"the check returned {type(found).__name__}, expected bool or TableCheckResult",
        )
    if wrong := _not_usable(found):
        return _result(check, Outcome.ERROR, message=wrong)
    if found.success:
        return _result(check, Outcome.PASS, observed=found.observed, count=found.unexpected_count)
    count, kept = _keep(check, found, evidence)
    message = found.message or "the check returned false"
    return _result(check, Outcome.FAIL, message=message + kept, observed=found.observed, count=count)


def _not_usable(found: TableCheckResult) -> str:
    """Why a result is no verdict, or ""."""
    if type(found.success).__name__ not in ("bool", "bool_"):  # numpy's is one too
        return f"the check's success is {type(found.success).__name__}, expected bool"
    count = found.unexpected_count
    if count is not None and (not isinstance(count, Integral) or isinstance(count, bool) or count < 0):
        return "the check's unexpected_count is not a number of rows"
    return ""


def _keep(check: TableCheck, found: TableCheckResult, evidence: Path | None) -> tuple[int | None, str]:
    """Counts and keeps the failing rows; evidence never changes a verdict, so what goes wrong is said, not raised.

    Returns:
        The count, and what to add to the message.
    """
    if found.failing_rows is None:
        return found.unexpected_count, ""
    if not isinstance(found.failing_rows, DataFrame):
        return found.unexpected_count, f"; its failing_rows are no DataFrame but {type(found.failing_rows).__name__}"
    try:
        first = found.failing_rows.limit(EVIDENCE_ROWS + 1).toArrow()
        more = first.num_rows > EVIDENCE_ROWS
        count = found.unexpected_count
        if count is None:
            count = found.failing_rows.count() if more else first.num_rows
        if evidence is None:
            return count, ""
        evidence.mkdir(parents=True, exist_ok=True)
        file = evidence / f"{safe_name(check.id)}.parquet"
        pq.write_table(first.slice(0, EVIDENCE_ROWS), file)
    except Exception as error:  # noqa: BLE001 -- the rows are the user's code, which may raise anything; logged below
        why = describe(error) if isinstance(error, PySparkException) else type(error).__name__
        _LOG.warning("table check %s: its failing rows could not be kept: %s", check.id, why)
        return found.unexpected_count, f"; its failing rows could not be kept: {why}"
    kept = f"the first {EVIDENCE_ROWS:,}" if more else f"all {first.num_rows:,}"
    return count, f"; {kept} failing rows are in {file}"


def _result(
    check: TableCheck, outcome: Outcome, *, message: str = "", observed: object = None, count: int | None = None
) -> RuleResult:
    return RuleResult(
        rule_id=check.id, kind="check_table", outcome=outcome, severity=check.severity, unexpected_count=count,
        observed=observed, message=message, column=", ".join(check.columns), engine="python",
    )  # fmt: skip


def _raised(error: BaseException) -> str:
    if isinstance(error, PySparkException):
        return f"the check raised {describe(error)}"
    text = " ".join(str(error).split())
    return f"the check raised {type(error).__name__}: {text if len(text) <= _LIMIT else text[: _LIMIT - 1] + '…'}"
