"""Which process a run is in, so that a run whose process was killed can be told from one that goes on."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

_PROC = Path("/proc")
_MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_BOOT, _CLOCK = "boot:", "psutil:"
"""How a start is told: in ticks since the boot of this id, or by the wall clock. One form says nothing of the other."""


@dataclass(frozen=True)
class ProcessMark:
    """A process among all that there ever were.

    Attributes:
        host: the machine, and on Linux its namespace of process ids: a container is a host of its own.
        pid: process id there.
        started: when it started, so that a later process of the same id is another one; "" where nobody can tell.
    """

    host: str
    pid: int
    started: str


def this_process() -> ProcessMark:
    """The mark of the calling process."""
    pid = os.getpid()
    return ProcessMark(this_host(), pid, _started(pid) or "")


def this_host() -> str:
    """The name under which processes here are known; the same as long as process ids mean the same."""
    space = str((_PROC / "self/ns/pid").readlink()) if (_PROC / "self/ns/pid").is_symlink() else ""
    number = space.removeprefix("pid:[").removesuffix("]")
    return "/".join(part for part in (socket.gethostname(), _machine(), number) if part)


def is_gone(mark: ProcessMark) -> bool:
    """True where the process ran here and is certainly no more.

    False for one of another host, for one that goes on or is stopped, and where nobody can tell.
    """
    if mark.host != this_host() or not mark.started:
        return False
    if sys.platform == "linux" and not _machine() and not mark.started.startswith(f"{_BOOT}{_boot()} "):
        return False  # it may be of another machine that has the same name
    try:
        os.kill(mark.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # somebody else's: it is there, and its start says whether it is the same
    found = _started(mark.pid)
    if not found:
        return found == ""
    return found.partition(":")[0] == mark.started.partition(":")[0] and found != mark.started


def _started(pid: int) -> str | None:
    """When a process started; "" for one that has ended and was not waited for; None where nobody can tell.

    On Linux counted from the machine's start, which changes of the clock do not move.
    """
    if sys.platform == "linux":
        boot = _boot()
        fields = _text(_PROC / str(pid) / "stat").rpartition(")")[2].split()
        if fields and fields[0] in ("Z", "X"):
            return ""
        return f"{_BOOT}{boot} {fields[19]}" if boot and fields else None
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{_CLOCK}{process.create_time():.2f}"
    except (psutil.Error, OSError):
        return None


def _boot() -> str:
    return _text(_PROC / "sys/kernel/random/boot_id").strip()


def _machine() -> str:
    """The start of the machine's id; "" where it has none, so that its name alone has to tell it from others."""
    for place in _MACHINE_IDS:
        if found := _text(place).strip()[:12]:
            return found
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
