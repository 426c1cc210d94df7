"""From counts to the finding of a row-level expectation, with GX's arithmetic.

GX compares shares as floats (`_mostly_success`), so the same is done here: the expectation's own success is GX's. The
gate's comparison, in `gate.py`, is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from batch_processing.quality.rules import Finding, Values
from batch_processing.quality.suite import ExpectationConfig


def judge_map(
    config: ExpectationConfig,
    rows: str,
    unexpected: str,
    *,
    missing: str | None = None,
    considered: str | None = None,
    conditional: bool = False,
) -> Callable[[Values], Finding]:
    """A judge of counts.

    Args:
        config: the expectation.
        rows: measure: rows in its domain.
        unexpected: measure: rows that break it.
        missing: measure: nulls left out, for the expectations that leave nulls out.
        considered: measure: rows left after `ignore_row_if`, for pairs and lists of columns.
        conditional: the expectation has a row condition.
    """
    mostly = config.kwargs.get("mostly", 1)

    def judge(values: Values) -> Finding:
        elements, bad = int(values[rows]), int(values[unexpected])
        judged = elements
        if missing is not None:
            judged = elements - int(values[missing])
        elif considered is not None:
            judged = int(values[considered])
        skips = missing is not None or considered is not None
        success = judged == 0 or (float(judged) - float(bad)) / float(judged) >= mostly
        return Finding(
            success,
            element_count=elements,
            unexpected_count=bad,
            missing_count=elements - judged if skips else None,
            judged=judged if elements or not conditional else None,
            result=map_result(elements, bad, judged if skips else None),
            message="" if success else _why(bad, judged, mostly),
        )

    return judge


def map_result(elements: int, bad: int, judged: int | None) -> dict[str, Any]:
    """GX's `result` object of a row-level expectation; `judged` is None where nulls are judged too."""
    total = bad / elements * 100 if elements else None
    if judged is None:
        found: dict[str, Any] = {"element_count": elements, "unexpected_count": bad, "unexpected_percent": total}
        return {**found, "partial_unexpected_list": []}
    of_judged = bad / judged * 100 if elements and judged else None
    return {
        "element_count": elements,
        "unexpected_count": bad,
        "unexpected_percent": of_judged,
        "partial_unexpected_list": [],
        "missing_count": elements - judged,
        "missing_percent": (elements - judged) / elements * 100 if elements else None,
        "unexpected_percent_total": total,
        "unexpected_percent_nonmissing": of_judged,
    }


def _why(bad: int, judged: int, mostly: float) -> str:
    limit = "" if mostly >= 1 else f", and at least {mostly:g} of them have to be good"
    return f"{bad:,} of {judged:,} rows judged broke it{limit}"
