"""Input files as byte streams: plain, gzip, or a zip with one member."""

from __future__ import annotations

import contextlib
import gzip
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from batch_processing.errors import SourceMissing, SourceUnreadable

BOM = b"\xef\xbb\xbf"
"""UTF-8's byte order mark, which is no data."""

_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)
_MAGIC = {b"\x1f\x8b": "gzip data", b"PK\x03\x04": "a zip archive", b"PAR1": "a Parquet file"}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class ByteSource:
    """A file's decompressed bytes, read in order; damage raises SourceUnreadable."""

    def __init__(self, handle: IO[bytes], path: str) -> None:
        self._handle = handle
        self.path = path

    def read(self, size: int) -> bytes:
        """At most `size` bytes; empty at the end."""
        try:
            return self._handle.read(size)
        except _DAMAGED as error:
            raise _damaged(self.path, error) from error
        except OSError as error:
            raise SourceUnreadable("cannot read an input file", where=self.path, found=_reason(error)) from error


@contextlib.contextmanager
def open_bytes(path: str) -> Iterator[ByteSource]:
    """Opens an input file for reading its text, decompressed by its name's suffix (.gz, .zip).

    Raises:
        SourceMissing: it is not there.
        SourceUnreadable: no right to read it, damaged, or of another format than its name says.
    """
    with contextlib.ExitStack() as stack:
        try:
            handle = _open(Path(path), stack)
        except FileNotFoundError as error:
            raise SourceMissing(
                "an input file is gone", where=path, fix="put it back, or run the wait step again"
            ) from error
        except _DAMAGED as error:
            raise _damaged(path, error) from error
        except OSError as error:
            raise SourceUnreadable(
                "cannot open an input file",
                where=path,
                found=_reason(error),
                fix="give the process the right to read it",
            ) from error
        yield ByteSource(handle, path)


def check_text(start: bytes, path: str) -> None:
    """Refuses bytes that are no UTF-8 text of lines: another file format, UTF-16, or lines of old Macs.

    Raises:
        SourceUnreadable: with what was found.
    """
    for magic, what in _MAGIC.items():
        if start.startswith(magic):
            raise SourceUnreadable(
                "an input file is of another format than declared",
                where=path,
                found=what,
                fix="declare its format, or name it .gz or .zip where it is compressed",
            )
    if start.startswith(_UTF16):
        raise SourceUnreadable(
            "an input file is not UTF-8", where=path, found="a UTF-16 byte order mark", fix="deliver it as UTF-8"
        )
    if b"\r" in start and b"\n" not in start:
        raise SourceUnreadable(
            "an input file's lines do not end as lines do today",
            where=path,
            found="carriage returns, and no line feed",
            fix="deliver it with line feeds, as `tr '\\r' '\\n'` makes them",
        )


def _open(path: Path, stack: contextlib.ExitStack) -> IO[bytes]:
    name = path.name.lower()
    if name.endswith(".zip"):
        return _only_member(stack.enter_context(zipfile.ZipFile(path)), stack, str(path))
    if name.endswith(".gz"):
        return cast("IO[bytes]", stack.enter_context(gzip.open(path, "rb")))
    return stack.enter_context(path.open("rb"))


def _only_member(archive: zipfile.ZipFile, stack: contextlib.ExitStack, path: str) -> IO[bytes]:
    members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
    if len(members) != 1:
        raise SourceUnreadable(
            "a zip must hold exactly one file",
            where=path,
            found=f"{len(members)} files",
            fix="deliver one zip per file",
        )
    return stack.enter_context(archive.open(members[0]))


def _damaged(path: str, error: Exception) -> SourceUnreadable:
    return SourceUnreadable(
        "a compressed file is damaged or incomplete", where=path, found=_reason(error), fix="deliver the file again"
    )


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) and error.strerror else str(error)
