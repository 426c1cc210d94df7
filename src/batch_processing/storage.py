"""Paths and atomic writes: the only module that turns a URI into a place on disk."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from batch_processing.errors import StorageError, UsageError

_CHUNK = 1 << 20
_SYNCERS = 4
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
_LOG = logging.getLogger(__name__)
_told_devices: set[int] = set()


def local_path(uri: str) -> Path:
    """The local path that a path or `file://` URI names, made absolute.

    Raises:
        UsageError: another scheme.
    """
    if "://" not in uri:
        return Path(uri).expanduser().absolute()
    parsed = urlparse(uri)
    if parsed.scheme != "file" or parsed.netloc not in ("", "localhost"):
        raise UsageError(
            f"storage of scheme {parsed.scheme!r} is not supported",
            where=uri,
            fix="use a local path or a file:// URI (a mounted volume works)",
        )
    return Path(unquote(parsed.path)).absolute()


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a file so that readers see the old content or the new, also after a power cut.

    Raises:
        StorageError: the disk refused.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StorageError(
            "cannot write a file", where=str(path), found=_reason(error), fix="check space and rights"
        ) from error


def write_json(path: Path, value: Any) -> None:
    """`write_atomic` of a value as JSON, keys sorted, UTF-8."""
    write_atomic(path, json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1).encode())


def read_json(path: Path) -> Any | None:
    """The JSON value in a file, or None where there is no such file.

    Raises:
        StorageError: the file is there and cannot be read as JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StorageError(
            "cannot read a JSON file", where=str(path), found=_reason(error), fix="remove it or restore it"
        ) from error


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes.

    Raises:
        StorageError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as handle:
            while chunk := handle.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise StorageError(
            "cannot read a file", where=str(path), found=_reason(error), fix="check the path and its rights"
        ) from error
    return digest.hexdigest()


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, so that they are there also after a power cut; no-op where it is there.

    Raises:
        StorageError: the disk refused.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place in missing:
            _sync_folder(place.parent)
    except OSError as error:
        raise StorageError(
            "cannot make a folder", where=str(folder), found=_reason(error), fix="check its rights"
        ) from error


def sync_files(files: Iterable[Path], *, top: Path) -> None:
    """Waits until files that another writer closed are on the disk itself, with the folders from `top` down to them.

    Raises:
        StorageError: the disk refused.
    """
    wanted = list(files)
    folders = {parent for file in wanted for parent in file.parents if parent == top or top in parent.parents}
    try:
        with ThreadPoolExecutor(_SYNCERS, thread_name_prefix="sync") as pool:
            for _ in (*pool.map(_sync, wanted), *pool.map(_sync_folder, sorted(folders))):
                pass
    except OSError as error:
        raise StorageError(
            "cannot sync a file to the disk", where=str(error.filename or top), found=_reason(error),
            fix="check the disk and its space, then run again",
        ) from error  # fmt: skip


def _sync(path: Path) -> None:
    """`fsync` of a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """`fsync` of a folder; nothing where its file system has none for folders, as some FUSE and SMB mounts."""
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
        device = folder.stat().st_dev
        if device not in _told_devices:
            _told_devices.add(device)
            _LOG.warning("the file system of %s does not sync folders: a power cut may lose new files", folder)


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
