"""Digests of files: a change is seen whatever its size, and the message has the numbers."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_processing import digests
from batch_processing.digests import check_files, file_digests
from batch_processing.errors import LedgerError, StorageError


def test_the_digest_is_the_sha_256_of_the_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path in paths:
        path.write_bytes(path.name.encode() * 1000)
    assert file_digests(paths) == {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def test_a_change_of_the_same_size_is_seen_at_once_and_later(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    os.utime(path, (1, 1))
    before = file_digests([path])
    for content in (b"two", b"six"):
        path.write_bytes(content)
        os.utime(path, (1, 1))
        assert file_digests([path]) == {str(path): hashlib.sha256(content).hexdigest()} != before


def test_the_break_names_hop_file_and_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [1, 2, 3]}), path)
    expected = file_digests([path])
    check_files(expected, hop="publish", what="staged", fix="again", rows=3)
    pq.write_table(pa.table({"id": [1, 2]}), path)
    with pytest.raises(
        LedgerError, match=r"breaks at publish: 1 of 1 staged files .*a\.parquet.* 3 rows .*, 2 in"
    ) as one:
        check_files(expected, hop="publish", what="staged", fix="again", rows=3)
    assert expected[str(path)] in str(one.value)
    path.write_bytes(b"no Parquet")
    with pytest.raises(LedgerError, match="3 rows written, an unreadable number in the files now"):
        check_files(expected, hop="publish", what="staged", fix="again", rows=3)


def test_an_unknown_digest_is_not_compared_and_a_missing_file_is_told(tmp_path: Path) -> None:
    check_files({str(tmp_path / "gone"): ""}, hop="publish", what="staged", fix="again")
    with pytest.raises(StorageError, match="cannot be read"):
        check_files({str(tmp_path / "gone"): "0" * 64}, hop="publish", what="staged", fix="again")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are read, in their order."""
    real, found = digests._read, []

    def read(path: str) -> str:
        found.append(path)
        return real(path)

    monkeypatch.setattr(digests, "_read", read)
    monkeypatch.setattr(digests, "_seen", {})
    return found


@pytest.mark.parametrize("ahead", [-3600, 0, 3600])
def test_a_file_is_read_once_also_where_the_file_servers_clock_is_ahead(
    tmp_path: Path, reads: list[str], ahead: int
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    os.utime(path, (time.time() + ahead,) * 2)
    for _ in range(3):
        file_digests([path])
    assert reads == [str(path)]
    os.utime(path, (time.time() + ahead + 1,) * 2)
    file_digests([path])
    assert len(reads) == 2


def test_the_files_seen_first_are_forgotten_first(
    tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_KEPT", 2)
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(b"x")
        file_digests([path])
    file_digests([paths[1]])
    file_digests([paths[2]])
    assert len(reads) == 3
    file_digests([paths[0]])
    assert len(reads) == 4
