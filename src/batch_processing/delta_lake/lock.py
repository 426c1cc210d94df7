"""A lock between processes around commits on a local disk.

It spares conflicts; it does not make commits safe. What does is that delta-rs creates the log entry only if it is
absent. So a process that was frozen while it held the lock stops nobody: after `patience` seconds others commit
without it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from batch_processing.errors import StorageError

_LOG = logging.getLogger(__name__)
_NAME = ".publish.lock"


@contextlib.contextmanager
def commit_lock(root: Path, *, patience: float = 30.0) -> Iterator[bool]:
    """Holds `<table>/.publish.lock`, a hidden file that readers of the table do not look at. Yields whether it is held.

    Args:
        root: the table's root.
        patience: seconds to wait before going on without it.

    Raises:
        StorageError: the lock file cannot be made.
    """
    lock = FileLock(root / _NAME)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        _LOG.warning("went on without the lock of %s: its holder did not end within %s s", root, patience)
        yield False
        return
    except OSError as error:
        raise StorageError(
            "cannot lock the table", where=str(root / _NAME), found=error.strerror or "", fix="check its rights"
        ) from error
    try:
        yield True
    finally:
        lock.release()
