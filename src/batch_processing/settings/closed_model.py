"""The base of the declaration's models: frozen, closed to unknown keys, all problems reported together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

Key = tuple[str | int, ...]
Clash = tuple[Key, str]
"""Where, below the model, and what is wrong with keys that do not go together."""


class Model(BaseModel):
    """Frozen, and closed to unknown keys.

    A model's `clashes` looks at the keys as given, so that they are reported together with the keys that are
    wrong by themselves, not one after the other.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @classmethod
    def clashes(cls, given: Mapping[str, Any]) -> Iterator[Clash]:  # noqa: ARG003 - for the models below
        """Problems between keys; values may be of any type yet."""
        yield from ()

    @model_validator(mode="wrap")
    @classmethod
    def _report_together(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        clashes = [_detail(key, text) for key, text in cls.clashes(value)] if isinstance(value, dict) else []
        if not clashes:
            return handler(value)
        try:
            handler(value)
        except ValidationError as error:
            clashes = [*(_again(detail) for detail in error.errors(include_url=False)), *clashes]
        raise ValidationError.from_exception_data(cls.__name__, clashes)


def _detail(key: Key, text: str) -> InitErrorDetails:
    return InitErrorDetails(type=PydanticCustomError("clash", "{text}", {"text": text}), loc=key, input=None)


def _again(detail: Any) -> InitErrorDetails:
    if detail["type"] == "clash":
        return _detail(detail["loc"], detail["msg"])
    return InitErrorDetails(type=detail["type"], loc=detail["loc"], input=detail["input"], ctx=detail.get("ctx", {}))


def repeated(key: str, given: Mapping[str, Any]) -> Iterator[Clash]:
    """Names that a list holds twice, upper and lower case not told apart."""
    names = given.get(key)
    seen: set[str] = set()
    for place, name in enumerate(names if isinstance(names, list | tuple) else ()):
        if isinstance(name, str):
            if name.lower() in seen:
                yield (key, place), f"{name!r} is named twice"
            seen.add(name.lower())


def or_short(handler: GetJsonSchemaHandler, schema: CoreSchema, *, description: str) -> JsonSchemaValue:
    """A model's JSON Schema that also accepts its short form, a text."""
    return {"anyOf": [{"type": "string", "description": description}, handler(schema)]}
