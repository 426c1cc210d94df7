"""Records of Python values (from JSON or a database driver) to typed columns.

A value must already be of the declared kind; only what loses nothing is converted: an integer into a
double or a decimal, ISO 8601 text into a date or timestamp, a number's text into a decimal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from batch_processing.sources.casting import Cast, Mask, arrow_type, cast_text

Kind = Literal["json", "database"]

_LIMITS = {"smallint": 1 << 15, "int": 1 << 31, "bigint": 1 << 63}
_EXACT_DOUBLE = 1 << 53


def typed_column(values: Sequence[Any], declared: str, *, kind: Kind) -> Cast:
    """One column of Python values in its declared type; None is null.

    Args:
        values: the values, one per record.
        declared: the declared type.
        kind: `database` also takes 0 and 1 as booleans, text as numbers, numbers as text, bytes as UTF-8 text:
            drivers without those types hand them over so.
    """
    if declared.startswith(("date", "timestamp", "decimal")) or kind == "database":
        return _through_text(values, declared, kind)
    accept = _JSON.get(declared, _never)
    good = [v if v is None or accept(v) else _MISFIT for v in values]
    misfit = np.fromiter((v is _MISFIT for v in good), dtype=bool, count=len(good))
    column = pa.array([None if v is _MISFIT else v for v in good], type=arrow_type(declared))
    return Cast(column, misfit if misfit.any() else None)


def misfits_of(casts: Mapping[str, tuple[Cast, str]]) -> dict[int, list[tuple[str, str]]]:
    """Row position -> its (column, error) pairs, from casts keyed by column with their declared types."""
    found: dict[int, list[tuple[str, str]]] = {}
    for name, (cast, declared) in casts.items():
        if cast.misfit is not None:
            for position in np.flatnonzero(cast.misfit).tolist():
                found.setdefault(position, []).append((name, f"not a valid {declared}"))
    return found


_MISFIT: Any = object()


def _never(_: Any) -> bool:
    return False


def _integer(declared: str) -> Callable[[Any], bool]:
    limit = _LIMITS[declared]
    return lambda v: type(v) is int and -limit <= v < limit


def _double(value: Any) -> bool:
    if type(value) is int:
        return -_EXACT_DOUBLE <= value <= _EXACT_DOUBLE
    return type(value) is float and math.isfinite(value)


def _text(value: Any) -> bool:
    return type(value) is str and "\0" not in value and _encodable(value)


def _encodable(value: str) -> bool:
    """False for text with lone surrogates, which UTF-8 cannot hold."""
    return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)


_JSON: dict[str, Callable[[Any], bool]] = {
    "boolean": lambda v: type(v) is bool,
    "smallint": _integer("smallint"),
    "int": _integer("int"),
    "bigint": _integer("bigint"),
    "float": _double,
    "double": _double,
    "string": _text,
}


def _through_text(values: Sequence[Any], declared: str, kind: Kind) -> Cast:
    """Values rendered as exact text, then read as the declared type."""
    render = _database_text if kind == "database" else _json_text
    texts = [None if v is None else render(v, declared) for v in values]
    bad = np.fromiter((t is _MISFIT for t in texts), dtype=bool, count=len(texts))
    cast = cast_text(pa.array([None if t is _MISFIT else t for t in texts], type=pa.string()), declared)
    return Cast(cast.values, _either(bad, cast.misfit))


def _json_text(value: Any, declared: str) -> Any:
    if declared.startswith("decimal"):
        # A JSON number was read with parse_float=Decimal where a decimal is declared; text is as good.
        fits = isinstance(value, str | int | float | Decimal) and not isinstance(value, bool)
        return str(value) if fits else _MISFIT
    return value if isinstance(value, str) and _encodable(value) else _MISFIT


def _database_text(value: Any, declared: str) -> Any:
    if isinstance(value, bytes):
        return _decoded(value)
    if isinstance(value, str):
        return value if _encodable(value) else _MISFIT
    if isinstance(value, bool):
        return str(value).lower() if declared in ("boolean", "string") else str(int(value))
    if isinstance(value, datetime | date):
        return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, float) and value.is_integer() and declared in _LIMITS:
        return str(int(value))
    if isinstance(value, int | float | Decimal):
        return str(value) if declared not in ("date", "timestamp", "timestamp_ntz") else _MISFIT
    return str(value) if declared == "string" else _MISFIT


def _decoded(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return _MISFIT


def _either(bad: Mask, misfit: Mask | None) -> Mask | None:
    both = bad if misfit is None else bad | misfit
    return both if both.any() else None
