"""From measured values to the finding of a table-level expectation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
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


def found_quantiles(observed: Sequence[float | None], ranges: Mapping[str, Any], *, judged: int) -> Finding:
    """The verdict of `expect_column_quantile_values_to_be_between`; bounds hold within 1 in 10,000, as in GX.

    Args:
        observed: one quantile per entry of `ranges["quantiles"]`; None where there is no value.
        ranges: `quantiles` and `value_ranges`.
        judged: the values they were made of.
    """
    held = [_in_range(value, *bounds) for value, bounds in zip(observed, ranges["value_ranges"], strict=True)]
    shown = {"quantiles": list(ranges["quantiles"]), "values": list(observed)}
    first = next((index for index, good in enumerate(held) if not good), None)
    message = ""
    if first is not None:
        low, high = ranges["value_ranges"][first]
        bounds = _range({"min_value": low, "max_value": high})
        message = f"the quantile {ranges['quantiles'][first]} is {observed[first]}, expected {bounds}"
    result = {"observed_value": shown, "details": {"success_details": held}}
    return Finding(first is None, observed=shown, judged=judged, result=result, message=message)


def found_most_common(ties: list[Any], allowed: list[Any], *, ties_okay: bool, shown: int) -> Finding:
    """The verdict of `expect_column_most_common_value_to_be_in_set`.

    Args:
        ties: the values that occur most often, those in the set first.
        allowed: the set. Values equal as in Python, as GX compares them: text is no date.
        ties_okay: one of them in the set is enough.
        shown: values that the result lists at most.
    """
    inside = [value for value in ties if value in allowed]
    success = bool(inside) and (ties_okay or len(ties) == 1)
    listed = [json_value(value) for value in sorted(ties[:shown], key=lambda value: (value != value, value))]
    message = "" if success else _most_common_message(len(ties), len(inside), shown)
    return Finding(success, observed=listed, judged=len(ties), result={"observed_value": listed}, message=message)


def _most_common_message(ties: int, inside: int, shown: int) -> str:
    if not ties:
        return "there is no most common value (nothing to count)"
    if ties == 1:
        return "the most common value is not in the set"
    count = f"more than {shown}" if ties > shown else f"{ties}"
    return f"{count} values are the most common, {f'{inside} of them' if inside else 'none'} in the set"


def _in_range(value: float | None, low: float | None, high: float | None) -> bool:
    if value is None:
        return False
    bottom, top = -math.inf if low is None else float(low), math.inf if high is None else float(high)
    return _close(value, bottom) or _close(value, top) or bottom <= value <= top


def _close(value: float, bound: float) -> bool:
    if math.isinf(value) or math.isinf(bound):
        return value == bound
    return abs(value - bound) <= 1e-8 + 1e-4 * abs(bound)


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
    """The bound in the observed value's own kind: dates against timestamps, and local time against offsets.

    A bound of a decimal is what is written, as a person reads it: 18.89, and not the nearest double, which is above it.
    """
    found = parse_bound(bound)
    if isinstance(observed, Decimal) and isinstance(found, float) and math.isfinite(found):
        return Decimal(repr(found))
    if isinstance(observed, datetime) and isinstance(found, date):
        moment = found if isinstance(found, datetime) else datetime(found.year, found.month, found.day)  # noqa: DTZ001 -- Spark gives timestamps in local time without zone
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo and not observed.tzinfo else moment
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
