"""Files as a source: when they are complete, what they are, and their extraction."""

from __future__ import annotations

import glob
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batch_processing.errors import SourceMissing, SourceUnreadable, StorageError, UsageError
from batch_processing.results import FileFact, Landed
from batch_processing.settings.models import FilesSpec, SourceSpec
from batch_processing.sources.delimited import land_delimited
from batch_processing.sources.json_lines import land_json_lines
from batch_processing.sources.landing import Landing
from batch_processing.sources.parquet import land_parquet
from batch_processing.storage import local_path, sha256_file

_LOG = logging.getLogger(__name__)

_TEMPORARY = (".tmp", ".part", ".partial", ".crdownload", ".filepart", ".swp", "~")
_SUCCESS = "_SUCCESS"
_READERS: Mapping[str, Callable[..., int]] = {
    "csv": land_delimited,
    "jsonl": land_json_lines,
    "parquet": land_parquet,
}


@dataclass(frozen=True)
class Look:
    """One look at a path.

    Attributes:
        ready: whether there are files and all of them are complete.
        seen: path -> (size in bytes, mtime in seconds), for the next look.
        why: why it is not ready, for a person; empty where it is.
    """

    ready: bool
    seen: dict[str, tuple[int, float]]
    why: str = ""


def look_for_files(pattern: str, spec: FilesSpec, *, previous: Mapping[str, tuple[int, float]] | None) -> Look:
    """Looks once, without waiting.

    Args:
        pattern: path or glob (`*`, `?`, `**`), rendered.
        spec: `ready` and `marker_suffix` are read.
        previous: what the last look saw; only `ready: stable` needs it.
    """
    seen = _matching(pattern, spec)
    if not seen:
        return Look(ready=False, seen={}, why="no file matches")
    if spec.ready == "marker":
        waiting = [path for path in seen if not _marked(Path(path), spec.marker_suffix)]
        why = f"{_count(waiting)} without {spec.marker_suffix} or {_SUCCESS}: {_some(waiting)}" if waiting else ""
        return Look(ready=not waiting, seen=seen, why=why)
    if spec.ready == "stable" and dict(previous or {}) != seen:
        changed = [p for p in seen if (previous or {}).get(p) != seen[p]]
        why = f"{_count(changed)} new or still changing: {_some(changed)}" if changed else "a file has gone"
        return Look(ready=False, seen=seen, why=why)
    return Look(ready=True, seen=seen)


