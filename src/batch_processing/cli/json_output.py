"""Standard output for a program: one JSON object and nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from typing import Any, TextIO

_kept: ContextVar[TextIO | None] = ContextVar("standard_output", default=None)


@contextmanager
def json_alone(wanted: bool) -> Iterator[None]:
    """Within the block, where that is wanted, standard output is for `write_json`.

    What checks, transforms and libraries print goes to standard error.
    """
    if not wanted:
        yield
        return
    token = _kept.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _kept.reset(token)


def write_json(value: Mapping[str, Any]) -> None:
    """Writes one object as one line; NaN and infinities, which JSON does not have, become text."""
    loose = json.dumps(value, default=str)
    text = json.dumps(json.loads(loose, parse_constant=str), ensure_ascii=False, allow_nan=False)
    standard_output().write(f"{text}\n")


def standard_output() -> TextIO:
    """The process's own, also where it is kept for JSON."""
    return _kept.get() or sys.stdout
