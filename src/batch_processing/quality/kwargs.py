"""What the values of an expectation's keyword arguments may be, and how text bounds become dates.

GX checks these with pydantic when it builds an expectation; here they are checked when the suite is loaded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from batch_processing.quality.conditions import condition_problems

Bound = int | float | date | datetime

_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_PAIR_IGNORE = ("both_values_are_missing", "either_value_is_missing", "neither")
_LIST_IGNORE = ("all_values_are_missing", "any_value_is_missing", "never")
_NULL_MEMBER = (
    "has a null, which no value equals; judge nulls by expect_column_values_to_be_null or "
    "expect_column_values_to_not_be_null, or leave them out by a row_condition"
)


def parse_bound(value: object) -> Bound | None:
    """A bound as written in a suite: a number, or text that is a number, an ISO date or an ISO timestamp.

    Raises:
        ValueError: anything else.
    """
    if value is None or isinstance(value, bool):
        return None if value is None else int(value)
    if isinstance(value, int | float | date):
        return value
    if isinstance(value, str):
        return _parse_text(value)
    raise ValueError("is not a number, a date or a timestamp")


def _parse_text(value: str) -> Bound:
    for convert in (int, float):
        try:
            return convert(value)
        except ValueError:
            continue
    try:
        return date.fromisoformat(value) if _DATE.match(value) else datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("is not a number, an ISO date or an ISO timestamp") from None


def problems_in_values(kind: str, kwargs: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the values, one sentence each, naming the argument and never more than its own text."""
    for key, value in kwargs.items():
        if _has_parameter(value):
            yield f"{key} is a suite parameter, which is not supported; write the value"
        elif value is not None and (check := _CHECKS.get(key)) and (problem := check(value)):
            yield f"{key} {problem}"
        elif value is None and key in _NEVER_NULL:
            yield f"{key} is null"
    yield from _bounds_problems(kind, kwargs)
    if len(kwargs.get("column_list") or ("", "")) < 2 and kind in _COMPARE_COLUMNS:
        yield "column_list has one column, which is compared with no other"
    if "column_A" in kwargs and kwargs["column_A"] == kwargs.get("column_B") and kind not in _PAIRS_OF_VALUES:
        yield "column_A and column_B are the same column"
    ignored, allowed = kwargs.get("ignore_row_if"), _PAIR_IGNORE if "column_A" in kwargs else _LIST_IGNORE
    if ignored is not None and ignored not in allowed:
        yield f"ignore_row_if is {ignored!r}; valid: {', '.join(allowed)}"
    yield from condition_problems(kwargs)


def _has_parameter(value: object) -> bool:
    if isinstance(value, Mapping):
        return "$PARAMETER" in value or any(map(_has_parameter, value.values()))
    return isinstance(value, list | tuple) and any(map(_has_parameter, value))


def _bounds_problems(kind: str, kwargs: Mapping[str, Any]) -> Iterator[str]:
    whole = kind in _WHOLE_BOUNDS
    bounds: dict[str, Bound | None] = {}
    for key in ("min_value", "max_value"):
        try:
            bounds[key] = parse_bound(kwargs.get(key))
        except ValueError as error:
            yield f"{key} {error}"
            return
        found = bounds[key]
        if isinstance(found, float) and (math.isnan(found) or (whole and not found.is_integer())):
            yield f"{key} is not a {'whole ' if whole else ''}number"
            return
    low, high = bounds["min_value"], bounds["max_value"]
    if low is None and high is None and kind.endswith("_to_be_between") and "quantile_ranges" not in kwargs:
        yield "min_value and max_value are both missing"
    if low is not None and high is not None and _above(low, high):
        yield "min_value is greater than max_value"


def _above(low: Bound, high: Bound) -> bool:
    """Whether one bound is above the other; never where they are of two kinds."""
    if isinstance(low, datetime) and isinstance(high, datetime):
        return _in_utc(low) > _in_utc(high)
    if isinstance(low, int | float) and isinstance(high, int | float):
        return low > high
    return type(low) is type(high) and low > high  # type: ignore[operator]


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(value: object) -> str:
    return "" if isinstance(value, str) and value else "is not a text"


def _texts(value: object) -> str:
    good = isinstance(value, list | tuple) and value and all(isinstance(v, str) and v for v in value)
    return "" if good else "is not a list of texts with at least one entry, none of them empty"


def _columns(value: object) -> str:
    if problem := _texts(value):
        return problem
    twice = sorted({v for v in value if list(value).count(v) > 1})  # type: ignore[call-overload, attr-defined]
    return f"names {twice[0]!r} twice" if twice else ""


def _values(value: object) -> str:
    if not isinstance(value, list | tuple) or not value:
        return "is not a list with at least one value"
    return _NULL_MEMBER if None in value else ""


def _pairs(value: object) -> str:
    good = isinstance(value, list | tuple) and value and all(isinstance(v, list | tuple) and len(v) == 2 for v in value)
    return "" if good else "is not a list of pairs with at least one pair"


