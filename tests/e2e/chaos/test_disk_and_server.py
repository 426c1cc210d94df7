"""A full disk at each place that is written; a warehouse server that stops amid a load, or whose loader is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.chaos.disk import FULL_AT, Full, fill_at, small_disk
from tests.e2e.chaos.points import POSTGRES_POINTS
from tests.e2e.chaos.server import kill_amid_load, stop_amid_load
from tests.e2e.chaos.trials import Trials
from tests.services.postgres import PostgresServer

STOPPED_AT = ("postgres: amid the rows", "postgres: before its commit")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


@pytest.mark.parametrize("full", FULL_AT, ids=str)
def test_a_full_disk_is_told_and_a_rerun_with_space_passes(trials: Trials, disk: Path, full: Full) -> None:
    assert fill_at(trials, disk, full) == []


@pytest.mark.postgres
@pytest.mark.parametrize("point", STOPPED_AT)
def test_a_warehouse_that_stops_amid_a_load_is_a_clear_error_and_a_rerun_loads_all(
    trials: Trials, postgres: PostgresServer, point: str
) -> None:
    assert stop_amid_load(trials, postgres, point) == []


@pytest.mark.postgres
@pytest.mark.parametrize("point", POSTGRES_POINTS)
def test_a_run_killed_amid_its_load_into_postgresql_ends_as_a_clean_one(
    trials: Trials, postgres: PostgresServer, point: str
) -> None:
    assert kill_amid_load(trials, postgres, point) == []
