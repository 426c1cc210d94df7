"""SHA-256 of the files that one step hands to the next: taken when written, compared before they are relied on.

A file is read once per process for as long as it stays as it was: same inode, size and times. A change within the
same tick of its clock would not show there, so a tick passes before a file is read that may have changed just now: one
whose times are recent, or ahead of the local clock, as a file server's may be.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from batch_processing.errors import LedgerError, StorageError
from batch_processing.results import Published

T = TypeVar("T")

_TICK_NS = 20_000_000
_READERS = 4
_KEPT = 50_000
_seen: dict[str, tuple[tuple[int, ...], str]] = {}
_KEEPING = threading.Lock()


def file_digests(paths: Iterable[Path | str], *, fix: str = "run the step again that writes it") -> dict[str, str]:
    """Hex SHA-256 of files by path, a few of them read at once.

    Args:
        paths: the files.
        fix: what to do where one cannot be read.

    Raises:
        StorageError: a file cannot be read.
    """
    names = [str(path) for path in paths]
    states = _of_each(names, lambda name: _told(name, lambda: _state(name), fix))
    unread = [state for name, state in states.items() if _kept(name, state) is None]
    if any(max(state[-2:]) > time.time_ns() - _TICK_NS for state in unread):
        time.sleep(_TICK_NS / 1e9)
    return _of_each(names, lambda name: _digest(name, states[name], fix))


def check_files(expected: Mapping[str, str], *, hop: str, what: str, fix: str, rows: int | None = None) -> None:
    """Compares Parquet files with the digests they had when they were written.

    Args:
        expected: path -> hex SHA-256; an empty one is not known, and not compared.
        hop: the hop's name, as `extract orders`.
        what: what kind of file, as `landed`.
        fix: what to do where one differs or cannot be read.
        rows: what all of the files held; told beside what they hold now.

    Raises:
        LedgerError: files differ.
        StorageError: a file cannot be read.
    """
    known = {path: digest for path, digest in expected.items() if digest}
    found = file_digests(known, fix=fix)
    changed = [path for path, digest in known.items() if found[path] != digest]
    if not changed:
        return
    first = changed[0]
    digests = f"SHA-256 {found[first]}, was {known[first]}"
    raise LedgerError(
        f"the row ledger breaks at {hop}: {len(changed):,} of {len(known):,} {what} files changed after their writing",
        where=first,
        found=digests if rows is None else f"{rows:,} rows written, {_counted(known)} in the files now; {digests}",
        fix=fix,
    )


def contents_of(published: Published) -> str:
    """One SHA-256 that stands for a commit's files: over their paths in the table and their digests, in path order.

    Returns:
        64 hex digits; "" where there is no file, or the commit does not say all digests.
    """
    if not published.digests or len(published.digests) != len(published.files) or not all(published.digests):
        return ""
    root = published.table.rstrip("/") + "/"
    names = (file.removeprefix(root) for file in published.files)
    lines = "\n".join(f"{name}\t{digest}" for name, digest in sorted(zip(names, published.digests, strict=True)))
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def _counted(paths: Iterable[str]) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return f"{sum(pq.read_metadata(path).num_rows for path in paths):,}"
    except (OSError, pa.ArrowException):
        return "an unreadable number"


def _of_each(names: list[str], action: Callable[[str], T]) -> dict[str, T]:
    if len(names) < 2:
        return {name: action(name) for name in names}
    with ThreadPoolExecutor(min(_READERS, os.cpu_count() or 1), thread_name_prefix="digest") as pool:
        return dict(zip(names, pool.map(action, names), strict=True))


def _kept(path: str, state: tuple[int, ...]) -> str | None:
    known = _seen.get(path)
    return known[1] if known is not None and known[0] == state else None


def _digest(path: str, before: tuple[int, ...], fix: str) -> str:
    """The digest of a file that was seen in the state `before`, a tick ago where that may matter."""
    if (digest := _kept(path, before)) is not None:
        return digest
    digest = _told(path, lambda: _read(path), fix)
    if _told(path, lambda: _state(path), fix) == before:
        with _KEEPING:
            _seen.pop(path, None)
            while len(_seen) >= _KEPT:
                del _seen[next(iter(_seen))]
            _seen[path] = (before, digest)
    return digest


def _state(path: str) -> tuple[int, ...]:
    found = Path(path).stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _read(path: str) -> str:
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _told(path: str, action: Callable[[], T], fix: str) -> T:
    try:
        return action()
    except OSError as error:
        raise StorageError(
            "a file that an earlier step wrote cannot be read",
            where=path,
            found=error.strerror or type(error).__name__,
            fix=fix,
        ) from error