def _share(value: object) -> str:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return "" if good else "is not a number between 0 and 1"


def _flag(value: object) -> str:
    return "" if isinstance(value, bool) else "is not true or false"


def _number(value: object) -> str:
    good = isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
    return "" if good else "is not a number"


def _place(value: object) -> str:
    return "" if isinstance(value, int) and not isinstance(value, bool) else "is not a whole number"


def _query(value: object) -> str:
    if _text(value):
        return _text(value)
    return "" if "{batch}" in str(value) else "does not read {batch}, so the data would not be looked at"


def _quantile_ranges(value: object) -> str:
    if not isinstance(value, Mapping) or set(value) != {"quantiles", "value_ranges"}:
        return "is not an object with quantiles and value_ranges"
    quantiles, ranges = value["quantiles"], value["value_ranges"]
    if not (isinstance(quantiles, list | tuple) and quantiles and not any(_share(q) for q in quantiles)):
        return "has quantiles that are not a list of numbers between 0 and 1 with at least one"
    if not (isinstance(ranges, list | tuple) and len(ranges) == len(quantiles)):
        return "has not as many value_ranges as quantiles"
    if not all(_is_range(found) for found in ranges):
        return "has a value_range that is not [low, high] in this order, with at least one of them; null is no bound"
    return ""


def _is_range(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    given = [bound for bound in value if bound is not None]
    return bool(given) and not any(_number(bound) for bound in given) and given == sorted(given)


def _not_negative(value: object) -> str:
    good = not _number(value) and 0 <= value < math.inf  # type: ignore[operator]
    return "" if good else "is not a number of 0 or more"


def _partition(value: object) -> str:
    shape = "is not an object with weights, and values or bins"
    if not isinstance(value, Mapping) or not ({"values", "bins"} & set(value)) or "weights" not in value:
        return shape
    weights, places = value["weights"], value.get("values", value.get("bins"))
    if not all(isinstance(found, list | tuple) and found for found in (weights, places)):
        return shape
    wanted = len(weights) + (1 if "values" not in value else 0)
    if len(places) != wanted:
        return f"has {len(places)} values or bins for {len(weights)} weights, expected {wanted}"
    all_weights = [*weights, *(value.get("tail_weights") or ())]
    good = not any(_number(weight) or weight < 0 for weight in all_weights) and abs(sum(all_weights) - 1) < 1e-5
    return "" if good else "has weights that are not numbers of 0 or more with the sum 1"


def _method(value: object) -> str:
    return "" if value in ("iqr", "std") else f"is {value!r}; valid: iqr, std"


def _exact(value: object) -> str:
    return "" if value is False else "is not false; GX on Spark takes no other value, and quantiles are exact"


def _match_on(value: object) -> str:
    return "" if value in ("any", "all") else f"is {value!r}; valid: any, all"


def _escape(value: object) -> str:
    return "" if isinstance(value, str) and len(value) == 1 else "is not a single character"


_CHECKS: Mapping[str, Callable[[object], str]] = {
    "column": _text, "column_A": _text, "column_B": _text, "regex": _text, "like_pattern": _text, "type_": _text,
    "strftime_format": _text, "unexpected_rows_query": _query, "regex_list": _texts, "like_pattern_list": _texts,
    "type_list": _texts, "column_list": _columns, "column_set": _columns, "value_set": _values,
    "value_pairs_set": _pairs, "mostly": _share, "strict_min": _flag, "strict_max": _flag, "or_equal": _flag,
    "exact_match": _flag, "value": _number, "sum_total": _number, "column_index": _place, "match_on": _match_on,
    "escape": _escape, "quantile_ranges": _quantile_ranges, "allow_relative_error": _exact, "threshold": _number,
    "partition_object": _partition,
    "double_sided": _flag, "method": _method, "multiplier": _not_negative, "ties_okay": _flag,
}  # fmt: skip
_NEVER_NULL = frozenset(
    {"column", "column_A", "column_B", "column_list", "column_set", "value_set", "value_pairs_set", "mostly", "regex",
     "regex_list", "like_pattern", "like_pattern_list", "value", "sum_total", "type_", "type_list", "threshold",
     "quantile_ranges", "double_sided", "method", "multiplier", "exact_match", "match_on", "unexpected_rows_query"}
)  # fmt: skip
_COMPARE_COLUMNS = frozenset(
    {"expect_multicolumn_values_to_be_equal", "expect_select_column_values_to_be_unique_within_record"}
)
_PAIRS_OF_VALUES = frozenset({"expect_column_pair_values_to_be_in_set"})
_WHOLE_BOUNDS = frozenset(
    {"expect_column_value_lengths_to_be_between", "expect_table_row_count_to_be_between",
     "expect_table_column_count_to_be_between", "expect_column_unique_value_count_to_be_between"}
)  # fmt: skip
