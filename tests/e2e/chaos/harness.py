"""Runs slices in processes of their own, strikes them, and tells what state they left."""

from __future__ import annotations

import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.e2e.chaos.world import SECOND_DAY
from tests.services.project import SmallProject

REPOSITORY = Path(__file__).resolve().parents[3]
PATIENCE = 120.0
"""Seconds a run may take before it counts as hung."""


@dataclass(frozen=True)
class Order:
    """One run.

    Attributes:
        root: the world's folder.
        day: its slice.
        run_id: its id.
        way: `run`: all of it, as batchctl does; `retry`: from `from_step` on, each step for itself, as Airflow does;
            `maintain`: instead the upkeep of its table.
        from_step: for `retry`.
        point: where to strike; "" for nowhere.
        deed: what is done there: `kill`, `freeze` (SIGSTOP) or `fill` (`disk`, to the last byte).
        disk: a folder on the disk to fill.
        changes: guards to switch off, and other changes of `guards.CHANGES`.
        remote: address of a Spark Connect server; "" for the embedded engine.
        work: folder for the process's log, mark and result.
    """

    root: str
    day: str
    run_id: str
    work: str
    way: str = "run"
    from_step: str = ""
    point: str = ""
    deed: str = "kill"
    disk: str = ""
    changes: tuple[str, ...] = ()
    remote: str = ""


@dataclass(frozen=True)
class Ending:
    """How a run's process ended."""

    order: Order
    status: int
    cpu: float

    @property
    def killed(self) -> bool:
        return os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == signal.SIGKILL

    @property
    def reached(self) -> str:
        """The point that was reached, or ""."""
        mark = Path(self.order.work) / "mark"
        return mark.read_text() if mark.exists() else ""

    @property
    def result(self) -> dict[str, Any]:
        """What the run returned; empty where it did not return."""
        path = Path(self.order.work) / "result"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    @property
    def open_step(self) -> str:
        """The step it was in when it died; "" before the first."""
        path = Path(self.order.work) / "steps"
        lines = path.read_text().splitlines() if path.exists() else []
        return lines[-1].split(" ", 1)[1].partition("[")[0] if lines else ""

    @property
    def log(self) -> str:
        path = Path(self.order.work) / "log"
        return path.read_text(errors="replace")[-6000:] if path.exists() else ""


@dataclass
class Run:
    """A run that has been started."""

    chaos: Chaos
    order: Order
    pid: int

    def wait(self, *, patience: float = PATIENCE) -> Ending:
        """Waits for its end; a run that hangs is killed and fails the test."""
        ended = _ends_within(self.pid, patience)
        if not ended:
            self.strike(signal.SIGKILL)
        answer = self.chaos.ask({"wait": self.pid})
        self.chaos.forget(self.pid)
        ending = Ending(self.order, answer["status"], answer["cpu"])
        self.chaos.cpu += ending.cpu
        if not ended:
            raise AssertionError(f"the run did not end within {patience:.0f} s\n{ending.log}")
        return ending

    def strike(self, number: int) -> None:
        """Sends a signal."""
        os.kill(self.pid, number)

    def wait_until_stopped(self, *, patience: float = PATIENCE) -> None:
        """Waits until SIGSTOP has frozen it."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                return
            time.sleep(0.01)
        raise AssertionError("the run did not reach the point where it freezes")


@dataclass
class Chaos:
    """Starts runs. Use as a context manager: it holds one process that has everything imported and forks the runs.

    Attributes:
        folder: where each run's log, mark and result are kept.
        cpu: CPU seconds of the runs that have ended.
    """

    folder: Path
    cpu: float = 0.0
    _running: set[int] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _parent: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.chaos.child"],
            cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._answer()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)
        if self._parent is not None:
            self._parent.communicate(timeout=30)

    def start(self, world: SmallProject, *, day: str = SECOND_DAY, run_id: str = "", **how: Any) -> Run:
        """Starts a run; `how` are fields of `Order`."""
        number = next(self._numbers)
        work = self.folder / f"{number:04d}"
        order = Order(str(world.root), day, run_id or f"run-{number:04d}", str(work), **how)
        run = Run(self, order, self.ask(asdict(order))["pid"])
        self._running.add(run.pid)
        return run

    def run(self, world: SmallProject, **how: Any) -> Ending:
        """Runs a slice to its end."""
        return self.start(world, **how).wait()

    def pass_(self, world: SmallProject, **how: Any) -> Ending:
        """Runs a slice, which must pass."""
        ending = self.run(world, **how)
        assert ending.result.get("outcome") in ("PASS", "PASS_WITH_QUARANTINE"), (ending.result, ending.log)
        return ending

    def kill_at(self, world: SmallProject, point: str, **how: Any) -> Ending:
        """Runs a slice that is killed at a point; one that does not get there fails the test."""
        ending = self.run(world, point=point, **how)
        assert ending.reached == point, f"the point was never reached\n{ending.log}"
        assert ending.killed, f"ended with status {ending.status}\n{ending.log}"
        return ending

    def freeze_at(self, world: SmallProject, point: str, **how: Any) -> Run:
        """Starts a run that stands still at a point until it gets SIGCONT; waits until it does."""
        run = self.start(world, point=point, deed="freeze", **how)
        run.wait_until_stopped()
        return run

    def forget(self, pid: int) -> None:
        """A run has ended."""
        self._running.discard(pid)

    def ask(self, order: dict[str, Any]) -> Any:
        if self._parent is None or self._parent.stdin is None:
            raise AssertionError("use it as a context manager")
        with self._lock:
            self._parent.stdin.write(json.dumps(order) + "\n")
            self._parent.stdin.flush()
            return self._answer()

    def _answer(self) -> Any:
        assert self._parent is not None
        assert self._parent.stdout is not None
        line = self._parent.stdout.readline()
        if not line:
            raise AssertionError("the process that starts the runs has ended")
        return json.loads(line)


def _ends_within(pid: int, seconds: float) -> bool:
    handle = os.pidfd_open(pid)
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


@contextmanager
def kept(world: SmallProject) -> Iterator[None]:
    """Puts the world back, at the end, as it was at the start."""
    saved = world.root.with_name(f"{world.root.name}.saved")
    shutil.copytree(world.root, saved)
    yield
    shutil.rmtree(world.root)
    saved.rename(world.root)
