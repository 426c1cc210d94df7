"""A process that lives is never taken for gone, whatever of it can be read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from batch_processing.control import process
from batch_processing.control.process import ProcessMark, is_gone, this_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="of what Linux tells in /proc")
OTHER_BOOT = "boot:00000000-0000-0000-0000-000000000000 1"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Gives the machine an id; "" takes it away."""

    def give(text: str) -> None:
        (tmp_path / "machine-id").write_text(text)
        monkeypatch.setattr(process, "_MACHINE_IDS", (tmp_path / "machine-id",))

    return give


@pytest.fixture
def ended() -> int:
    """The id of a process that is no more."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def hide(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Makes files of /proc unreadable."""
    real = process._text
    monkeypatch.setattr(process, "_text", lambda path: "" if name in str(path) else real(path))


def test_where_the_boot_cannot_be_read_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    known = this_process()
    hide(monkeypatch, "boot_id")
    assert this_process().started == ""
    assert not is_gone(known)
    assert not is_gone(this_process())


@pytest.mark.parametrize("form", ["psutil:1.00", "00000000-0000-0000-0000-000000000000 1", "1790000000.12"])
def test_a_start_told_in_another_form_says_nothing(form: str) -> None:
    assert not is_gone(replace(this_process(), started=form))


def test_a_process_of_another_boot_is_gone_only_where_the_machine_is_known(
    machine: Callable[[str], None], ended: int
) -> None:
    machine("0123456789abcdef")
    assert is_gone(replace(this_process(), started=OTHER_BOOT))
    machine("")
    for pid in (os.getpid(), ended):
        assert not is_gone(replace(this_process(), pid=pid, started=OTHER_BOOT)), "of a machine of the same name"
    assert is_gone(replace(this_process(), pid=ended)), "of this boot"
    assert is_gone(replace(this_process(), started=f"{this_process().started}0")), "of this boot, and its id used again"


def test_a_proc_without_its_system_files_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> psutil.Process:
        raise FileNotFoundError("/proc/stat")

    known = ProcessMark(this_process().host, os.getpid(), "psutil:1.00")
    monkeypatch.setattr(psutil, "Process", refuse)
    hide(monkeypatch, "boot_id")
    assert not is_gone(known)
    monkeypatch.setattr(sys, "platform", "elsewhere")
    assert this_process().started == ""
    assert not is_gone(known)
