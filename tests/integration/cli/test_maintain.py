"""`batchctl maintain`: what it says, and that it never works beside a running slice unless told to."""

import json
from pathlib import Path

import pytest

from batch_processing.cli.main import run_cli
from batch_processing.control.records import RunKey
from batch_processing.control.store import ControlStore
from batch_processing.results import Outcome
from batch_processing.settings.slices import parse_slice
from tests.services.project import SmallProject


@pytest.fixture
def table(project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table with one published slice; its project is the current folder."""
    for name, value in project.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)
    assert project.run().exit_code == 0
    return project.table


def test_it_says_what_it_would_do_then_what_it_did(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["maintain", "lake/orders", "--dry-run"]) == 0
    assert "Nothing was changed" in capsys.readouterr().out
    assert not list(table.glob("_delta_log/*.checkpoint.parquet"))
    assert run_cli(["maintain", f"file://{table}"]) == 0
    assert "checkpoint  written" in capsys.readouterr().out
    assert run_cli(["maintain", str(table), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["checkpoint"], document["orphans"], document["vacuumed"]) == (False, [], [])


def test_a_running_slice_keeps_it_away(project: SmallProject, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = RunKey("orders", parse_slice("2026-11-02", "0 2 * * *"), 1, "r-running")
    with ControlStore.open(project.load().project.control_url) as control:
        control.start_run(key, engine="embedded", trigger="cli")
    assert run_cli(["maintain", str(table)]) == 3
    assert "r-running" in capsys.readouterr().err
    assert run_cli(["maintain", str(table), "--dry-run"]) == 0
    assert run_cli(["maintain", str(table), "--force"]) == 0
    with ControlStore.open(project.load().project.control_url) as control:
        control.finish_run(key, outcome=Outcome.FAIL)
    assert run_cli(["maintain", str(table)]) == 0


def test_what_is_no_table_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["maintain", str(tmp_path / "nowhere")]) == 2
    assert "no Delta table" in capsys.readouterr().err
    assert run_cli(["maintain", "s3://bucket/table"]) == 2
    assert run_cli(["maintain"]) == 2
