"""Nested values as JSON text, exactly: decimals keep their digits, what JSON has no number for becomes text."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa

Encoder = Callable[[Any], str]


def json_array(values: pa.Array, *, prefix: bytes = b"") -> pa.Array:
    """JSON text of each nested value, as binary with `prefix` before it; null stays null.

    Numbers and booleans stay such; NaN and infinities become "NaN", "Infinity", "-Infinity"; dates and times
    become ISO 8601 text (an instant ends in Z); binary becomes base64; a map becomes an object.

    Raises:
        OverflowError, ValueError: a date or time is beyond the years 1 to 9999.
    """
    encode = _encoder(values.type)
    return pa.array(
        [None if value is None else prefix + encode(value).encode() for value in values.to_pylist()], type=pa.binary()
    )


def _encoder(kind: pa.DataType) -> Encoder:
    if pa.types.is_struct(kind):
        return _struct_encoder(kind)
    if pa.types.is_map(kind):
        return _map_encoder(kind)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        item = _nullable(_encoder(kind.value_type))
        return lambda value: "[" + ",".join(map(item, value)) + "]"
    return _nullable(_scalar_encoder(kind))


def _struct_encoder(kind: pa.DataType) -> Encoder:
    fields = [(field.name, json.dumps(field.name) + ":", _nullable(_encoder(field.type))) for field in kind]
    return lambda value: "{" + ",".join(label + encode(value[name]) for name, label, encode in fields) + "}"


def _map_encoder(kind: pa.DataType) -> Encoder:
    key, item = _encoder(kind.key_type), _nullable(_encoder(kind.item_type))

    def label(value: Any) -> str:
        text = key(value)
        return text if text.startswith('"') else json.dumps(text)

    return lambda value: "{" + ",".join(label(k) + ":" + item(v) for k, v in value) + "}"


def _nullable(encode: Encoder) -> Encoder:
    return lambda value: "null" if value is None else encode(value)


def _scalar_encoder(kind: pa.DataType) -> Encoder:
    if pa.types.is_floating(kind):
        return _float
    if pa.types.is_decimal(kind):
        return lambda value: format(value, "f")
    if pa.types.is_timestamp(kind):
        suffix = "Z" if kind.tz else ""
        return lambda value: f'"{value.replace(tzinfo=None).isoformat()}{suffix}"'
    if pa.types.is_date(kind):
        return lambda value: f'"{value.isoformat()}"'
    if pa.types.is_binary(kind):
        return lambda value: f'"{base64.b64encode(value).decode()}"'
    return lambda value: json.dumps(value, ensure_ascii=False)


def _float(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'
