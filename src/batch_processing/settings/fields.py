"""The kinds of text and number that a declaration's keys hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from batch_processing.settings.references import reference_problem
from batch_processing.settings.slices import schedule_problem
from batch_processing.settings.templates import is_template, near, template_problem
from batch_processing.settings.warehouse_table import VALID_TABLE, is_reserved, table_parts

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NAME = r"^[A-Za-z][A-Za-z0-9_]*$"
_DECIMAL = re.compile(r"decimal\((\d{1,2}), ?(\d{1,2})\)")
_MOST_DIGITS = 38
_CONNECTION_ID = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_TABLE_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*){0,2}")
_EMAIL = re.compile(r"[^@\s,;<>\"']+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_LONGEST_DURATION = timedelta(days=366)

SIMPLE_TYPES = (
    "boolean", "smallint", "int", "bigint", "float", "double", "string", "date", "timestamp", "timestamp_ntz",
)  # fmt: skip
"""Column types a source may declare, beside `decimal(p,s)`. `timestamp` is an instant in UTC."""


def _duration(value: object) -> object:
    valid = "a duration is a number with ms, s, m, h or d, as in 5m; at most 366d"
    if isinstance(value, timedelta):
        return value
    seconds = -1.0
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        seconds = float(match[1]) * _UNITS[match[2]]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value) if abs(value) < _LONGEST_DURATION.total_seconds() * 2 else -1.0
    if not 0.0 <= seconds <= _LONGEST_DURATION.total_seconds():
        raise ValueError(valid)
    return timedelta(seconds=seconds)


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than zero")
    return value


def _column_type(value: str) -> str:
    text = " ".join(value.lower().split())
    if text in SIMPLE_TYPES:
        return text
    if match := _DECIMAL.fullmatch(text):
        precision, scale = int(match[1]), int(match[2])
        if 1 <= precision <= _MOST_DIGITS and scale <= precision:
            return f"decimal({precision},{scale})"
        raise ValueError(f"decimal({precision},{scale}) does not exist: 1 to {_MOST_DIGITS} digits, scale within them")
    raise ValueError(
        f"unknown column type {value[:40]!r}{_near_type(text)}; valid: {', '.join(SIMPLE_TYPES)}, decimal(p,s)"
    )


_SYNONYMS = {
    "integer": "int", "long": "bigint", "int64": "bigint", "int32": "int", "text": "string", "varchar": "string",
    "str": "string", "bool": "boolean", "datetime": "timestamp", "numeric": "decimal(p,s)", "money": "decimal(p,s)",
    "number": "double", "float64": "double", "real": "float", "decimal": "decimal(p,s)",
}  # fmt: skip


def _near_type(text: str) -> str:
    if other := _SYNONYMS.get(text.partition("(")[0]):
        return f", did you mean {other!r}?"
    return near(text, SIMPLE_TYPES)


def _column_name(value: str) -> str:
    if not value or value != value.strip() or not value.isprintable():
        raise ValueError("a column name is not empty and has no space around it and no control characters")
    return value


def _template(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty")
    return _template_or_empty(value)


def _template_or_empty(value: str) -> str:
    if problem := template_problem(value):
        raise ValueError(problem)
    return value


def _threshold(value: object) -> object:
    valid = 'valid: a number from 0 to 1, as 0.95, or a template that renders to one, as "{{ var.value.NAME }}"'
    if isinstance(value, str) and is_template(value):
        return _template(value)
    number = _number(value)
    if number is None or not 0.0 <= number <= 1.0:
        found = "is not a number" if number is None else f"{number:g} is out of range"
        raise ValueError(f"{found}; {valid}")
    return number


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _plain(value: str) -> None:
    if is_template(value):
        raise ValueError("templates are not rendered in this key; write the text itself")


def _matching(pattern: re.Pattern[str], valid: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        _plain(value)
        if not pattern.fullmatch(value):
            raise ValueError(valid)
        return value

    return check


def _warehouse_table(value: str) -> str:
    _plain(value)
    parts = table_parts(value)
    if parts is None:
        raise ValueError(f"is not a table's name; valid: {VALID_TABLE}")
    if is_reserved(parts[1]):
        raise ValueError(f"{parts[1]!r} is reserved for the facts of loads; valid: any other name")
    return value


def _suite(value: str) -> str:
    _plain(value)
    if not value.strip() or not value.isprintable():
        raise ValueError("is not the name of a suite; valid: the name of a file in gx/expectations, without .json")
    return value


def _reference(value: str) -> str:
    _plain(value)
    if problem := reference_problem(value):
        raise ValueError(problem)
    return value


def _schedule(value: str) -> str:
    if problem := schedule_problem(value.strip()):
        raise ValueError(problem)
    return value.strip()


_DURATION_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|m|h|d)\s*$"},
        {"type": "number", "minimum": 0, "description": "Seconds."},
    ]
}
_THRESHOLD_SCHEMA = {
    "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "description": "Template."}]
}

Duration = Annotated[timedelta, BeforeValidator(_duration), WithJsonSchema(_DURATION_SCHEMA)]
PositiveDuration = Annotated[
    timedelta, AfterValidator(_positive), BeforeValidator(_duration), WithJsonSchema(_DURATION_SCHEMA)
]
ColumnType = Annotated[
    str,
    AfterValidator(_column_type),
    WithJsonSchema(
        {"anyOf": [{"enum": list(SIMPLE_TYPES)}, {"type": "string", "pattern": r"^decimal\(\d{1,2}, ?\d{1,2}\)$"}]}
    ),
]
ColumnName = Annotated[str, AfterValidator(_column_name), WithJsonSchema({"type": "string", "minLength": 1})]
Name = Annotated[str, Field(pattern=_NAME, max_length=200)]
RuleId = Annotated[str, Field(min_length=1, max_length=500)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Character = Annotated[str, Field(min_length=1, max_length=1)]
Threshold = Annotated[float | str, BeforeValidator(_threshold), WithJsonSchema(_THRESHOLD_SCHEMA)]
Template = Annotated[str, AfterValidator(_template)]
OptionalTemplate = Annotated[str, AfterValidator(_template_or_empty)]
Schedule = Annotated[str, AfterValidator(_schedule)]
Suite = Annotated[str, AfterValidator(_suite)]
Reference = Annotated[str, AfterValidator(_reference)]
ConnectionId = Annotated[
    str,
    AfterValidator(
        _matching(_CONNECTION_ID, "is not a connection's id; valid: letters, digits, `_`, `-`, `.`; never a URI")
    ),
]
TableName = Annotated[
    str,
    AfterValidator(
        _matching(_TABLE_NAME, "is not a table's name; valid: table or schema.table, of letters, digits and `_`")
    ),
]
WarehouseTable = Annotated[str, AfterValidator(_warehouse_table)]
Email = Annotated[str, AfterValidator(_matching(_EMAIL, "is not an email address; valid: name@host"))]
