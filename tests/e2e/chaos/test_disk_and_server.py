"""A full disk at each place that is written, and a PostgreSQL warehouse that stops amid a load."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.chaos.points import POSTGRES_POINTS
from tests.e2e.chaos.state import state_of
from tests.e2e.chaos.trials import Scene, Trials
from tests.e2e.chaos.world import SECOND_DAY, copy_world, serve_from
from tests.services.postgres import PostgresServer
from tests.services.project import SmallProject

FULL_AT = (
    ("home/runs", "landing: mid-file"),
    ("home/runs", "manifest validate: before"),
    ("home/quarantine", "quarantine: before its commit"),
    ("lake", "staging: before"),
    ("lake", "publish: before the commit"),
    ("warehouse.duckdb", "warehouse: table made"),
    ("home", "control: before a step"),
)
"""What is on the small disk, and when that fills up."""

STOPPED_AT = ("postgres: amid the rows", "postgres: before its commit")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.fail(f"this test mounts a small tmpfs, which needs root: {made.stderr.strip()}", pytrace=False)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize(("place", "point"), FULL_AT)
def test_a_full_disk_is_a_clear_error_and_a_rerun_with_space_passes(
    trials: Trials, small_disk: Path, place: str, point: str
) -> None:
    scene = Scene()
    world = trials.copy(scene)
    move_to(small_disk, world, place)
    failed = trials.chaos.run(world, point=point, deed="fill", disk=str(small_disk))
    assert failed.reached == point, failed.log
    assert failed.result.get("outcome") == "ERROR", (failed.result, failed.log)
    assert "To do: " in failed.result["error"], failed.result["error"]
    assert "space" in failed.result["error"], failed.result["error"]
    (small_disk / "ballast").unlink()
    trials.chaos.pass_(world)
    assert trials.differences(world, scene) == []


def move_to(disk: Path, world: SmallProject, place: str) -> None:
    """Moves a folder of the world to a disk, or its warehouse file."""
    target = disk / Path(place).name
    shutil.move(world.root / place, target)
    if target.is_file():
        serve_from(world, {"conn_type": "duckdb", "host": str(target)}, "orders")
    else:
        (world.root / place).symlink_to(target, target_is_directory=True)


@pytest.mark.postgres
@pytest.mark.parametrize("point", STOPPED_AT)
def test_a_warehouse_that_stops_amid_a_load_is_a_clear_error_and_a_rerun_loads_all(
    trials: Trials, postgres: PostgresServer, point: str
) -> None:
    stop_amid_load(trials, postgres, point)


def stop_amid_load(trials: Trials, postgres: PostgresServer, point: str) -> None:
    """Stops the server while a run stands at the point; starts it again, and runs again."""
    world = trials.copy(Scene())
    schema = f"chaos_{list(POSTGRES_POINTS).index(point)}"
    connection = {
        "conn_type": "postgres", "host": postgres.host, "port": postgres.port, "login": postgres.user,
        "password": postgres.password, "schema": postgres.dbname,
    }  # fmt: skip
    postgres.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    serve_from(world, connection, f"{schema}.orders")
    clean = copy_world(world, world.root.with_name(f"{world.root.name}.clean"))
    serve_from(clean, connection, f"{schema}_clean.orders")
    trials.chaos.pass_(clean, day=SECOND_DAY)
    standing = trials.chaos.freeze_at(world, point)
    try:
        postgres.stop()
        standing.strike(signal.SIGCONT)
        ended = standing.wait()
    finally:
        postgres.start()
    if point != "postgres: after its commit":
        assert ended.result.get("outcome") == "ERROR", (ended.result, ended.log)
        assert "To do: " in ended.result["error"], ended.result["error"]
    trials.chaos.pass_(world)
    assert state_of(world).differences(state_of(clean)) == []
    postgres.execute(f"DROP SCHEMA {schema} CASCADE")
    postgres.execute(f"DROP SCHEMA {schema}_clean CASCADE")
