"""Runs a command that must not outlive its owner: `python guard.py OWNER_PID OWNER_START COMMAND...`.

It starts the command in its own process group, polls the owner, and ends the whole group once the owner is gone, also
after `kill -9`. It imports the standard library alone, so that it is small and starts at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

POLL_SECONDS = 0.5
GRACE_SECONDS = 10.0


def start_time(pid: int) -> str | None:
    """When a process started, in the kernel's clock ticks; None where there is no such process (or a zombie)."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if after_name[0] == "Z" else after_name[19]


def main(arguments: list[str]) -> int:
    owner, started, command = int(arguments[0]), arguments[1], arguments[2:]
    child = subprocess.Popen(command)  # noqa: S603 - the command is the caller's, no shell
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while child.poll() is None:
        if owner and start_time(owner) != started:
            _end(child)
            return 1
        time.sleep(POLL_SECONDS)
    return child.returncode


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(timeout=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
