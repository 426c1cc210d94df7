"""Runs of several slices at once, each `batchctl run` in a process of its own, so that none can take another down."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from batch_processing.cli.failure import TECHNICAL
from batch_processing.results import Slice

_LOOK_SECONDS = 0.05
_GRACE_SECONDS = 20.0
_REPEAT_SECONDS = 4.0
_LAST_WORDS = 2000


@dataclass(frozen=True)
class WorkerEnd:
    """How one run ended: its exit code, its wall seconds, and the object that `batchctl run --json` printed."""

    slice: Slice
    exit_code: int
    seconds: float
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Worker:
    slice: Slice
    process: subprocess.Popen[bytes]
    out: IO[bytes]
    err: IO[bytes]
    started: float


def run_slices(
    slices: Sequence[Slice],
    *,
    arguments: Sequence[str],
    jobs: int,
    on_start: Callable[[Slice], None],
    on_end: Callable[[WorkerEnd], None],
) -> None:
    """Runs the slices in the order given, `jobs` at once. One that fails does not stop the others.

    Args:
        slices: what to run.
        arguments: of `batchctl run`, without slice and `--json`.
        jobs: how many processes.
        on_start: told of each start.
        on_end: told of each end.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; the running ones were interrupted too and have ended, which was told.
    """
    waiting, running = deque(slices), list[_Worker]()
    with _sigterm_as_interrupt():
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    running.append(_start(waiting.popleft(), arguments))
                    on_start(running[-1].slice)
                time.sleep(_LOOK_SECONDS)
                for worker in [w for w in running if w.process.poll() is not None]:
                    running.remove(worker)
                    on_end(_end(worker))
        finally:
            _interrupt(running)
            for worker in running:
                on_end(_end(worker))


def _start(wanted: Slice, arguments: Sequence[str]) -> _Worker:
    command = [sys.executable, "-m", "batch_processing.cli.main", "run", *arguments, "--slice", wanted.iso, "--json"]
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed when the worker has ended
    # A session of its own: Ctrl-C reaches it once, from here, not a second time from the terminal.
    process = subprocess.Popen(  # noqa: S603 - our own module, arguments as a list
        command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
    )
    return _Worker(wanted, process, out, err, time.monotonic())


def _end(worker: _Worker) -> WorkerEnd:
    seconds = time.monotonic() - worker.started
    code = worker.process.returncode
    with worker.out, worker.err:
        worker.out.seek(0)
        facts = _facts(worker.out.read())
        if facts is None:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code} and said nothing"
            facts = {"error": f"the worker {how}{_last_words(worker.err)}"}
            code = TECHNICAL
    return WorkerEnd(worker.slice, code, seconds, facts)


def _facts(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _last_words(err: IO[bytes]) -> str:
    err.seek(0)
    lines = err.read()[-_LAST_WORDS:].decode(errors="replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""


def _interrupt(running: Sequence[_Worker]) -> None:
    """Ends what still runs: as Ctrl-C would, so that each run records its end; with force where that takes too long.

    The signal is repeated: one that comes while a library is imported may be swallowed there.
    """
    deadline = time.monotonic() + _GRACE_SECONDS
    while (alive := [w.process for w in running if w.process.poll() is None]) and time.monotonic() < deadline:
        for process in alive:
            process.send_signal(signal.SIGINT)
        _wait(alive, until=min(deadline, time.monotonic() + _REPEAT_SECONDS))
    for worker in running:
        if worker.process.poll() is None:
            worker.process.kill()
        worker.process.wait()


def _wait(processes: Sequence[subprocess.Popen[bytes]], *, until: float) -> None:
    while time.monotonic() < until and any(process.poll() is None for process in processes):
        time.sleep(_LOOK_SECONDS)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """While workers run, SIGTERM ends them too."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread, where nobody can set handlers
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
