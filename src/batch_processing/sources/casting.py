"""Declared column types as Arrow types, and casts that name the values that do not fit.

A value never changes to fit: a fraction in an integer, a decimal with more digits than its scale, a
timestamp finer than microseconds, a number out of range are misfits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Mask = npt.NDArray[np.bool_]

UTC_INSTANT = pa.timestamp("us", tz="UTC")
NAIVE = pa.timestamp("us")
TRUE_TEXTS = ("true", "t", "yes", "y", "1")
FALSE_TEXTS = ("false", "f", "no", "n", "0")

_SIMPLE: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": UTC_INSTANT,
    "timestamp_ntz": NAIVE,
}
_DECIMAL = re.compile(r"^decimal\((\d+),\s*(\d+)\)$")
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_INTEGER = r"^[+-]?[0-9]+$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}(:?[0-9]{2}(:?[0-9]{2}(\.[0-9]{1,6})?)?)?)?"
_ZONE = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
_MONTH_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0])


@dataclass(frozen=True)
class Cast:
    """A column in its declared type; misfits are null in `values` and True in `misfit`."""

    values: pa.Array
    misfit: Mask | None = None


def arrow_type(declared: str) -> pa.DataType:
    """The Arrow type of a declared column type, as `decimal(10,2)` or `timestamp`."""
    if match := _DECIMAL.match(declared):
        return pa.decimal128(int(match[1]), int(match[2]))
    return _SIMPLE[declared]


def declared_type(arrow: pa.DataType) -> str:
    """The declared type that keeps every value of an Arrow type; `string` where no other does."""
    if pa.types.is_decimal(arrow):
        fits = arrow.precision <= 38 and 0 <= arrow.scale <= arrow.precision
        return f"decimal({arrow.precision},{arrow.scale})" if fits else "string"
    if pa.types.is_timestamp(arrow):
        return "timestamp" if arrow.tz else "timestamp_ntz"
    for names, test in _FAMILIES:
        if test(arrow):
            return names
    return "string"


_FAMILIES: tuple[tuple[str, Callable[[pa.DataType], bool]], ...] = (
    ("boolean", pa.types.is_boolean),
    ("smallint", lambda t: t in (pa.int8(), pa.int16(), pa.uint8())),
    ("int", lambda t: t in (pa.int32(), pa.uint16())),
    ("bigint", lambda t: t in (pa.int64(), pa.uint32())),
    ("float", lambda t: t in (pa.float16(), pa.float32())),
    ("double", pa.types.is_float64),
    ("date", pa.types.is_date),
)


def cast_column(column: pa.Array, declared: str) -> Cast:
    """Casts any Arrow column to its declared type, safely.

    Text goes through `cast_text`; instants without a zone count as UTC.
    """
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return cast_column(column.storage, declared)
    if pa.types.is_dictionary(kind):
        return cast_column(column.dictionary_decode(), declared)
    if kind == arrow_type(declared) and not pa.types.is_string(kind):
        return Cast(column)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return cast_text(column.cast(pa.string()), declared)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return _then(_decoded(column.cast(pa.binary())), declared)
    if pa.types.is_nested(kind) or not _convertible(kind, declared):
        return Cast(pa.nulls(len(column), arrow_type(declared)), _marks(_valid(column)))
    cast = _bisect(_in_range(column, declared), lambda part: _convert_typed(part, declared))
    return _marked(cast.values, _valid(column) & ~_valid(cast.values))


def cast_text(column: pa.Array, declared: str) -> Cast:
    """Reads a text column as its declared type.

    Spaces and tabs around a value of another type than `string` do not count. NaN and infinities in
    text are misfits; so is a NUL character in a string.
    """
    if declared == "string":
        return _marked(column, _true(pc.match_substring(column, "\0")))
    trimmed = pc.utf8_trim(column, " \t")
    if declared == "boolean":
        return _booleans(trimmed)
    plain = _true(pc.match_substring_regex(trimmed, _pattern(declared)))
    if declared.startswith(("date", "timestamp")):
        plain &= _on_calendar(pc.if_else(pa.array(plain), trimmed, pa.scalar(None, pa.string())))
    candidates = pc.if_else(pa.array(plain), trimmed, pa.scalar(None, pa.string()))
    cast = _bisect(candidates, lambda part: _convert_text(part, declared))
    return _marked(cast.values, _valid(column) & ~_valid(cast.values))


def _on_calendar(texts: pa.Array) -> Mask:
    """Whether texts that start as YYYY-MM-DD name a day that there is; spares the bisection."""
    year, month, day = (
        pc.fill_null(pc.utf8_slice_codeunits(texts, start, stop), "0").cast(pa.int32()).to_numpy()
        for start, stop in ((0, 4), (5, 7), (8, 10))
    )
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days = _MONTH_DAYS[np.clip(month, 0, 13)] + ((month == 2) & leap)
    return np.asarray((day >= 1) & (day <= days), dtype=bool)


def _pattern(declared: str) -> str:
    if declared in ("smallint", "int", "bigint"):
        return _INTEGER
    if declared == "date":
        return _DATE
    if declared == "timestamp":
        return f"{_TIME}{_ZONE[:-1]}?$"
    return f"{_TIME}$" if declared == "timestamp_ntz" else _NUMBER


def _convert_text(part: pa.Array, declared: str) -> pa.Array:
    target = arrow_type(declared)
    if pa.types.is_integer(target):
        return pc.utf8_ltrim(part, "+").cast(target)
    if declared == "timestamp":
        return _instants(part)
    values = part.cast(target)
    return _finite(values) if pa.types.is_floating(target) else values


def _instants(part: pa.Array) -> pa.Array:
    zoned = pa.array(_true(pc.match_substring_regex(part, _ZONE_AFTER_TIME)))
    nothing = pa.scalar(None, pa.string())
    with_zone = pc.if_else(zoned, part, nothing).cast(UTC_INSTANT)
    without = pc.if_else(zoned, nothing, part).cast(NAIVE).view(UTC_INSTANT)
    return pc.coalesce(with_zone, without)


_ZONE_AFTER_TIME = r"[T ].*" + _ZONE


def _convert_typed(part: pa.Array, declared: str) -> pa.Array:
    target, kind = arrow_type(declared), part.type
    if pa.types.is_timestamp(target) and pa.types.is_timestamp(kind):
        exact = part.cast(pa.timestamp("us", tz=kind.tz))
        return exact.cast(NAIVE).view(target) if kind.tz in (None, "UTC") else exact.cast(target)
    if pa.types.is_decimal(target) and pa.types.is_floating(kind):
        return part.cast(pa.string()).cast(target)
    return part.cast(target)


def _convertible(kind: pa.DataType, declared: str) -> bool:
    """False for pairs where Arrow would reinterpret bits or forget a part of the value."""
    numbers = ("smallint", "int", "bigint", "float", "double")
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return declared in (*numbers, "string") or declared.startswith("decimal")
    if pa.types.is_timestamp(kind):
        return (
            declared in ("string", "date")
            or declared == ("timestamp" if kind.tz else "timestamp_ntz")
            or (declared == "timestamp" and kind.tz is None)
        )
    if pa.types.is_date(kind):
        return declared in ("string", "date", "timestamp_ntz", "timestamp")
    return declared == "string" or pa.types.is_null(kind) or (pa.types.is_boolean(kind) and declared == "boolean")


def _booleans(trimmed: pa.Array) -> Cast:
    lowered = pc.utf8_lower(trimmed)
    true = pc.is_in(lowered, pa.array(TRUE_TEXTS))
    known = pc.or_(true, pc.is_in(lowered, pa.array(FALSE_TEXTS)))
    values = pc.if_else(known, true, pa.scalar(None, pa.bool_()))
    return _marked(values, _valid(trimmed) & ~_valid(values))


def _finite(values: pa.Array) -> pa.Array:
    if not pc.all(pc.is_finite(values), skip_nulls=True).as_py() and len(values.drop_null()):
        raise pa.ArrowInvalid("not a finite number")
    return values


def _bisect(column: pa.Array, convert: Callable[[pa.Array], pa.Array]) -> Cast:
    """Converts a column; where that fails, halves it until the values that fail stand alone."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    pieces: list[pa.Array] = []
    _halve(column, convert, pieces, convert(column.slice(0, 0)).type)
    values = pieces[0] if len(pieces) == 1 else pa.concat_arrays(pieces)
    return _marked(values, _valid(column) & ~_valid(values))


