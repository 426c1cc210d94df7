"""`batchctl backfill`: every slice of a span, each in a process of its own."""

import json
import signal
import subprocess
import sys
import time
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable

from batch_processing.cli import backfill
from batch_processing.cli.main import run_cli
from batch_processing.control.store import ControlStore
from batch_processing.results import Outcome
from tests.services.project import GOOD_ROWS, SmallProject

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> SmallProject:
    """The project with orders of its own per day, as the current folder."""
    for name, value in project.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)
    project.declaration["sources"]["orders"]["files"]["path"] = f"{project.root}/data/{{{{ ds }}}}.csv"
    for day in (1, 2, 3):
        rows = [row.replace("2026-11-01", f"2026-11-0{day}") for row in GOOD_ROWS[: day * 10]]
        project.write_orders(rows, name=f"2026-11-0{day}.csv")
    project.load()
    return project


def rows_per_day(project: SmallProject) -> dict[str, int]:
    days = [str(day) for day in DeltaTable(str(project.table)).to_pyarrow_table()["day"].to_pylist()]
    return {day: days.count(day) for day in sorted(set(days))}


def loaded_per_day(project: SmallProject) -> dict[str, int]:
    with duckdb.connect(str(project.warehouse), read_only=True) as warehouse:
        found = warehouse.execute("SELECT CAST(day AS text), count(*) FROM orders GROUP BY 1 ORDER BY 1").fetchall()
    return {str(day): int(rows) for day, rows in found}


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = run_cli(["backfill", *arguments, "--json"])
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 1
    return code, json.loads(captured.out)


def test_one_failing_slice_does_not_stop_the_others_and_the_next_time_only_it_is_run(
    folder: SmallProject, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [f"{n},1,-5.0,2026-11-02" for n in range(20)]
    good = (folder.root / "data" / "2026-11-02.csv").read_text()
    folder.write_orders(bad, name="2026-11-02.csv")
    code, found = run_json(capsys, "--from", "2026-11-01", "--to", "2026-11-03", "--jobs", "2", "--newest-first")
    assert [part["slice"][:10] for part in found["slices"]] == ["2026-11-03", "2026-11-02", "2026-11-01"]
    assert [part["outcome"] for part in found["slices"]] == ["PASS", "FAIL", "PASS"]
    assert (code, found["exit_code"], found["run"], found["passed"], found["skipped"]) == (1, 1, 3, 2, 0)
    assert "Data validation failed" in found["slices"][1]["error"]
    assert rows_per_day(folder) == {"2026-11-01": 10, "2026-11-03": 30}

    (folder.root / "data" / "2026-11-02.csv").write_text(good)
    assert run_cli(["backfill", "--from", "2026-11-01", "--to", "2026-11-03"]) == 0
    out = capsys.readouterr().out
    assert out.count("skipped: published") == 2
    assert "1 run in" in out
    assert "2 skipped" in out
    assert rows_per_day(folder) == {"2026-11-01": 10, "2026-11-02": 20, "2026-11-03": 30}


def test_a_published_slice_that_was_not_loaded_is_not_skipped_and_a_technical_fault_is_the_worst(
    folder: SmallProject, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write_orders([f"{n},1,-5.0,2026-11-02" for n in range(20)], name="2026-11-02.csv")
    folder.warehouse.write_text("no database")
    code, found = run_json(capsys, "--from", "2026-11-01", "--to", "2026-11-02", "--jobs", "2")
    assert code == 3
    assert [part["exit_code"] for part in found["slices"]] == [3, 1]
    assert rows_per_day(folder) == {"2026-11-01": 10}
    folder.warehouse.unlink()
    code, found = run_json(capsys, "--from", "2026-11-01", "--to", "2026-11-01")
    assert (code, found["run"], found["skipped"]) == (0, 1, 0)
    assert found["slices"][0]["rows"]["loaded"] == 10
    code, found = run_json(capsys, "--from", "2026-11-01", "--to", "2026-11-01")
    assert (code, found["run"], found["slices"][0]["outcome"]) == (0, 0, backfill.PUBLISHED)


@pytest.mark.parametrize("mode", ["replace_partitions", "overwrite"])
def test_a_slice_whose_warehouse_table_was_dropped_is_loaded_again(
    folder: SmallProject, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    folder.declaration["target"]["mode"] = mode
    span = ("--from", "2026-11-01", "--to", "2026-11-02")
    for day in ("2026-11-01", "2026-11-02"):
        folder.run(day=day)
    assert run_json(capsys, *span)[1]["skipped"] == 2
    held = loaded_per_day(folder)
    with duckdb.connect(str(folder.warehouse)) as warehouse:
        warehouse.execute("DROP TABLE orders")
    code, found = run_json(capsys, *span)
    assert (code, found["run"], found["skipped"]) == (0, 2, 0)
    assert [part["rows"]["read"] for part in found["slices"]] == [None, None], "published: not read again"
    assert loaded_per_day(folder) == held == rows_per_day(folder)
    if mode == "overwrite":
        with duckdb.connect(str(folder.warehouse)) as warehouse:
            warehouse.execute("DELETE FROM _batch_loads WHERE table_version = 0")
    assert run_json(capsys, *span)[1]["skipped"] == 2, "an overwritten slice has nothing to load"
    folder.warehouse.unlink()
    assert run_json(capsys, "--from", "2026-11-02", "--to", "2026-11-02")[1]["run"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "2026-11-03", "--to", "2026-11-01"], "before the first"),
        (["--from", "soon", "--to", "2026-11-01"], "cannot read a slice"),
        (["--from", "2026-11-01T03:00", "--to", "2026-11-01T04:00"], "no slice starts in that time"),
        (["--from", "2090-01-01", "--to", "2090-01-02"], "is over yet"),
        (["--from", "2026-11-01"], "--to"),
        (["--from", "2026-11-01", "--to", "2026-11-02", "--jobs", "0"], "--jobs"),
        (["--from", "2026-11-01", "--to", "2026-11-02", "--engine", "sparkk"], "--engine"),
    ],
)
def test_a_span_that_makes_no_sense_is_refused_before_anything_runs(
    folder: SmallProject, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["backfill", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not folder.table.exists()


def test_what_every_slice_would_fail_with_is_said_once(
    folder: SmallProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_CRM")
    assert run_cli(["backfill", "--from", "2026-11-01", "--to", "2026-11-03"]) == 2
    err = capsys.readouterr().err
    assert err.count("crm") == 1
    assert "started" not in err


def test_ctrl_c_ends_the_workers_too_and_their_runs_are_recorded_as_ended(folder: SmallProject) -> None:
    (folder.root / "data" / "2026-11-01.csv").unlink()
    folder.declaration["sources"]["orders"]["files"]["timeout"] = "5m"
    url = folder.load().project.control_url
    command = [sys.executable, "-m", "batch_processing.cli.main", "backfill", "--json", "--from", "2026-11-01"]
    process = subprocess.Popen(
        [*command, "--to", "2026-11-03"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not _outcomes(url) and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=40)
    finally:
        process.kill()
    assert process.returncode == 130
    assert json.loads(out)["error"] == "interrupted"
    assert "Traceback" not in err
    assert "[1/3] 2026-11-01T02:00:00Z ERROR in " in err
    assert "interrupted" in err.split("[1/3] 2026-11-01T02:00:00Z ERROR in ")[1]
    assert "[2/3]" not in err
    assert _outcomes(url) == [Outcome.ERROR]


def _outcomes(url: str) -> list[Outcome]:
    with ControlStore.open(url) as control:
        return [run.outcome for run in control.history()]
