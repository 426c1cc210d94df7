"""The control store, for commands that only look back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batch_processing.control.store import ControlStore
from batch_processing.errors import ControlStoreError, UsageError
from batch_processing.pipeline.interruption import end_interrupted
from batch_processing.settings.project import Project

_LOG = logging.getLogger(__name__)
_SQLITE = "sqlite:///"


@contextmanager
def looking_back(project: Project) -> Iterator[ControlStore]:
    """Opens the project's store; one that does not exist yet is not made.

    Runs whose process is gone are ended there first, where the store may be written.

    Raises:
        UsageError: nothing has run in this project.
    """
    url = project.control_url
    if not has_store(project):
        raise UsageError(
            "no run is recorded",
            where=f"looked for {url.removeprefix(_SQLITE)}",
            fix="go to the project's folder, or run a pipeline first: batchctl run",
        )
    with ControlStore.open(url) as control:
        try:
            end_interrupted(control)
        except ControlStoreError as error:
            _LOG.warning("interrupted runs stay recorded as running: %s", error)
        yield control


def has_store(project: Project) -> bool:
    """False where the store would be a file that is not there yet; a server is taken to have one."""
    url = project.control_url
    return not url.startswith(_SQLITE) or Path(url.removeprefix(_SQLITE)).is_file()
