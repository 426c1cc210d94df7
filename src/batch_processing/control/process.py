"""Which process a run is in, so that a run whose process was killed can be told from one that goes on."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

_PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessMark:
    """A process among all that there ever were.

    Attributes:
        host: the machine, and on Linux its namespace of process ids: a container is a host of its own.
        pid: process id there.
        started: when it started, so that a later process of the same id is another one. Compared as text.
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
    machine = ""
    for place in (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id")):
        machine = machine or _text(place).strip()[:12]
    space = str((_PROC / "self/ns/pid").readlink()) if (_PROC / "self/ns/pid").is_symlink() else ""
    number = space.removeprefix("pid:[").removesuffix("]")
    return "/".join(part for part in (socket.gethostname(), machine, number) if part)


def is_gone(mark: ProcessMark) -> bool:
    """True where the process ran here and is certainly no more.

    False for one of another host, for one that goes on or is stopped, and where nobody can tell.
    """
    if mark.host != this_host() or not mark.started:
        return False
    try:
        os.kill(mark.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # somebody else's: it is there, and its start says whether it is the same
    found = _started(mark.pid)
    return found is not None and found != mark.started


def _started(pid: int) -> str | None:
    """When a process started; "" for one that has ended and was not waited for; None where nobody can tell.

    On Linux counted from the machine's start, which changes of the clock do not move.
    """
    boot = _text(_PROC / "sys/kernel/random/boot_id").strip()
    if boot:
        fields = _text(_PROC / str(pid) / "stat").rpartition(")")[2].split()
        if not fields:
            return None
        return "" if fields[0] in ("Z", "X") else f"{boot} {fields[19]}"
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
