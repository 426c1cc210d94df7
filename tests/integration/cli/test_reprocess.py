"""`batchctl reprocess`: the generation is raised only where the run can start, and a crash leaves it to be run."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from batch_processing.cli.main import run_cli
from batch_processing.control.store import ControlStore
from batch_processing.errors import DeclarationError
from batch_processing.settings.slices import latest_slice, parse_slice
from tests.services.project import GOOD_ROWS, TRANSFORM, SmallProject

DAY = "2026-11-01"
Command = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def batchctl(project: SmallProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command of batchctl in the project, for one day, in this process; gives exit code and JSON."""
    for name, value in project.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)
    project.load()

    def command(*arguments: str, day: str = DAY) -> tuple[int, dict[str, Any]]:
        code = run_cli([*arguments, "--slice", day, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return command


def generation(project: SmallProject) -> int:
    with ControlStore.open(project.load().project.control_url) as control:
        return control.current_generation("orders", parse_slice(DAY, "0 2 * * *"))


def ids(project: SmallProject) -> list[int]:
    return sorted(DeltaTable(str(project.table)).to_pyarrow_table()["id"].to_pylist())


def test_a_published_slice_is_made_anew_under_the_next_generation(project: SmallProject, batchctl: Command) -> None:
    assert batchctl("run")[1]["generation"] == 1
    project.write_orders(GOOD_ROWS[:50])
    assert batchctl("run")[1]["rows"]["read"] is None, "published: not read again"
    code, run = batchctl("reprocess")
    assert (code, run["generation"], run["rows"]["published"]) == (0, 2, 50)
    assert ids(project) == list(range(1, 51))
    code, again = batchctl("run")
    assert (code, again["generation"], again["delta"]) == (0, 2, run["delta"])


def test_where_the_control_store_was_lost_the_tables_log_tells_the_generation(
    project: SmallProject, batchctl: Command
) -> None:
    assert batchctl("run")[0] == 0
    assert batchctl("reprocess")[1]["generation"] == 2
    for file in (project.root / "home").glob("control.db*"):
        file.unlink()
    code, run = batchctl("reprocess")
    assert (code, run["generation"], run["rows"]["published"]) == (0, 3, 100)


@pytest.mark.parametrize("restored", [False, True])
def test_where_the_control_store_was_lost_a_run_takes_the_generation_that_the_table_has(
    project: SmallProject, batchctl: Command, capsys: pytest.CaptureFixture[str], restored: bool
) -> None:
    home = project.root / "home"
    assert batchctl("run")[0] == 0
    older = {file: file.read_bytes() for file in home.glob("control.db*")}
    project.write_orders(GOOD_ROWS[:50])
    second = batchctl("reprocess")[1]
    project.write_orders(GOOD_ROWS[:10])
    for file in home.glob("control.db*"):
        file.unlink()
    for file, data in older.items() if restored else ():
        file.write_bytes(data)

    code, run = batchctl("run")
    assert (code, run["generation"], run["delta"]) == (0, 2, second["delta"]), run["error"]
    assert generation(project) == 2
    assert len(ids(project)) == 50
    assert run_cli(["backfill", "--from", DAY, "--to", DAY]) == 0
    assert "1 skipped" in capsys.readouterr().out
    assert batchctl("reprocess")[1]["generation"] == 3


def test_a_log_that_cannot_be_read_is_an_error_of_the_run(project: SmallProject, batchctl: Command) -> None:
    assert batchctl("run")[0] == 0
    for entry in (project.table / "_delta_log").iterdir():
        if entry.is_file():
            entry.write_text("torn")
    code, run = batchctl("run")
    assert (code, run["outcome"]) == (3, "ERROR")
    assert "the table's log cannot be read" in run["error"]
    with ControlStore.open(project.load().project.control_url) as control:
        assert "the table's log cannot be read" in control.run().error


@pytest.mark.parametrize("case", ["connection", "suite", "transform", "declaration", "engine", "setting"])
def test_what_cannot_start_raises_no_generation(project: SmallProject, batchctl: Command, case: str) -> None:
    arguments: list[str] = []
    match case:
        case "connection":
            project.declaration["warehouse"]["connection"] = "nowhere"
        case "suite":
            (project.root / "gx" / "expectations" / "orders.json").write_text("{}")
        case "transform":
            project.write_transform("transfrom = None")
        case "declaration":
            project.declaration["target"]["mode"] = "merge"
        case "engine":
            arguments = ["--engine", "sparkk"]
        case _:
            project.declaration["target"]["table"] = "{{ var.value.nowhere }}/t"
    with contextlib.suppress(DeclarationError):  # the file is written; what is wrong with it is the command's to say
        project.load()
    code, run = batchctl("reprocess", *arguments)
    assert code == 2
    assert run["error"]
    with ControlStore.open(f"sqlite:///{project.root}/home/control.db") as control:
        assert control.current_generation("orders", parse_slice(DAY, "0 2 * * *")) == 1


def test_a_slice_whose_rows_cannot_be_told_from_others_keeps_its_generation(
    project: SmallProject, batchctl: Command
) -> None:
    project.declaration["target"]["mode"] = "append"
    project.load()
    assert batchctl("run")[0] == 0
    project.write_orders(GOOD_ROWS[:10])
    assert batchctl("run", day="2026-11-02")[0] == 0
    DeltaTable(str(project.table)).optimize.compact()
    batchctl("run")
    code, run = batchctl("reprocess")
    assert code == 3
    assert "cannot be told from others" in run["error"]
    assert generation(project) == 1
    assert batchctl("run")[0] == 0, "the slice is as good as before"


def test_a_slice_that_was_never_published_is_run_as_its_first_generation(
    capsys: pytest.CaptureFixture[str], batchctl: Command
) -> None:
    assert run_cli(["reprocess", "--slice", DAY, "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["generation"] == 1
    assert "never published" in captured.err
    assert f"batchctl run --slice {DAY}T02:00:00Z" in captured.err
    assert batchctl("reprocess")[1]["generation"] == 2


@pytest.mark.parametrize("command", ["run", "reprocess"])
def test_a_slice_of_the_future_is_refused(project: SmallProject, batchctl: Command, command: str) -> None:
    now = datetime.now(UTC)
    code, run = batchctl(command, day=f"{now.year + 1}-11-01")
    assert code == 2
    assert "has not begun" in run["error"]
    assert str(now.year + 1) in run["error"]
    assert "the last complete slice is" in run["error"]
    assert not project.table.exists()
    begun = latest_slice(project.declaration["schedule"], now).end  # the one that goes on
    assert batchctl("run", day=f"{begun:%Y-%m-%dT%H:%M}")[0] == 0


def _merged_and_not_loaded(project: SmallProject, batchctl: Command) -> None:
    project.declaration["target"] |= {"mode": "merge", "keys": ["id"], "partition_by": ["day"]}
    project.load()
    assert batchctl("run")[0] == 0
    with duckdb.connect(str(project.warehouse)) as warehouse:
        warehouse.execute("DROP TABLE orders")


def test_a_merge_again_waits_until_the_warehouse_has_what_it_would_leave_behind(
    project: SmallProject, batchctl: Command
) -> None:
    _merged_and_not_loaded(project, batchctl)
    project.write_orders(GOOD_ROWS[:50])

    code, refused = batchctl("reprocess")

    assert (code, generation(project)) == (2, 1)
    assert "generation 1 of slice 2026-11-01" in refused["error"]
    assert batchctl("run")[0] == 0
    assert batchctl("reprocess")[0] == 0
    with duckdb.connect(str(project.warehouse)) as warehouse:
        loaded = sorted(row[0] for row in warehouse.execute("SELECT id FROM orders").fetchall())
    assert loaded == ids(project) == list(range(1, 101))


@pytest.mark.parametrize("case", ["rows removed", "files vacuumed"])
def test_a_merge_again_does_not_wait_for_a_load_that_cannot_be(
    project: SmallProject, batchctl: Command, case: str
) -> None:
    _merged_and_not_loaded(project, batchctl)
    table = DeltaTable(str(project.table))
    if case == "rows removed":
        table.delete("id = 7")
    else:
        table.optimize.z_order(["id"])
        table.vacuum(0, enforce_retention_duration=False, dry_run=False)
    code, refused = batchctl("run")
    assert (code, "reprocess" in refused["error"]) == (3, True)

    code, run = batchctl("reprocess")

    assert (code, run["generation"], run["rows"]["loaded"]) == (0, 2, 100)
    assert ids(project) == list(range(1, 101))


def test_a_merge_again_goes_on_without_a_load_that_is_refused_for_good_where_told_to(
    project: SmallProject, batchctl: Command
) -> None:
    _merged_and_not_loaded(project, batchctl)
    for file in project.table.rglob("*.parquet"):
        pq.write_table(pq.ParquetFile(file).read(), file, compression="none")
    assert batchctl("run")[0] == 3, "the file is another than the published one"
    code, refused = batchctl("reprocess")
    assert (code, "reprocess --slice 2026-11-01T02:00:00Z --unloaded" in refused["error"]) == (2, True)

    code, run = batchctl("reprocess", "--unloaded")

    assert (code, run["generation"], run["rows"]["loaded"]) == (0, 2, 100)


def test_without_a_slice_nothing_is_guessed(project: SmallProject, batchctl: Command) -> None:
    assert run_cli(["reprocess"]) == 2
    assert run_cli(["reprocess", "--slice", "2026-11-01T03:00"]) == 2
    assert run_cli(["reprocess", "--slice", "yesterday"]) == 2


def test_a_process_killed_before_it_published_is_gone_on_with_by_run(project: SmallProject, batchctl: Command) -> None:
    assert batchctl("run")[0] == 0
    project.write_orders(GOOD_ROWS[:50])
    project.write_transform(
        f"import os\nos.kill(os.getpid(), {int(signal.SIGKILL)}) if os.environ.get('DIE') else None\n{TRANSFORM}"
    )
    killed = _killed(project.root)
    assert killed.returncode == -signal.SIGKILL
    assert generation(project) == 1, "the module killed the process while it was looked at"
    project.write_transform(
        TRANSFORM.replace(
            "    orders,",
            f"    import os; os.environ.get('DIE') and os.kill(os.getpid(), {int(signal.SIGKILL)})\n    orders,",
            1,
        )
    )
    killed = _killed(project.root)
    assert killed.returncode == -signal.SIGKILL
    assert generation(project) == 2
    assert len(ids(project)) == 100, "readers have the old rows"
    code, run = batchctl("run")
    assert (code, run["generation"], run["rows"]["published"]) == (0, 2, 50)
    assert ids(project) == list(range(1, 51))


def _killed(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "batch_processing.cli.main", "reprocess", "--slice", DAY]
    environment = {**os.environ, "DIE": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
