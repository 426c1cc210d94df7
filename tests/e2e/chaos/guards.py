"""The guards that make a killed run harmless, each with the way to switch it off in a child process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Guard:
    """A guard.

    Attributes:
        what: what it does.
        switch_off: replaces it by what a writer without it would do, in this process.
    """

    what: str
    switch_off: Callable[[], None]


GUARDS: dict[str, Guard] = {}
