"""What may be said of an engine's error: its kind, never its text where that can quote a data value."""

from __future__ import annotations

from pyspark.errors import AnalysisException, ParseException, PySparkException

_LIMIT = 300
_UNREACHABLE = ("UNAVAILABLE", "StatusCode.UNAVAILABLE", "SESSION_CLOSED", "SESSION_CHANGED", "Connection refused")


def describe(error: BaseException) -> str:
    """One sentence on an engine's error.

    Errors of analysis quote the rule and the schema, so their first line is given. Errors of execution can quote a
    value ("cannot cast 'x'"), so only their class and condition are.
    """
    name = type(error).__name__
    text = str(error)
    if isinstance(error, AnalysisException | ParseException):
        return f"{name}: {_first_line(text)}"
    if not isinstance(error, PySparkException):
        return name
    condition = error.getCondition()
    found = f"{name} [{condition}]" if condition else name
    lowered = text.lower()
    if "regular expression" in lowered or "regex" in lowered or "PATTERN" in (condition or ""):
        return f"{found}: a regular expression is not valid on this engine"
    if "cast" in lowered:
        return f"{found}: a value cannot be cast to the type it is compared with"
    return found


def unreachable(error: BaseException) -> bool:
    """True where the engine did not answer at all."""
    text = str(error)
    return any(mark in text for mark in _UNREACHABLE)


def _first_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= _LIMIT else line[: _LIMIT - 1] + "…"
