"""Files and folders are synced; a file system that cannot sync folders is no reason to stop."""

from __future__ import annotations

import errno
import logging
import os
import stat
from pathlib import Path

import pytest

from batch_processing import storage
from batch_processing.errors import StorageError
from batch_processing.storage import make_folder, sync_files, write_atomic


def refuse(monkeypatch: pytest.MonkeyPatch, *, folders: bool, number: int) -> None:
    """Makes `fsync` fail for folders, or for files."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) == folders:
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(storage, "_told_devices", set())


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_that_does_not_sync_folders_is_told_once_and_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    refuse(monkeypatch, folders=True, number=number)
    with caplog.at_level(logging.WARNING):
        make_folder(tmp_path / "a" / "b")
        write_atomic(tmp_path / "a" / "b" / "file", b"x")
        sync_files([tmp_path / "a" / "b" / "file"], top=tmp_path)
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"x"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "does not sync folders" in caplog.text


def test_a_disk_that_fails_on_a_folder_and_any_refusal_for_a_file_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with monkeypatch.context() as patched:
        refuse(patched, folders=True, number=errno.EIO)
        with pytest.raises(StorageError, match="cannot make a folder"):
            make_folder(tmp_path / "a")
        with pytest.raises(StorageError, match="cannot sync"):
            sync_files([tmp_path / "file"], top=tmp_path)
    refuse(monkeypatch, folders=False, number=errno.EINVAL)
    with pytest.raises(StorageError, match="cannot write"):
        write_atomic(tmp_path / "other", b"x")
    with pytest.raises(StorageError, match="cannot sync"):
        sync_files([tmp_path / "file"], top=tmp_path)
