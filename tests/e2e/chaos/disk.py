"""A small disk that fills up while a run writes to it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.chaos.trials import Scene, Trials
from tests.e2e.chaos.world import serve_from
from tests.services.project import SmallProject

FILLED = Scene()


@dataclass(frozen=True)
class Full:
    """What is on the small disk, and when that fills up.

    Attributes:
        place: relative path in the world.
        point: the moment.
        scene: what the run finds.
        told: the run ends in an error; else it passes, since what could not be written is not data.
    """

    place: str
    point: str
    scene: Scene = FILLED
    told: bool = True

    def __str__(self) -> str:
        return f"{self.place}, {self.point}"


FULL_AT = (
    Full("home/runs", "landing: mid-file"),
    Full("home/runs", "manifest validate: before"),
    Full("home/quarantine", "quarantine: before its commit"),
    Full("lake", "staging: before"),
    Full("lake", "publish: before the commit"),
    Full("lake", "merge: rows carried over", Scene("merge", late=True)),
    Full("lake", "merge: between its staged files", Scene("merge", late=True)),
    Full("warehouse.duckdb", "warehouse: table made"),
    Full("home", "control: before a step"),
    Full("home", "metrics: before"),
    Full("home/runs", "report: before"),
)


def fill_at(trials: Trials, disk: Path, full: Full) -> list[str]:
    """A run that meets a full disk tells so; its rerun with space passes. Gives what differs from a clean run."""
    world = trials.copy(full.scene)
    move_to(disk, world, full.place)
    failed = trials.chaos.run(world, day=full.scene.day, point=full.point, deed="fill", disk=str(disk))
    assert failed.reached == full.point, failed.log
    if full.told:
        assert failed.result.get("outcome") == "ERROR", (failed.result, failed.log)
        assert "To do: " in failed.result["error"], failed.result["error"]
        assert "space" in failed.result["error"], failed.result["error"]
    else:
        assert failed.result.get("outcome") in ("PASS", "PASS_WITH_QUARANTINE"), (failed.result, failed.log)
        assert "space" in failed.log, failed.log
    (disk / "ballast").unlink()
    trials.chaos.pass_(world, day=full.scene.day)
    return trials.differences(world, full.scene)


def move_to(disk: Path, world: SmallProject, place: str) -> None:
    """Moves a folder of the world to a disk, or its warehouse file."""
    target = disk / Path(place).name
    shutil.move(world.root / place, target)
    if target.is_file():
        serve_from(world, {"conn_type": "duckdb", "host": str(target)}, "orders")
    else:
        (world.root / place).symlink_to(target, target_is_directory=True)


@contextmanager
def small_disk(disk: Path) -> Iterator[Path]:
    """A disk of 24 MiB, mounted at a new folder."""
    disk.mkdir(parents=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    assert not made.returncode, f"this mounts a small tmpfs, which needs root: {made.stderr.strip()}"
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
