"""Limits of single rules, and of the score against earlier slices, as a declaration writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from batch_processing.settings.closed_model import Clash, Model
from batch_processing.settings.fields import Share

FEWEST_SLICES = 3
"""Earlier slices that a limit against history needs, unless `at_least` says otherwise."""

LAST_SLICES = 7
"""Earlier slices that a limit against history looks at, unless `last` says otherwise."""


def _number(value: object) -> object:
    if isinstance(value, bool):
        # `share: yes` would be read as 1, a limit that nothing can break.
        raise ValueError(f"must be a number, found {str(value).lower()}")  # noqa: TRY004 - pydantic reports a ValueError
    return value


_Number = BeforeValidator(_number)
_Share = Annotated[Share, _Number]
_Slices = Annotated[int, Field(ge=1, le=365), _Number]


class LimitSpec(Model):
    """What one rule may fail at most; all that is given has to hold.

    `share` (0..1) is of the rows that the rule judged, `count` is a number of rows. `worse_by` (0..1) limits the
    failing share, or the score, against its median over the latest `last` earlier slices; with fewer than `at_least`
    of them it is not judged.
    """

    share: _Share | None = None
    count: Annotated[int, Field(ge=0), _Number] | None = None
    worse_by: _Share | None = None
    last: _Slices = LAST_SLICES
    at_least: _Slices | None = None

    @classmethod
    def clashes(cls, given: Mapping[str, Any]) -> Iterator[Clash]:
        """Something to hold to, and a history only where one is asked for."""
        if all(given.get(key) is None for key in ("share", "count", "worse_by")):
            yield (), "limits nothing: give share, count or worse_by"
        if given.get("worse_by") is None:
            yield from (((key,), f"{key} belongs to worse_by") for key in ("last", "at_least") if key in given)
        last, least = given.get("last", LAST_SLICES), given.get("at_least")
        if isinstance(last, int) and isinstance(least, int) and least > last:
            yield ("at_least",), f"asks for {least} earlier slices, and last looks at {last}"
