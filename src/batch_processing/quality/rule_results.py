"""From findings to `RuleResult`s: where GX's success and our outcome part ways.

A row rule that judged no row has no verdict: GX calls that a success, here it is ERROR (a column that is all null).
Two cases are passes: no row meets the rule's condition, and there are no rows at all (the gate decides on those).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batch_processing.quality.checks import RowCheck
from batch_processing.quality.predicates import ROW_TYPES
from batch_processing.quality.rules import Finding
from batch_processing.quality.suite import ExpectationConfig
from batch_processing.results import Outcome, RuleResult

_NOTHING_JUDGED = (
    "no row was judged: every value is null, and the expectation leaves nulls out; "
    "if that is right, give it a row_condition"
)


def rule_result(config: ExpectationConfig, finding: Finding, *, rows: int) -> RuleResult:
    """The result of a compiled expectation."""
    outcome, message = _outcome(finding, rows=rows)
    return RuleResult(
        rule_id=config.rule_id,
        kind="row" if config.type in ROW_TYPES else "table",
        outcome=outcome,
        severity=config.severity,
        element_count=finding.element_count,
        unexpected_count=finding.unexpected_count,
        missing_count=finding.missing_count,
        observed=finding.observed,
        message=message,
        expectation_type=config.type,
        column=", ".join(config.columns),
        engine="compiled",
    )


def gx_rule_result(
    config: ExpectationConfig, raw: Mapping[str, Any], exception: str, *, empty: bool, allow_empty: bool
) -> RuleResult:
    """The result of an expectation that GX evaluated; it names no rows, so it counts as table-level.

    Args:
        config: the expectation.
        raw: GX's result.
        exception: why GX could not evaluate it, or "".
        empty: there are no rows.
        allow_empty: and that is accepted.
    """
    found = raw.get("result") or {}
    elements, missing = found.get("element_count"), found.get("missing_count")
    if exception and not (empty and allow_empty and config.columns):
        # Without rows GX raises for some columns; that one is there was seen before. A query may read what is not.
        outcome, message = Outcome.ERROR, f"GX could not evaluate it: {exception}"
    elif empty:
        outcome, message = Outcome.PASS, ""
    elif elements and missing == elements:
        outcome, message = Outcome.ERROR, _NOTHING_JUDGED
    elif raw.get("success"):
        outcome, message = Outcome.PASS, _tolerated(found)
    else:
        outcome, message = Outcome.FAIL, _gx_message(found)
    return RuleResult(
        rule_id=config.rule_id,
        kind="table",
        outcome=outcome,
        severity=config.severity,
        element_count=elements,
        unexpected_count=found.get("unexpected_count"),
        missing_count=missing,
        observed=found.get("observed_value"),
        message=message,
        expectation_type=config.type,
        column=", ".join(config.columns),
        engine="gx",
    )


def unable_expectation(config: ExpectationConfig, message: str) -> RuleResult:
    """The result of an expectation that could not run."""
    return RuleResult(
        rule_id=config.rule_id, kind="row" if config.type in ROW_TYPES else "table", outcome=Outcome.ERROR,
        severity=config.severity, message=message, expectation_type=config.type, column=", ".join(config.columns),
    )  # fmt: skip


def check_result(check: RowCheck, finding: Finding) -> RuleResult:
    """The result of a row check."""
    return RuleResult(
        rule_id=check.id, kind="check_row", outcome=Outcome.PASS if finding.success else Outcome.FAIL,
        severity=check.severity, element_count=finding.element_count, unexpected_count=finding.unexpected_count,
        message=finding.message, column=", ".join(check.columns), engine="python",
    )  # fmt: skip


def unable_check(check: RowCheck, message: str) -> RuleResult:
    """The result of a row check that could not run."""
    return RuleResult(
        rule_id=check.id, kind="check_row", outcome=Outcome.ERROR, severity=check.severity, message=message,
        column=", ".join(check.columns), engine="python",
    )  # fmt: skip


def _outcome(finding: Finding, *, rows: int) -> tuple[Outcome, str]:
    if finding.judged == 0:
        # Without rows the gate decides; a verdict on nothing is not this rule's to give.
        return (Outcome.PASS, "") if rows == 0 else _nothing_judged(finding)
    return (Outcome.PASS, "") if finding.success else (Outcome.FAIL, finding.message)


def _nothing_judged(finding: Finding) -> tuple[Outcome, str]:
    return (Outcome.ERROR, _NOTHING_JUDGED) if finding.success else (Outcome.FAIL, finding.message)


def _tolerated(found: Mapping[str, Any]) -> str:
    if not found.get("unexpected_count"):
        return ""
    return f"{_gx_message(found)}, which its mostly allows; GX does not say which, so they are not in quarantine"


def _gx_message(found: Mapping[str, Any]) -> str:
    bad, elements = found.get("unexpected_count"), found.get("element_count")
    if bad is not None and elements:
        return f"{bad:,} of {elements:,} rows broke it"
    return "the expectation failed"
