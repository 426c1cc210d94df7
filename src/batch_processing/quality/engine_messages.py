"""What may be said of an engine's error: its kind, never its text where that can quote a data value."""

from __future__ import annotations

import re

from pyspark.errors import AnalysisException, ParseException, PySparkException

from batch_processing.errors import EngineError

_LIMIT = 300
_ON_THE_RULE = re.compile(
    r"attribute ObjectName\(|(missing or )?ambiguous (attribute|field): |unknown function: |one value expected: "
    r"|Cannot infer common argument type for |Cannot create filter with |error in SQL parser: "
    r"|(Error during planning: )?There isn't a common type to coerce |Table not found: |No data source found for: "
    r"|Invalid table location: "
    r"|((Internal|Execution) error: )?Function '\w+' (failed to match |requires |user-defined coercion failed )"
)
"""How lines of the embedded engine begin that quote the rule and the schema only."""
_CAST = re.compile(r"\bcast error\b|\b(cannot|could not|failed to|can't) (be )?(cast|parse)\b")
_SYNTAX = re.compile(r"invalid argument: found ((?P<end>end of input)|.*? at (?P<place>\d+):\d+) expected ", re.DOTALL)
"""How its parser begins; what it found can be a value in the text, and what it expected names every keyword."""
_MORE_THAN_A_ROW = re.compile(
    r"Aggregate function calls cannot |Physical plan does not support logical expression (Aggregate|Window)Function\("
    r"|explode should be rewritten |Non-deterministic expression |monotonically_increasing_id\(\) was not rewritten "
)
"""How its lines begin on an expression that is not of one row's values alone; the expression follows."""
_UNREACHABLE = ("UNAVAILABLE", "StatusCode.UNAVAILABLE", "SESSION_CLOSED", "SESSION_CHANGED", "Connection refused")


def describe(error: BaseException) -> str:
    """One sentence on an engine's error.

    Where the first line can quote nothing but the rule and the schema, it is given. Other lines can quote a value
    ("cannot cast 'x'"), so only the error's class and condition are.
    """
    name = type(error).__name__
    text = str(error)
    if not isinstance(error, PySparkException):
        return name
    condition = error.getCondition()
    if _ON_THE_RULE.match(text.lstrip()) or _from_analysis(error, condition):
        return f"{name}: {_first_line(text)}"
    found = f"{name} [{condition}]" if condition else name
    lowered = text.lower()
    if "regular expression" in lowered or "regex parse" in lowered or "PATTERN" in (condition or ""):
        return f"{found}: a regular expression is not valid on this engine"
    if syntax := _SYNTAX.match(text.lstrip()):
        place = "it ends too early" if syntax["end"] else f"at character {int(syntax['place']) + 1}"
        return f"{found}: an expression cannot be parsed: {place}"
    if _MORE_THAN_A_ROW.match(text.lstrip()):
        return (
            f"{found}: a condition is of one row's values; it cannot hold an aggregate, a window, explode, or a "
            "function that gives another value each time"
        )
    if "CAST" in (condition or "") or _CAST.search(lowered):
        return f"{found}: a value cannot be cast to the type it is compared with"
    return found


def _from_analysis(error: PySparkException, condition: str | None) -> bool:
    """True for Apache Spark's errors of analysis. The embedded engine calls some errors of execution so too, and gives
    them no condition.
    """
    return isinstance(error, AnalysisException | ParseException) and bool(condition) and "CAST" not in str(condition)


def unreachable(error: BaseException) -> bool:
    """True where the engine did not answer at all."""
    text = str(error)
    return any(mark in text for mark in _UNREACHABLE)


def require_alive(error: BaseException, *, where: str = "") -> None:
    """Tells the end of the engine from a rule that it cannot evaluate.

    Raises:
        EngineError: the engine does not answer.
    """
    if isinstance(error, PySparkException) and unreachable(error):
        raise EngineError(
            "the engine does not answer", where=where, found=describe(error), fix="look at its log"
        ) from error


def _first_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= _LIMIT else line[: _LIMIT - 1] + "…"
