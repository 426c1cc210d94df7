"""pydantic's errors as problems of a declaration: where, what was found, what is valid."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from batch_processing.errors import Problem
from batch_processing.settings.document import Document, Path_, dotted
from batch_processing.settings.models import PipelineSpec
from batch_processing.settings.templates import near

_MUST_BE = {
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "tuple_type": "must be a list, as [a, b]",
    "list_type": "must be a list, as [a, b]",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "datetime_type": "must be a date, as 2026-11-01",
    "datetime_parsing": "must be a date, as 2026-11-01",
    "datetime_from_date_parsing": "must be a date, as 2026-11-01",
    "datetime_object_invalid": "must be a date, as 2026-11-01",
}
_SECRET = re.compile(r"://|@|passw|token|secret|key", re.IGNORECASE)
_LONGEST_FOUND = 60
MOST_PROBLEMS = 500
"""Most problems that are listed one by one."""
_RANGES = {"greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most")}


def problems_of(error: ValidationError, document: Document, *, file: str) -> Iterator[Problem]:
    """One problem per error, with its line; the last one counts those that are too many to list."""
    for detail in error.errors(include_url=False)[:MOST_PROBLEMS]:
        path = tuple(part for part in detail["loc"] if part != "[key]")
        yield Problem(
            _message(detail, path, document),
            key=dotted(path),
            file=file,
            line=document.line_of(path),
        )
    if (left := error.error_count() - MOST_PROBLEMS) > 0:
        yield Problem(f"{left} further problems are not listed", file=file)


def _message(detail: Any, path: Path_, document: Document) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    given = detail["input"]
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind == "missing":
        return "is missing"
    if kind in ("clash", "value_error"):
        return str(context.get("error", context.get("text", detail["msg"])))
    if kind == "literal_error":
        valid = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        hint = near(given, valid) if isinstance(given, str) else ""
        return f"{_found(given, path, document)}{hint}; valid: {', '.join(valid)}"
    if kind in _RANGES:
        key, words = _RANGES[kind]
        return f"must be {words} {context.get(key)}, {_found(given, path, document)}"
    if kind in _MUST_BE:
        return f"{_MUST_BE[kind]}, {_found(given, path, document)}{_quotes(kind, path, document)}"
    if kind == "string_pattern_mismatch":
        return f"is not a name, {_found(given, path, document)}; valid: a letter, then letters, digits and `_`"
    if kind in ("string_too_short", "string_too_long") and context.get("min_length", context.get("max_length")) == 1:
        return "must be one character"
    if kind == "too_short":
        return "is empty; give at least one"
    return f"{detail['msg']}, {_found(given, path, document)}"


def _unknown_key(path: Path_) -> str:
    valid = valid_keys(path[:-1])
    hint = near(str(path[-1]), valid) if path else ""
    return f"unknown key{hint}; valid: {', '.join(valid)}"


def _quotes(kind: str, path: Path_, document: Document) -> str:
    return "; put it in quotes" if kind == "string_type" and path in document.texts else ""


def _found(value: object, path: Path_, document: Document) -> str:
    """What was given, in a few characters; never what may hold a credential."""
    if path in document.texts and (value is None or isinstance(value, bool)):
        word = "nothing" if value is None else f"`{document.texts[path]}`, which YAML reads as {str(value).lower()}"
        return f"found {word}"
    if isinstance(value, dict):
        return "found a mapping"
    if isinstance(value, list | tuple):
        return "found a list"
    if value is None:
        return "found nothing"
    text = document.texts.get(path, str(value))
    if _SECRET.search(text) or _SECRET.search(str(path[-1]) if path else ""):
        return "found another text"
    return f"found {text[:_LONGEST_FOUND]!r}" + ("..." if len(text) > _LONGEST_FOUND else "")


def valid_keys(path: Path_) -> list[str]:
    """The keys that the mapping at a path may hold; empty where any key goes."""
    model: Any = PipelineSpec
    for part in path:
        model = _below(model, part)
    if not _is_model(model):
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _below(kind: Any, part: str | int) -> Any:
    """The type of what a key or a place of a type holds."""
    if _is_model(kind):
        for name, field in kind.model_fields.items():
            if part in (name, field.alias):
                return _bare(field.annotation)
        return None
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return _bare(arguments[1])
    return _bare(arguments[0]) if get_origin(kind) in (tuple, list) else None


def _bare(annotation: Any) -> Any:
    """A type without `Annotated` and without `| None`."""
    if hasattr(annotation, "__metadata__"):
        return _bare(annotation.__origin__)
    if get_origin(annotation) in (Union, types.UnionType):
        return next((_bare(choice) for choice in get_args(annotation) if choice is not type(None)), None)
    return annotation
