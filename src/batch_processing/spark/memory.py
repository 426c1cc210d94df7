"""How much memory the embedded engine may take."""

from __future__ import annotations

import re
from pathlib import Path

import psutil

from batch_processing.errors import SettingError

SHARE = 0.5
"""Of the machine's memory (or the container's, where that is less), when `engine.memory` is not given."""

_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*$", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_PERCENT = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*%\s*$")
_CGROUP_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_LEAST = 64 << 20


def pool_bytes(text: str | None, *, available: int | None = None) -> int:
    """Bytes of the memory pool.

    Args:
        text: as `4g`, `512m`, `40%`; None: half of what is available.
        available: bytes; None: read from the machine.

    Raises:
        SettingError: not a size, or below 64 MiB.
    """
    total = available if available is not None else available_bytes()
    if text is None:
        return max(_LEAST, int(total * SHARE))
    if match := _PERCENT.match(text):
        size = int(total * float(match[1]) / 100)
    elif match := _SIZE.match(text):
        size = int(float(match[1]) * _UNITS[match[2].lower()])
    else:
        raise SettingError(
            "engine.memory is not a size", where="engine.memory", found=text, fix="write it as 4g, 512m or 50%"
        )
    if size < _LEAST:
        raise SettingError("engine.memory is too small", where="engine.memory", found=text, fix="give at least 64m")
    return size


def available_bytes(*, cgroup_files: tuple[str, ...] = _CGROUP_FILES) -> int:
    """The machine's memory, or the control group's limit where that is lower."""
    total = int(psutil.virtual_memory().total)
    for name in cgroup_files:
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total
