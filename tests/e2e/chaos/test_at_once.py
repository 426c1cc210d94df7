"""The same slice twice at once, runs frozen and woken too late, many writers, and slices in any order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.chaos.at_once import (
    COMMITS,
    FROZEN_AT,
    ROWS_BEFORE,
    WRITERS,
    quarantine_after_a_late_run,
    run_in_both_orders,
    start_twice,
    wake_late,
    write_together,
)
from tests.e2e.chaos.harness import Chaos
from tests.e2e.chaos.trials import Scene, Trials
from tests.e2e.chaos.world import Mode


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_the_same_slice_twice_at_once_is_published_once(trials: Trials, mode: Mode) -> None:
    assert start_twice(trials, mode) == []


@pytest.mark.parametrize(("point", "way"), FROZEN_AT)
def test_a_frozen_run_that_wakes_late_changes_nothing(trials: Trials, point: str, way: str) -> None:
    assert wake_late(trials, point, way) == []


@pytest.mark.parametrize("scene", [ROWS_BEFORE, Scene(empty=True)], ids=["rows before", "first rows ever"])
def test_a_frozen_run_does_not_bring_back_a_quarantine_that_was_mended(trials: Trials, scene: Scene) -> None:
    mended, after = quarantine_after_a_late_run(trials, scene=scene)
    assert (after.table, after.warehouse, after.quarantine) == (mended.table, mended.warehouse, mended.quarantine)


def test_many_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    write_together(tmp_path, writers=WRITERS, commits=COMMITS)


def test_slices_newest_first_give_what_oldest_first_gives(chaos: Chaos, tmp_path: Path) -> None:
    run_in_both_orders(chaos, tmp_path, days=4)
