"""Runs killed at moments that nobody chose. A seed that is printed gives the moment again on a like machine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.e2e.chaos.trials import Scene, Trials
from tests.e2e.chaos.world import MODES

KILLS = 10


def test_random_kills_end_as_a_clean_run(trials: Trials) -> None:
    def kill(seed: int) -> tuple[str, list[str]]:
        scene = Scene(MODES[seed % len(MODES)])
        moment, where, found = trials.kill_after(seed, scene)
        return f"seed {seed}: {scene.mode} killed after {moment:.3f} s, {where}", found

    with ThreadPoolExecutor(2) as pool:
        for text, found in pool.map(kill, range(1, KILLS + 1)):
            print(text)
            assert found == [], text