def _halve(
    column: pa.Array, convert: Callable[[pa.Array], pa.Array], pieces: list[pa.Array], target: pa.DataType
) -> None:
    try:
        pieces.append(convert(column))
    except (pa.ArrowInvalid, OverflowError, ValueError):
        if len(column) == 1:
            pieces.append(pa.nulls(1, target))
            return
        middle = len(column) // 2
        _halve(column.slice(0, middle), convert, pieces, target)
        _halve(column.slice(middle), convert, pieces, target)


def _in_range(column: pa.Array, declared: str) -> pa.Array:
    """Numbers that an integer type cannot hold as null: spares the bisection where there are many."""
    if declared not in ("smallint", "int", "bigint") or not (
        pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    ):
        return column
    limit = 2 ** (arrow_type(declared).bit_width - 1)
    if pa.types.is_floating(column.type):
        numbers = column.cast(pa.float64())
        whole = pc.equal(numbers, pc.floor(numbers))
        fits = pc.and_(whole, pc.and_(pc.greater_equal(numbers, float(-limit)), pc.less(numbers, float(limit))))
    else:
        fits = pc.is_valid(column)
        if _holds(column.type, limit):
            fits = pc.and_(fits, pc.less(column, pa.scalar(limit, column.type)))
        if _holds(column.type, -limit):
            fits = pc.and_(fits, pc.greater_equal(column, pa.scalar(-limit, column.type)))
    return pc.if_else(fits, column, pa.scalar(None, column.type))


def _holds(integers: pa.DataType, value: int) -> bool:
    signed = pa.types.is_signed_integer(integers)
    top = 2 ** (integers.bit_width - signed)
    return bool((-top if signed else 0) <= value < top)


def _decoded(column: pa.Array) -> Cast:
    try:
        return Cast(column.cast(pa.string()))
    except pa.ArrowInvalid:
        texts = [_utf8(value) for value in column.to_pylist()]
        values = pa.array(texts, type=pa.string())
        return Cast(values, _marks(_valid(column) & ~_valid(values)))


def _utf8(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _marks(mask: Mask) -> Mask | None:
    return mask if mask.any() else None


def _then(first: Cast, declared: str) -> Cast:
    second = cast_text(first.values, declared)
    misfits = [mask for mask in (first.misfit, second.misfit) if mask is not None]
    return Cast(second.values, np.logical_or.reduce(misfits) if misfits else None)


def _marked(values: pa.Array, misfit: Mask) -> Cast:
    if not misfit.any():
        return Cast(values)
    return Cast(pc.if_else(pa.array(misfit), pa.scalar(None, values.type), values), misfit)


def _true(mask: pa.Array) -> Mask:
    return np.asarray(pc.fill_null(mask, fill_value=False).to_numpy(zero_copy_only=False), dtype=bool)


def _valid(column: pa.Array) -> Mask:
    return np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False), dtype=bool)
