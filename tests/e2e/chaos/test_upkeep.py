"""Upkeep that is killed loses nothing and is done by its rerun."""

from __future__ import annotations

import pytest

from tests.e2e.chaos.points import UPKEEP_POINTS
from tests.e2e.chaos.trials import Trials
from tests.e2e.chaos.upkeep import Worn


@pytest.fixture(scope="module")
def worn(trials: Trials) -> Worn:
    return Worn.make(trials)


@pytest.mark.parametrize("point", UPKEEP_POINTS)
def test_a_killed_upkeep_is_done_by_its_rerun(worn: Worn, point: str) -> None:
    assert worn.kill_at(point) == []
