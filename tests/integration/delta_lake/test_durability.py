"""What a commit names is on the disk itself before the commit, and the commit before anybody is told of it."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import pytest

from batch_processing.delta_lake import publish as module
from batch_processing.delta_lake.publish import publish
from batch_processing.delta_lake.staging import stage
from batch_processing.spark.session import get_spark_session

DAY = dt.date(2026, 1, 2)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files and folders that were synced, in that order; still synced."""
    found: list[Path] = []
    fsync = os.fsync

    def recorded(descriptor: int) -> None:
        found.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    return found


def test_staged_files_are_synced_before_the_commit_and_the_commit_before_publish_returns(
    tmp_path: Path, synced: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "lake" / "orders"
    frame = get_spark_session().createDataFrame([(1, "a", DAY), (2, "b", None)], "id long, p string, day date")
    staged = stage(frame, table=root, partition_by=("day", "p"), folder="data/s/1")
    files = [root / file.path for file in staged.files]
    above = {tmp_path, root.parent, root, root / "data", root / "data/s", root / "data/s/1"}
    below = {folder for file in files for folder in (file.parent, file.parent.parent)}
    assert root / "data/s/1/day=2026-01-02" in below
    assert {*files, *below, *above} <= set(synced)

    at_commit: list[Path] = []
    commit = module.commit_change

    def noted(*args: Any) -> None:
        at_commit.extend(synced)
        commit(*args)

    monkeypatch.setattr(module, "commit_change", noted)
    log = root / "_delta_log"
    publish(staged, mode="append", app_id="s", generation=1, metadata={})
    assert set(files) <= set(at_commit)
    assert {log / f"{0:020d}.json", log, root} <= set(synced[len(at_commit) :])

    # With new columns there are two entries; without the first, the second could not be read.
    wider = get_spark_session().createDataFrame([(3, "a", DAY, 1)], "id long, p string, day date, extra int")
    more = stage(wider, table=root, partition_by=("day", "p"), folder="data/s/2")
    publish(more, mode="append", app_id="t", generation=1, metadata={}, schema_change="additive")
    assert {log / f"{version:020d}.json" for version in (1, 2)} <= set(synced)
