"""The trigger that watches for a source's files while no task slot is held."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from batch_processing.errors import BatchError
from batch_processing.settings.models import FilesSpec

if TYPE_CHECKING:
    from batch_processing.sources.files import Look

FIRST_LOOK_SECONDS = 5.0
"""At least this long before the first look. A trigger that fires while the scheduler has not yet read that the deferred
task's process ended makes Airflow take the resumed task for one killed from outside, which costs a try."""

Seen = Mapping[str, tuple[int, float]]
"""Path -> size in bytes and mtime, as the last look found them."""


class FilesTrigger(BaseTrigger):
    """Looks at a path until its files are complete or the deadline has passed.

    The looks run in a thread, so that a slow disk does not hold up the triggerer's other triggers. The
    event is `{"ready": true, "paths": [...]}` or `{"ready": false, "why": "..."}`.

    Args:
        pattern: the path, rendered.
        files: the declaration's `files`, as `files_to_json` gives it.
        seen: what the last look found, so that a resumed trigger goes on from there.
        deadline: seconds since the epoch.
    """

    def __init__(self, *, pattern: str, files: dict[str, Any], seen: dict[str, list[float]], deadline: float) -> None:
        super().__init__()
        self.pattern = pattern
        self.files = files
        self.seen = seen
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, from which the triggerer makes it again."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"pattern": self.pattern, "files": self.files, "seen": self.seen, "deadline": self.deadline},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields one event."""
        spec = FilesSpec.model_validate(self.files)
        seen = from_json(self.seen)
        pause = max(spec.poke.total_seconds(), FIRST_LOOK_SECONDS)
        while True:
            await asyncio.sleep(pause)
            pause = spec.poke.total_seconds()
            try:
                look = await asyncio.to_thread(_look, self.pattern, spec, seen)
            except BatchError as error:
                yield TriggerEvent({"ready": False, "why": str(error)})
                return
            if look.ready:
                yield TriggerEvent({"ready": True, "paths": sorted(look.seen)})
                return
            if time.time() >= self.deadline:
                yield TriggerEvent({"ready": False, "why": look.why})
                return
            self.log.info("waiting for %s: %s", self.pattern, look.why)
            seen = dict(look.seen)


def files_to_json(spec: FilesSpec) -> dict[str, Any]:
    """The declaration's `files` as JSON that reads back: durations in seconds."""
    given = spec.model_dump()
    return {name: value.total_seconds() if isinstance(value, timedelta) else value for name, value in given.items()}


def to_json(seen: Seen) -> dict[str, list[float]]:
    """What a look found, as JSON."""
    return {path: [float(size), mtime] for path, (size, mtime) in seen.items()}


def from_json(seen: Mapping[str, list[float]]) -> dict[str, tuple[int, float]]:
    """What a look found, from JSON."""
    return {path: (int(size), mtime) for path, (size, mtime) in seen.items()}


def _look(pattern: str, spec: FilesSpec, seen: Seen) -> Look:
    from batch_processing.sources.files import look_for_files

    return look_for_files(pattern, spec, previous=seen)
