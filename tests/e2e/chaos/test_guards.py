"""Each guard is shown to matter: with it off, the comparison that it protects fails; with it on, it holds.

docs/fault_tolerance.md has the table.
"""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.e2e.chaos.harness import Chaos
from tests.e2e.chaos.state import delta_rows, state_of
from tests.e2e.chaos.trials import Scene, Trials
from tests.e2e.chaos.world import FIRST_DAY, SECOND_DAY, make_world
from tests.services.project import SmallProject

OFF_ONLY = [True]
"""For guards whose comparison holds in another test, named in the docs' table, that has them on."""


def changes(guard: str, *, off: bool) -> tuple[str, ...]:
    return (f"{guard} off",) if off else ()


@pytest.mark.parametrize("off", OFF_ONLY)
def test_without_the_transaction_check_a_rerun_doubles_rows(trials: Trials, off: bool) -> None:
    scene = Scene("append")
    world = trials.copy(scene)
    how = {"changes": changes("transaction check", off=off)}
    trials.chaos.kill_at(world, "publish: after the commit", **how)
    trials.chaos.run(world, **how)
    assert bool(trials.differences(world, scene)) == off


@pytest.mark.parametrize("off", OFF_ONLY)
def test_without_the_atomic_rename_a_retry_meets_half_a_manifest(trials: Trials, off: bool) -> None:
    scene = Scene()
    world = trials.copy(scene)
    point = "manifest transform: half written" if off else "manifest transform: before its rename"
    how = {"changes": changes("atomic rename", off=off)}
    killed = trials.chaos.kill_at(world, point, **how)
    again = trials.chaos.run(world, way="retry", run_id=killed.order.run_id, from_step="transform", **how)
    assert ("JSON" in again.result["error"]) == off
    assert bool(trials.differences(world, scene)) == off


@pytest.mark.parametrize("off", OFF_ONLY)
def test_without_the_warehouses_transaction_readers_see_half_a_load(trials: Trials, off: bool) -> None:
    world = trials.copy(Scene())
    before = state_of(world).warehouse
    how = {"changes": changes("warehouse transaction", off=off)}
    trials.chaos.kill_at(world, "warehouse: before its ledger row", **how)
    assert (state_of(world).warehouse != before) == off


@pytest.mark.parametrize("off", [False, True], ids=["on", "off"])
def test_without_the_warehouses_ledger_a_late_load_brings_old_rows_back(
    chaos: Chaos, tmp_path: Path, off: bool
) -> None:
    world: SmallProject = make_world(tmp_path / "world", mode="overwrite")
    killed = chaos.kill_at(world, "manifest publish: after", day=FIRST_DAY)
    chaos.pass_(world, day=SECOND_DAY)
    newest = state_of(world).warehouse
    chaos.run(
        world, day=FIRST_DAY, way="retry", run_id=killed.order.run_id, from_step="load_warehouse",
        changes=changes("warehouse ledger check", off=off),
    )  # fmt: skip
    assert (state_of(world).warehouse != newest) == off


@pytest.mark.parametrize("off", [False, True], ids=["on", "off"])
def test_without_the_snapshot_check_a_frozen_replacement_leaves_rows_that_it_should_replace(
    chaos: Chaos, tmp_path: Path, off: bool
) -> None:
    world = make_world(tmp_path / "world")
    chaos.pass_(world, day=FIRST_DAY)
    # Both slices bring rows of one day: the later commit replaces that day's partitions as a whole.
    shutil.copy(world.root / "data" / "2026-11-03.csv", world.root / "data" / f"{SECOND_DAY}.csv")
    how = {"changes": ("impatient lock", *changes("snapshot check", off=off))}
    frozen = chaos.freeze_at(world, "publish: before the commit", day="2026-11-03", **how)
    chaos.pass_(world, day=SECOND_DAY, **how)
    frozen.strike(signal.SIGCONT)
    frozen.wait()
    ids = [row["id"] for row in delta_rows(world.table) if str(row["day"]) == "2026-11-03"]
    assert (len(ids) != len(set(ids))) == off


@pytest.mark.parametrize("off", OFF_ONLY)
def test_without_the_quarantines_fence_a_late_run_brings_back_mended_rows(trials: Trials, off: bool) -> None:
    from tests.e2e.chaos.at_once import quarantine_after_a_late_run

    mended, after = quarantine_after_a_late_run(trials, changes("quarantine fence", off=off))
    assert (after.quarantine != mended.quarantine) == off


@pytest.mark.parametrize("off", [False, True], ids=["on", "off"])
def test_without_the_file_lock_writers_collide(tmp_path: Path, off: bool) -> None:
    """Nothing is lost either way: the log entry is put only if it is absent. The lock spares the second tries."""
    from tests.e2e.chaos.at_once import write_together

    collisions = write_together(tmp_path, writers=4, commits=10, changes=changes("file lock", off=off))
    assert (collisions > 0) == off
