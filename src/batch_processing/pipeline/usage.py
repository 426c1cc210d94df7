"""What a step costs: wall seconds, CPU seconds and peak resident memory, children included."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psutil

from batch_processing.results import Usage

_EVERY = 0.1  # seconds between two looks at the memory
_MIB = 1024 * 1024


class Meter:
    """Measures from its start to `stop()`; memory is sampled by a thread."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._started = time.monotonic()
        self._cpu = self._cpu_now()
        self._peak = self._memory_now()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="step-meter", daemon=True)
        self._thread.start()

    def stop(self) -> Usage:
        """Ends the measuring. Call it once."""
        self._done.set()
        self._thread.join()
        self._peak = max(self._peak, self._memory_now())
        return Usage(
            seconds=round(time.monotonic() - self._started, 3),
            cpu_seconds=round(max(self._cpu_now() - self._cpu, 0.0), 3),
            peak_rss_mb=round(self._peak / _MIB, 1),
        )

    def _watch(self) -> None:
        while not self._done.wait(_EVERY):
            self._peak = max(self._peak, self._memory_now())

    def _cpu_now(self) -> float:
        times = self._process.cpu_times()
        total = float(times.user + times.system + times.children_user + times.children_system)
        return total + sum(_of(child, _cpu) for child in self._children())

    def _memory_now(self) -> int:
        return int(self._process.memory_info().rss + sum(_of(child, _rss) for child in self._children()))

    def _children(self) -> list[psutil.Process]:
        try:
            return self._process.children(recursive=True)
        except psutil.Error:
            return []


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _rss(process: psutil.Process) -> float:
    return float(process.memory_info().rss)


def _of(process: psutil.Process, reading: Callable[[psutil.Process], float]) -> float:
    # A child may end between the listing and the look.
    try:
        return reading(process)
    except psutil.Error:
        return 0.0
