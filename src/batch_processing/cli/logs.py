"""Where log lines go: a file in the run's folder, and standard error where that is asked for."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batch_processing.errors import StorageError

FORMAT = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
FILE_NAME = "run.log"


class RunFormatter(logging.Formatter):
    """The common format, with run and slice at the start of every message."""

    def __init__(self, label: str) -> None:
        super().__init__(FORMAT)
        self._label = label

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        shown = logging.makeLogRecord(record.__dict__)
        shown.message = f"[{self._label}] {record.message}"
        return super().formatMessage(shown)


@contextmanager
def run_log(folder: Path, *, label: str, verbose: bool) -> Iterator[Path]:
    """Sends log lines and Python's warnings to `folder/run.log` while it is open.

    Raises:
        StorageError: the file cannot be made.
    """
    path = folder / FILE_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handlers: list[logging.Handler] = [logging.FileHandler(path, encoding="utf-8", errors="replace")]
    except OSError as error:
        raise StorageError(
            "cannot write the run's log", where=str(path), found=error.strerror or "", fix="check space and rights"
        ) from error
    if verbose:
        handlers.append(logging.StreamHandler(sys.stderr))
    root, level = logging.getLogger(), logging.getLogger().level
    for handler in handlers:
        handler.setFormatter(RunFormatter(label))
        root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    try:
        yield path
    finally:
        logging.captureWarnings(capture=False)
        root.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