def wait_for_files(
    pattern: str,
    spec: FilesSpec,
    *,
    allow_empty: bool = False,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[FileFact, ...]:
    """Waits until the files of a pattern are complete.

    Args:
        pattern: path or glob, rendered.
        spec: `poke` is the time between looks, `timeout` the longest wait.
        allow_empty: at the timeout, no file at all is an answer and not an error.

    Raises:
        SourceMissing: nothing complete within the timeout.
    """
    deadline = clock() + spec.timeout.total_seconds()
    previous: dict[str, tuple[int, float]] | None = None
    while True:
        look = look_for_files(pattern, spec, previous=previous)
        if look.ready:
            return file_facts(look.seen)
        if clock() >= deadline:
            if allow_empty and not look.seen:
                return ()
            raise _missing(pattern, spec, look)
        _LOG.debug("waiting for %s: %s", pattern, look.why)
        previous = look.seen
        sleep(min(spec.poke.total_seconds(), max(deadline - clock(), 0.0)))


def file_facts(paths: Iterable[str]) -> tuple[FileFact, ...]:
    """Size, mtime and SHA-256 of files, sorted by path.

    Raises:
        SourceMissing: a file is gone.
        SourceUnreadable: no right to read it, or it changed while it was read.
    """
    return tuple(_fact(path) for path in sorted(paths))


def chunk_files(facts: Sequence[FileFact], size: int) -> tuple[tuple[FileFact, ...], ...]:
    """Files in groups of at most `size`, in order; one empty group where there are no files."""
    return tuple(tuple(facts[i : i + size]) for i in range(0, len(facts), size)) or ((),)


def extract_files(facts: Sequence[FileFact], *, source: str, spec: SourceSpec, folder: Path) -> Landed:
    """Lands files as typed Parquet, with what cannot be read as declared as rejects.

    Args:
        facts: the files, as they were when found complete.
        source: the source's name.
        spec: a source of kind `files`.
        folder: where `part-*.parquet` and `rejects-*.parquet` go; leftovers there are replaced.

    Raises:
        SourceMissing: a file is gone.
        SourceUnreadable: a file changed since it was found, is damaged, or is of another format.
        SourceSchemaError: other columns than declared, or more rejects than `max_rejected`.
        LedgerError: rows were lost or doubled.
    """
    if spec.files is None:
        raise UsageError("extract_files needs a source of kind files", where=f"sources.{source}", found=spec.kind)
    reader, read = _READERS[spec.files.format], 0
    with Landing(folder, columns=spec.columns, source=source) as landing:
        for fact in facts:
            _check_unchanged(fact)
            read += reader(fact.path, spec=spec.files, columns=spec.columns, landing=landing)
            _check_unchanged(fact)
        return landing.finish(read=read, max_rejected=spec.max_rejected, inputs=facts)


def _matching(pattern: str, spec: FilesSpec) -> dict[str, tuple[int, float]]:
    seen = {}
    for path in sorted(set(glob.glob(str(local_path(pattern)), recursive=True))):  # noqa: PTH207 - Path.glob takes no absolute pattern
        if _counts(Path(path), spec):
            try:
                status = Path(path).stat()
            except FileNotFoundError:
                continue
            seen[path] = (status.st_size, status.st_mtime)
    return seen


def _counts(path: Path, spec: FilesSpec) -> bool:
    name = path.name
    if name.startswith((".", "_")) or name.lower().endswith(_TEMPORARY):
        return False
    if spec.ready == "marker" and name.endswith(spec.marker_suffix):
        return False
    return path.is_file() and not path.is_symlink()


def _marked(path: Path, suffix: str) -> bool:
    return path.with_name(path.name + suffix).exists() or path.with_name(_SUCCESS).exists()


def _fact(path: str) -> FileFact:
    before = _status(path)
    try:
        digest = sha256_file(Path(path))
    except StorageError as error:
        raise SourceUnreadable(
            "cannot read an input file", where=path, found=error.found, fix="give the process the right to read it"
        ) from error
    fact = FileFact(path=path, size=before.st_size, mtime=before.st_mtime, sha256=digest)
    _check_unchanged(fact)
    return fact


def _status(path: str) -> os.stat_result:
    try:
        return Path(path).stat()
    except FileNotFoundError as error:
        raise SourceMissing(
            "an input file is gone", where=path, fix="put it back, or run the wait step again"
        ) from error
    except OSError as error:
        raise SourceUnreadable(
            "cannot look at an input file", where=path, found=error.strerror or "", fix="check the rights of its folder"
        ) from error


def _check_unchanged(fact: FileFact) -> None:
    now = _status(fact.path)
    if (now.st_size, now.st_mtime) != (fact.size, fact.mtime):
        raise SourceUnreadable(
            "an input file changed after it was found complete",
            where=fact.path,
            found=f"{now.st_size} bytes, was {fact.size}",
            fix="let its writer finish (ready: marker is the safest), then run the wait step again",
        )


def _missing(pattern: str, spec: FilesSpec, look: Look) -> SourceMissing:
    folder = local_path(pattern).parent
    while any(c in str(folder) for c in "*?[") or not folder.exists():
        folder = folder.parent
    present = sorted(p.name for p in folder.iterdir())[:10] if os.access(folder, os.R_OK) else []
    return SourceMissing(
        f"no complete input after {spec.timeout.total_seconds():g} s: {look.why}",
        where=pattern,
        found=f"in {folder}: {', '.join(present) or 'nothing that can be listed'}",
        fix="check the path; a file named .* or _* or *.tmp or *.part is not counted",
    )


def _count(paths: Sequence[str]) -> str:
    return f"{len(paths)} file{'s' if len(paths) != 1 else ''}"


def _some(paths: Sequence[str]) -> str:
    names = ", ".join(Path(p).name for p in paths[:3])
    return names + (", ..." if len(paths) > 3 else "")
