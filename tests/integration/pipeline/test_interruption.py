"""Runs whose process was killed: told from those that go on, and ended by whoever looks or comes next."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from batch_processing.cli.main import run_cli
from batch_processing.control.process import ProcessMark, is_gone, this_process
from batch_processing.control.records import RunKey, RunRecord
from batch_processing.control.store import ControlStore
from batch_processing.pipeline.context import open_run
from batch_processing.pipeline.interruption import end_interrupted
from batch_processing.results import Outcome, StepResult
from batch_processing.settings.slices import parse_slice
from tests.services.project import SmallProject

SLICE = parse_slice("2026-11-01", "0 2 * * *")
EARLIER = "boot:earlier 1"
CHILD = """
import json, pathlib, sys, time
from batch_processing.pipeline.context import open_run
from batch_processing.results import Outcome, StepResult
from batch_processing.settings.loading import load_pipeline
from batch_processing.settings.slices import parse_slice
from batch_processing.settings.values import EnvironmentValues
loaded = load_pipeline(pathlib.Path(sys.argv[1]))
values = EnvironmentValues(overrides={}, environ={}, settings_file=None)
with open_run(loaded, values=values, slice=parse_slice("2026-11-01", "0 2 * * *"), run_id="r-1") as run:
    run.control.record_report(run.key, str(run.report_path))
    run.report_path.parent.mkdir(parents=True)
    run.report_path.write_text("still running")
    run.control.record_step(run.key, StepResult("validate", Outcome.PASS))
    print("there", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> SmallProject:
    """The project as the current folder."""
    for name, value in project.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)
    project.load()
    return project


@contextmanager
def a_run(project: SmallProject) -> Iterator[subprocess.Popen[str]]:
    """A run that goes on, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(project.file)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, **project.environ},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def recorded(project: SmallProject, run_id: str = "r-1") -> RunRecord:
    with ControlStore.open(f"sqlite:///{project.root}/home/control.db") as control:
        return control.run(run_id)


def test_a_killed_run_is_interrupted_for_history_and_report_and_a_live_or_frozen_one_is_not(
    folder: SmallProject, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_run(folder) as process:
        for _ in range(2):
            assert run_cli(["history", "--json"]) == 0
            (run,) = json.loads(capsys.readouterr().out)["runs"]
            assert (run["outcome"], run["interrupted"]) == ("RUNNING", False)
            process.send_signal(signal.SIGSTOP)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and nobody has taken notice of it
        assert run_cli(["history"]) == 0
    shown = capsys.readouterr().out
    assert "! INTERRUPTED" in shown
    assert "RUNNING" not in shown
    assert "batchctl run FILE --slice 2026-11-01T02:00:00Z, where FILE declares the pipeline orders" in shown
    run = recorded(folder)
    assert (run.outcome, run.interrupted) == (Outcome.ERROR, True)
    assert f"process {process.pid}" in run.error
    assert "validate" in run.error
    assert run.ended_at is not None
    page = (folder.root / "home" / "runs").glob("**/report.html")
    assert "Interrupted" in next(page).read_text()
    assert run_cli(["report"]) == 0


def test_the_next_run_of_the_pipeline_ends_a_killed_one_and_a_retry_opens_it_again(
    folder: SmallProject, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_run(folder):
        pass  # killed at the end of the block
    assert recorded(folder).outcome is Outcome.RUNNING

    with open_run(folder.load(), values=folder.values(), slice=SLICE, run_id="r-2") as run:
        assert recorded(folder).interrupted
        assert recorded(folder, "r-2").outcome is Outcome.RUNNING
        run.control.finish_run(run.key, outcome=Outcome.PASS)
    assert run_cli(["history"]) == 0
    assert "To do" not in capsys.readouterr().out, "it has been run again"

    # The same run once more, as a retry: it is no longer interrupted.
    with open_run(folder.load(), values=folder.values(), slice=SLICE, run_id="r-1"):
        again = recorded(folder)
        assert (again.outcome, again.interrupted, again.error) == (Outcome.RUNNING, False, "")
        assert again.process == this_process()


def test_runs_of_other_hosts_and_of_airflow_are_left_alone(folder: SmallProject) -> None:
    here = this_process()
    marks: dict[str, ProcessMark | None] = {
        "other host": replace(here, host="elsewhere", started="boot:long ago"),
        "airflow": None,
        "alive": here,
        "unknown start": replace(here, started=""),
        "gone": replace(here, started=EARLIER),
    }
    with ControlStore.open(f"sqlite:///{folder.root}/home/control.db") as control:
        for name, mark in marks.items():
            key = RunKey("orders", SLICE, 1, name)
            control.start_run(key, engine="embedded", trigger="cli", process=mark)
        assert end_interrupted(control, pipeline="another") == ()
        ended = end_interrupted(control, pipeline="orders")
        assert [run.key.run_id for run in ended] == ["gone"]
        assert end_interrupted(control) == ()


def test_an_interrupted_run_ends_with_the_last_that_it_recorded_and_a_late_end_wins(folder: SmallProject) -> None:
    key = RunKey("orders", SLICE, 1, "r-1")
    with ControlStore.open(f"sqlite:///{folder.root}/home/control.db") as control:
        gone = replace(this_process(), started=EARLIER)
        control.start_run(key, engine="embedded", trigger="cli", process=gone)
        started = control.run("r-1").started_at
        last = started + timedelta(seconds=7)
        control.record_step(key, StepResult("transform", Outcome.PASS, started_at=started, ended_at=last))
        (ended,) = end_interrupted(control)
        assert ended.ended_at == last
        control.finish_run(key, outcome=Outcome.PASS)
        assert not control.run("r-1").interrupted
        assert control.run("r-1").outcome is Outcome.PASS


def test_a_process_is_known_by_its_start() -> None:
    here = this_process()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert not is_gone(here)
        assert is_gone(replace(here, pid=child.pid))
    finally:
        child.communicate(b"\n")
    assert is_gone(replace(here, pid=child.pid, started=EARLIER))
