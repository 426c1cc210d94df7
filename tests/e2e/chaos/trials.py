"""One trial: in a copy of a world a run is struck and run again; the state is compared with a clean run's."""

from __future__ import annotations

import random
import shutil
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.chaos.harness import Chaos, Ending, kept
from tests.e2e.chaos.state import State, state_of
from tests.e2e.chaos.world import FIRST_DAY, SECOND_DAY, Mode, copy_world, make_world
from tests.services.project import SmallProject


@dataclass(frozen=True)
class Scene:
    """What a run finds: a world in which the slice before is published.

    Attributes:
        mode: the target's.
        empty: instead nothing has run yet.
        late: instead the slice after is published.
    """

    mode: Mode = "replace_partitions"
    empty: bool = False
    late: bool = False

    @property
    def day(self) -> str:
        """The slice that is run."""
        return FIRST_DAY if self.empty or self.late else SECOND_DAY

    def __str__(self) -> str:
        return f"{self.mode}{', new table' if self.empty else ''}{', late slice' if self.late else ''}"


@dataclass(frozen=True)
class Ready:
    """A scene that is set: the world to copy, the state that a clean run makes of it, and how long that takes."""

    world: SmallProject
    clean: State
    seconds: float


@dataclass
class Trials:
    """Sets scenes, once each, and tries kills in copies of them. May be used from several threads."""

    chaos: Chaos
    folder: Path
    remote: str = ""
    mail_to: str = ""
    _ready: dict[Scene, Ready] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _made: int = 0

    def ready(self, scene: Scene) -> Ready:
        with self._lock:
            if scene not in self._ready:
                self._ready[scene] = self._set(scene)
            return self._ready[scene]

    def copy(self, scene: Scene) -> SmallProject:
        """A world of one's own in that scene."""
        world = self.ready(scene).world
        with self._lock:
            self._made += 1
            name = f"world-{self._made:04d}"
        return copy_world(world, self.folder / name)

    def kill_at(self, point: str, scene: Scene = Scene(), *, ways: tuple[str, ...] = ("run", "retry")) -> list[str]:
        """Kills a run at a named point, then runs again in each of the ways; gives what differs from a clean run."""
        world = self.copy(scene)
        killed = self.chaos.kill_at(world, point, day=scene.day, remote=self.remote)
        return self._run_again(world, scene, killed, ways)

    def kill_after(self, seed: int, scene: Scene = Scene()) -> tuple[float, str, list[str]]:
        """Kills a run at a moment that the seed chooses; gives the moment, the step it was in, and what differs."""
        chosen = random.Random(seed)
        moment = chosen.uniform(0.05, 1.05) * self.ready(scene).seconds
        world = self.copy(scene)
        run = self.chaos.start(world, day=scene.day, remote=self.remote)
        time.sleep(moment)
        run.strike(signal.SIGKILL)
        killed = run.wait()
        where = killed.open_step or "before its first step"
        if not killed.killed:
            where = "after its end"
        way = chosen.choice(("run", "retry"))
        return moment, where, self._run_again(world, scene, killed, (way,))

    def differences(self, world: SmallProject, scene: Scene) -> list[str]:
        """What differs from the state that a clean run leaves in the scene."""
        return state_of(world).differences(self.ready(scene).clean)

    def _run_again(self, world: SmallProject, scene: Scene, killed: Ending, ways: tuple[str, ...]) -> list[str]:
        found = []
        for number, way in enumerate(ways):
            if number == len(ways) - 1:
                found += self._go_on(world, scene, killed, way)
                continue
            with kept(world):
                found += self._go_on(world, scene, killed, way)
        shutil.rmtree(world.root, ignore_errors=True)
        return found

    def _go_on(self, world: SmallProject, scene: Scene, killed: Ending, way: str) -> list[str]:
        how: dict[str, Any] = {"way": way, "remote": self.remote, "day": scene.day}
        if way == "retry":
            how |= {"run_id": killed.order.run_id, "from_step": killed.open_step}
        again = self.chaos.run(world, **how)
        if again.result.get("outcome") not in ("PASS", "PASS_WITH_QUARANTINE"):
            return [f"{way}: did not pass: {again.result.get('error')}\n{again.log}"]
        return [f"{way}: {text}" for text in self.differences(world, scene)]

    def _set(self, scene: Scene) -> Ready:
        name = str(scene).replace(", ", "-").replace(" ", "-")
        world = make_world(self.folder / name, mode=scene.mode, mail_to=self.mail_to)
        if not scene.empty:
            self.chaos.pass_(world, day=SECOND_DAY if scene.late else FIRST_DAY, remote=self.remote)
        clean = copy_world(world, self.folder / f"{name}-clean")
        started = time.monotonic()
        self.chaos.pass_(clean, day=scene.day, remote=self.remote)
        seconds = time.monotonic() - started
        return Ready(world, state_of(clean), seconds)
