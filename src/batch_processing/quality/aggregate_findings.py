"""From measured values to the finding of a table-level expectation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from batch_processing.quality.kwargs import parse_bound
from batch_processing.quality.rules import CannotCompile, Finding


def found_equal(observed: int, expected: float) -> Finding:
    """The verdict of `..._to_equal`."""
    success = observed == expected
    message = "" if success else f"observed {observed:,}, expected {expected:,}"
    return Finding(success, observed=observed, result={"observed_value": observed}, message=message)


def found_between(observed: Any, kwargs: Mapping[str, Any], *, judged: int | None = None) -> Finding:
    """The verdict of `..._to_be_between`; no value, or NaN, is a failure, as in GX.

    Args:
        observed: the measured value.
        kwargs: min_value, max_value, strict_min, strict_max.
        judged: the values it was made of.
    """
    if observed is None or (isinstance(observed, float | Decimal) and math.isnan(observed)):
        return Finding(
            False,
            judged=judged,
            result={"observed_value": None},
            message="there is no observed value (nothing to measure)",
        )
    low, high = (_aligned(kwargs.get(key), observed) for key in ("min_value", "max_value"))
    value = _comparable(observed, low, high)
    above = low is None or (value > low if kwargs.get("strict_min") else value >= low)
    below = high is None or (value < high if kwargs.get("strict_max") else value <= high)
    shown = json_value(observed)
    return Finding(
        bool(above and below),
        observed=shown,
        judged=judged,
        result={"observed_value": shown},
        message="" if above and below else f"observed {shown}, expected {_range(kwargs)}",
    )


def found_in_sets(kind: str, outside: int, absent: int, *, judged: int) -> Finding:
    """The verdict of `expect_column_distinct_values_to_...`.

    Args:
        kind: the expectation's type.
        outside: distinct values that are not in the set.
        absent: members of the set that do not occur.
        judged: non-null values.
    """
    result: dict[str, Any] = {"observed_value": None}
    success, parts = True, []
    if not kind.endswith("contain_set"):
        result |= {"unexpected_count": outside, "partial_unexpected_list": []}
        success = outside == 0
        parts += [f"{outside:,} distinct values are not in the set"] if outside else []
    if not kind.endswith("be_in_set"):
        result |= {"missing_count": absent, "partial_missing_list": []}
        success = success and absent == 0
        parts += [f"{absent:,} values of the set do not occur"] if absent else []
    # What does not occur is a verdict also where no value is there; what occurs outside of the set is not.
    vacuous = judged if kind.endswith("be_in_set") else None
    return Finding(success, judged=vacuous, result=result, message="; ".join(parts))


def json_value(value: Any) -> Any:
    """A measured value as JSON has it."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return f"{len(value)} bytes"
    return value


def _aligned(bound: object, observed: object) -> Any:
    """The bound in the observed value's own kind: dates against timestamps, and local time against offsets."""
    found = parse_bound(bound)
    if isinstance(observed, datetime) and isinstance(found, date):
        moment = found if isinstance(found, datetime) else datetime(found.year, found.month, found.day)  # noqa: DTZ001 -- Spark gives timestamps in local time without zone
        return moment.astimezone().replace(tzinfo=None) if moment.tzinfo and not observed.tzinfo else moment
    return found


def _comparable(observed: Any, low: object, high: object) -> Any:
    moments = [bound for bound in (low, high) if isinstance(bound, date)]
    if isinstance(observed, datetime) or not moments:
        ordered = observed
    elif isinstance(observed, date) and any(isinstance(bound, datetime) for bound in moments):
        ordered = datetime(observed.year, observed.month, observed.day)  # noqa: DTZ001 -- compared with a bound without zone
    else:
        ordered = observed
    numbers = [bound for bound in (low, high) if isinstance(bound, int | float)]
    if isinstance(ordered, str | bytes) or (numbers and isinstance(ordered, date)):
        raise CannotCompile(f"an observed value of type {type(observed).__name__} has no order against these bounds")
    if moments and not isinstance(ordered, date):
        raise CannotCompile(f"an observed value of type {type(observed).__name__} has no order against a date")
    return ordered


def _range(kwargs: Mapping[str, Any]) -> str:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    parts = []
    if low is not None:
        parts.append(f"{'more than' if kwargs.get('strict_min') else 'at least'} {low}")
    if high is not None:
        parts.append(f"{'less than' if kwargs.get('strict_max') else 'at most'} {high}")
    return " and ".join(parts) or "any value"
