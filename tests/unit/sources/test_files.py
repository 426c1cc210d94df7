"""When files count as complete, and that they are the same when read."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from batch_processing.errors import LedgerError, SourceMissing, SourceUnreadable
from batch_processing.settings.models import FilesSpec
from batch_processing.sources.files import chunk_files, extract_files, file_facts, look_for_files, wait_for_files
from batch_processing.sources.landing import Landing

from .landed import rows, source


def spec(ready: str = "stable", **options: Any) -> FilesSpec:
    return FilesSpec.model_validate({"path": "x", "ready": ready, "poke": "1s", "timeout": "3s", **options})


class Time:
    """A clock that only sleeping moves; `during` runs before each look after the first."""

    def __init__(self, *during: Any) -> None:
        self.now, self.during = 0.0, list(during)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.during:
            self.during.pop(0)()

    def clock(self) -> float:
        return self.now


def test_stable_files_count_after_two_equal_looks(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("1")
    first = look_for_files(str(tmp_path / "*.csv"), spec(), previous=None)
    assert not first.ready
    assert "a.csv" in first.why
    assert look_for_files(str(tmp_path / "*.csv"), spec(), previous=first.seen).ready
    file.write_text("12")
    assert not look_for_files(str(tmp_path / "*.csv"), spec(), previous=first.seen).ready


def test_a_growing_file_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("1")
    time = Time(lambda: file.write_text("12"), lambda: None)
    facts = wait_for_files(str(file), spec(), sleep=time.sleep, clock=time.clock)
    assert [(f.path, f.size, f.sha256) for f in facts] == [(str(file), 2, hashlib.sha256(b"12").hexdigest())]
    assert time.now == 2


def test_a_marker_or_success_file_says_complete(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1")
    (tmp_path / "b.csv").write_text("1")
    (tmp_path / "a.csv.done").touch()
    look = look_for_files(str(tmp_path / "*"), spec("marker"), previous=None)
    assert not look.ready
    assert "b.csv" in look.why
    (tmp_path / "_SUCCESS").touch()
    look = look_for_files(str(tmp_path / "*"), spec("marker"), previous=None)
    assert look.ready
    assert [Path(p).name for p in look.seen] == ["a.csv", "b.csv"]


def test_only_plain_delivered_files_count_and_in_order(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", ".h.csv", "_x.csv", "c.csv.tmp", "d.csv.part", "deep/er/e.csv", ".hid/f.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "a.csv")
    look = look_for_files(str(tmp_path / "**" / "*"), spec("exists"), previous=None)
    assert [str(Path(p).relative_to(tmp_path)) for p in look.seen] == ["a.csv", "b.csv", "deep/er/e.csv"]


def test_nothing_in_time_names_the_pattern_and_the_nearest_folder(tmp_path: Path) -> None:
    (tmp_path / "other.txt").touch()
    time = Time()
    with pytest.raises(SourceMissing) as caught:
        wait_for_files(str(tmp_path / "in" / "*.csv"), spec(), sleep=time.sleep, clock=time.clock)
    assert caught.value.retryable
    assert "*.csv" in str(caught.value)
    assert f"in {tmp_path}: other.txt" in str(caught.value)
    assert time.now == 3


def test_no_files_can_be_allowed(tmp_path: Path) -> None:
    time = Time()
    assert wait_for_files(str(tmp_path / "*"), spec(), allow_empty=True, sleep=time.sleep, clock=time.clock) == ()
    assert chunk_files((), 3) == ((),)


def test_files_are_chunked_in_order(tmp_path: Path) -> None:
    for i in range(5):
        (tmp_path / f"{i}").touch()
    facts = file_facts(str(p) for p in tmp_path.iterdir())
    assert [[Path(f.path).name for f in c] for c in chunk_files(facts, 2)] == [["0", "1"], ["2", "3"], ["4"]]


def test_many_files_land_with_their_own_numbers_and_a_rerun_replaces(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("v\n1\n2\nx\n")
    facts = file_facts([str(tmp_path / "a"), str(tmp_path / "b")])
    folder = tmp_path / "landed"
    folder.mkdir()
    (folder / "part-00009.parquet").write_text("a leftover")
    for _ in range(2):
        landed = extract_files(facts, source="s", spec=source({"v": "int"}), folder=folder)
        assert [(Path(r["_source_file"]).name, r["_source_row"]) for r in rows(landed)] == [
            ("a", 1), ("a", 2), ("b", 1), ("b", 2),
        ]  # fmt: skip
        assert (landed.read, landed.rejected, landed.inputs) == (6, 2, facts)
        assert sorted(p.name for p in folder.iterdir()) == ["part-00000.parquet", "rejects-00000.parquet"]


def test_a_file_that_changed_or_went_since_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("v\n1\n")
    facts = file_facts([str(file)])
    os.utime(file, (1, 1))
    with pytest.raises(SourceUnreadable, match="changed"):
        extract_files(facts, source="s", spec=source({"v": "int"}), folder=tmp_path / "l")
    file.unlink()
    with pytest.raises(SourceMissing):
        extract_files(facts, source="s", spec=source({"v": "int"}), folder=tmp_path / "l")
    with pytest.raises(SourceMissing):
        file_facts([str(file)])


def test_a_count_that_does_not_add_up_is_a_ledger_error(tmp_path: Path) -> None:
    with Landing(tmp_path, columns={"v": "int"}, source="s") as landing, pytest.raises(LedgerError, match="read 1"):
        landing.finish(read=1, max_rejected=1.0)
