"""The control store, for commands that only look back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batch_processing.control.store import ControlStore
from batch_processing.errors import UsageError
from batch_processing.settings.project import Project

_SQLITE = "sqlite:///"


@contextmanager
def looking_back(project: Project) -> Iterator[ControlStore]:
    """Opens the project's store; one that does not exist yet is not made.

    Raises:
        UsageError: nothing has run in this project.
    """
    url = project.control_url
    if url.startswith(_SQLITE) and not Path(url.removeprefix(_SQLITE)).is_file():
        raise UsageError(
            "no run is recorded",
            where=f"looked for {url.removeprefix(_SQLITE)}",
            fix="go to the project's folder, or run a pipeline first: batchctl run",
        )
    with ControlStore.open(url) as control:
        yield control
