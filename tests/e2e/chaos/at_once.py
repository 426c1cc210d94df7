"""Runs that meet: one slice twice at once, a run that was frozen and wakes late, many writers, slices in any order."""

from __future__ import annotations

import multiprocessing
import signal
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from batch_processing.delta_lake.commit import StaleSnapshot
from tests.e2e.chaos.harness import Chaos, Ending
from tests.e2e.chaos.state import State, delta_rows, state_of
from tests.e2e.chaos.trials import Scene, Trials
from tests.e2e.chaos.world import Mode, day_after, make_world, write_day
from tests.services.project import SmallProject

WRITERS, COMMITS = 8, 25
ROWS_BEFORE = Scene()
PASSED = ("PASS", "PASS_WITH_QUARANTINE")
FROZEN_AT = (("publish: before the commit", "run"), ("publish: before the commit", "retry"), ("staging: done", "retry"))
"""Where a run freezes, and how the slice is run again before it wakes."""


def start_twice(trials: Trials, mode: Mode) -> list[str]:
    """Two runs of a slice stand before the commit and go on together; gives what differs from one run."""
    scene = Scene(mode)
    world = trials.copy(scene)
    runs = [trials.chaos.freeze_at(world, "publish: before the lock", run_id=name) for name in ("one", "two")]
    for run in runs:
        run.strike(signal.SIGCONT)
    ends = [run.wait() for run in runs]
    assert all(explained(end) for end in ends), [(end.result, end.log) for end in ends]
    assert any(end.result["outcome"] in PASSED for end in ends)
    return trials.differences(world, scene)


def wake_late(trials: Trials, point: str, way: str, mode: Mode = "append") -> list[str]:
    """A run freezes, its slice is run again, the frozen one wakes; gives what differs from one run."""
    scene = Scene(mode)
    world = trials.copy(scene)
    frozen = trials.chaos.freeze_at(world, point, changes=("impatient lock",))
    how = {"run_id": frozen.order.run_id, "from_step": "transform"} if way == "retry" else {}
    again = trials.chaos.pass_(world, way=way, changes=("impatient lock",), **how)
    published = delta_rows(world.table)
    frozen.strike(signal.SIGCONT)
    late = frozen.wait()
    assert explained(late), (again.result, late.result, late.log)
    assert delta_rows(world.table) == published
    return trials.differences(world, scene)


def quarantine_after_a_late_run(
    trials: Trials, changes: tuple[str, ...] = (), *, scene: Scene = ROWS_BEFORE
) -> tuple[State, State]:
    """A run freezes before it commits bad rows, the data is mended and run, the first wakes: states before, after."""
    world = trials.copy(scene)
    how: dict[str, Any] = {"changes": ("impatient lock", *changes), "day": scene.day}
    frozen = trials.chaos.freeze_at(world, "quarantine: before its commit", **how)
    write_day(world, scene.day, bad=False)
    trials.chaos.pass_(world, **how)
    mended = state_of(world)
    frozen.strike(signal.SIGCONT)
    late = frozen.wait()
    assert explained(late), late.log
    return mended, state_of(world)


def explained(ending: Ending) -> bool:
    """The run passed, or ended with an error that says what to do."""
    result = ending.result
    return result.get("outcome") in PASSED or "To do: " in result.get("error", "")


def _append(root: str, writer: int, commits: int, changes: tuple[str, ...], collided: Any) -> None:
    import batch_processing.delta_lake.publish as module
    from tests.e2e.chaos.guards import CHANGES
    from tests.unit.delta_lake.files import schema_json, staged_rows

    for name in changes:
        CHANGES[name]()
    attempt = module._attempt

    def counted(*args: Any) -> Any:
        try:
            return attempt(*args)
        except StaleSnapshot:
            with collided.get_lock():
                collided.value += 1
            raise

    module._attempt = counted
    for number in range(commits):
        rows = [{"id": writer * 1000 + number, "v": f"{writer}"}]
        staged = staged_rows(Path(root), rows, schema=schema_json(id="long", v="string"))
        module.publish(staged, mode="append", app_id=f"writer-{writer}-{number}", generation=1, metadata={})


def write_together(root: Path, *, writers: int, commits: int, changes: tuple[str, ...] = ()) -> int:
    """Commits from several processes at once, each slice under its own name. None may be lost; gives the collisions."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.unit.delta_lake.files", "batch_processing.delta_lake.publish"])
    collided = context.Value("i", 0)
    started = [
        context.Process(target=_append, args=(str(root), number, commits, changes, collided))
        for number in range(writers)
    ]
    for writer in started:
        writer.start()
    for writer in started:
        writer.join()
    assert [writer.exitcode for writer in started] == [0] * writers
    expected = sorted(writer * 1000 + number for writer in range(writers) for number in range(commits))
    assert sorted(row["id"] for row in delta_rows(root)) == expected
    assert DeltaTable(root).version() == writers * commits - 1
    return int(collided.value)


def run_in_both_orders(chaos: Chaos, folder: Path, *, days: int) -> None:
    """Runs slices oldest first in one world and newest first in another; both must end the same."""
    states = []
    for name, order in (("oldest", range(days)), ("newest", range(days - 1, -1, -1))):
        world: SmallProject = make_world(folder / name)
        for number in order:
            write_day(world, day_after(number))
        for number in order:
            chaos.pass_(world, day=day_after(number))
        states.append(state_of(world))
    oldest, newest = states
    assert (newest.table, newest.quarantine, newest.warehouse) == (oldest.table, oldest.quarantine, oldest.warehouse)
    assert newest.slices == oldest.slices
    assert sorted(newest.commits) == sorted(oldest.commits)
    assert len(newest.loads) == len(oldest.loads) == days
