"""Paths and atomic writes: the only module that turns a URI into a place on disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from batch_processing.errors import StorageError, UsageError

_CHUNK = 1 << 20


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


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
