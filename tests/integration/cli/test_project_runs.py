"""A project made by `batchctl init`, run by `batchctl` in processes of its own, read back by other readers."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable

from batch_processing.cli.project import make_project
from batch_processing.cli.sample import write_sample

DAY = "2026-11-01"
pytestmark = pytest.mark.slow


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BATCH_", "AIRFLOW_"))}
    return kept | {"PYTHONWARNINGS": "default"} | more


def batchctl(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "batch_processing.cli.main", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(**more), capture_output=True, text=True, check=False, timeout=120
    )


def run_json(folder: Path, *arguments: str, command: str = "run") -> tuple[int, dict[str, Any]]:
    done = batchctl(folder, command, "--json", "--slice", DAY, *arguments)
    assert done.stdout.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_project(tmp_path / "shop", seed=11)
    return tmp_path / "shop"


def test_a_new_project_runs_at_once_with_quarantine_at_work(project: Path, tmp_path: Path) -> None:
    planted = write_sample(tmp_path / "again", seed=11)
    code, run = run_json(project)
    assert code == 0
    assert run["outcome"] == "PASS_WITH_QUARANTINE"
    assert "error" not in run
    good = planted.orders - planted.unreadable - planted.quarantined
    assert run["rows"]["rejected"] == planted.unreadable
    assert run["rows"]["quarantined"] == planted.quarantined
    assert (run["rows"]["staged"], run["rows"]["published"], run["rows"]["loaded"]) == (good, good, good)
    judged = planted.orders - planted.unreadable + 4  # orders and the four rates
    assert run["score"] == pytest.approx((judged - planted.quarantined) / judged)
    assert run["slice"] == "2026-11-01T02:00:00Z"

    # Other readers: Delta's own, and the warehouse's.
    table = DeltaTable(run["delta"]["table"], version=run["delta"]["version"]).to_pyarrow_table()
    assert table.num_rows == good
    assert len(set(table["batch_date"].to_pylist())) == 1
    assert all(value is not None for value in table["amount_eur"].to_pylist())
    with closing(duckdb.connect(str(project / "warehouse.duckdb"), read_only=True)) as warehouse:
        assert warehouse.execute("SELECT count(*), count(DISTINCT order_id) FROM orders").fetchone() == (good, good)
    quarantine = DeltaTable(str(project / "lake" / "quarantine" / "shop_orders" / "orders")).to_pyarrow_table()
    assert quarantine.num_rows == planted.quarantined
    assert all(reasons for reasons in quarantine["_reasons"].to_pylist())
    page = Path(run["report"]).read_text(encoding="utf-8")
    assert "PASS WITH QUARANTINE" in page
    assert "id_unique" in page


def test_running_the_same_slice_again_changes_nothing(project: Path) -> None:
    first = run_json(project)[1]
    code, second = run_json(project)
    assert code == 0
    assert second["delta"] == first["delta"]
    assert second["rows"]["loaded"] == first["rows"]["loaded"]
    assert DeltaTable(first["delta"]["table"]).version() == first["delta"]["version"]


def test_what_a_transform_prints_does_not_mix_with_the_json(project: Path) -> None:
    edit(project / "shop_transform.py", '    """Joins orders', '    print("joining")\n    """Joins orders')
    edit(project / "shop_checks.py", "\n\n@row_check", '\n\nprint("imported")\n\n\n@row_check')
    done = batchctl(project, "run", "--json", "--slice", DAY)
    assert json.loads(done.stdout)["outcome"] == "PASS_WITH_QUARANTINE"
    assert "joining" in done.stderr
    assert "imported" in done.stderr
    more = batchctl(project, "backfill", "--from", "2026-10-31", "--to", DAY, "--json")
    assert [one["outcome"] for one in json.loads(more.stdout)["slices"]] == ["PASS_WITH_QUARANTINE", "PUBLISHED"]


def test_reprocess_makes_a_new_generation_of_the_slice(project: Path) -> None:
    first = run_json(project)[1]
    second = run_json(project, command="reprocess")[1]
    assert (first["generation"], second["generation"]) == (1, 2)
    assert second["delta"]["version"] > first["delta"]["version"]
    assert DeltaTable(second["delta"]["table"]).to_pyarrow_table().num_rows == first["rows"]["published"]


def test_bad_data_ends_with_1_publishes_nothing_and_keeps_the_evidence(project: Path) -> None:
    code, run = run_json(project, "--set", "validation_threshold=0.999")
    assert code == run["exit_code"] == 1
    assert run["outcome"] == "FAIL"
    assert "Data validation failed" in run["error"]
    assert run["delta"]["version"] is None
    assert not (project / "lake" / "orders" / "_delta_log").exists()
    assert not (project / "warehouse.duckdb").exists()
    assert "What went wrong" in Path(run["report"]).read_text(encoding="utf-8")
    # Once the threshold is right again, the slice goes through.
    assert run_json(project)[0] == 0


@pytest.mark.parametrize(
    ("file", "old", "new", "arguments", "code", "words"),
    [
        ("pipeline.yml", "orders_suite", "order_suite", (), 2, "orders_suite"),
        ("pipeline.yml", "mode: replace_partitions", "mod: append", (), 2, "target.mod"),
        ("pipeline.yml", "orders/*.csv*", "ordres/*.csv*", ("--set", "x=1"), 3, "ordres"),
        ("variables.json", '"lake_path"', '"lakepath"', (), 2, "lake_path"),
        ("connections.json", '"shop"', '"shopp"', (), 2, "shop"),
        ("connections.json", "shop.sqlite", "none.sqlite", (), 3, "none.sqlite"),
        ("shop_transform.py", "return (", "raise ValueError('no')\n    return (", (), 3, "transform"),
        ("shop_transform.py", "def transform(", "def transfrom(", (), 2, "transform"),
        ("data/rates.jsonl", "eur_rate", "euro_rate", (), 3, "rates"),
        ("data/orders/2026-10-29.csv", "id,customer_id,amount", "id,customer_id,amuont", (), 1, "amuont"),
    ],
    ids=lambda value: value.replace("/", "_")[:24] if isinstance(value, str) else None,
)
def test_each_mistake_ends_with_one_message_its_exit_code_and_nothing_published(
    project: Path, file: str, old: str, new: str, arguments: tuple[str, ...], code: int, words: str
) -> None:
    edit(project / file, old, new)
    edit(project / "pipeline.yml", "timeout: 1m", "timeout: 2s")
    found, run = run_json(project, *arguments)
    assert found == run["exit_code"] == code, run["error"]
    assert words in run["error"]
    assert not (project / "lake" / "orders" / "_delta_log").exists()


def test_progress_and_summary_are_plain_lines_without_colour(project: Path) -> None:
    done = batchctl(project, "run", "--slice", DAY)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert any("validate PASS_WITH_QUARANTINE in" in line for line in done.stderr.splitlines())
    for words in ("rejected", "quarantined", "warehouse.duckdb", "report.html", "Next: batchctl report --open"):
        assert words in done.stdout


def test_history_and_report_tell_of_the_run(project: Path) -> None:
    run = run_json(project)[1]
    document = json.loads(batchctl(project, "history", "--json").stdout)
    assert [found["run_id"] for found in document["runs"]] == [run["run_id"]]
    steps = {step["id"]: step for step in document["runs"][0]["steps"]}
    assert steps["validate"]["seconds"] > 0
    assert steps["validate"]["cpu_seconds"] > 0
    assert steps["validate"]["peak_rss_mb"] > 0
    done = batchctl(project, "report", run["run_id"][:18], "--path")
    assert done.stdout.strip() == run["report"]


def test_no_value_of_a_row_is_in_the_report_or_the_log(project: Path) -> None:
    run = run_json(project)[1]
    with closing(sqlite3.connect(project / "data" / "shop.sqlite")) as database:
        names = [row[0] for row in database.execute("SELECT name FROM customers")]
    log = Path(run["report"]).with_name("run.log").read_text()
    page = Path(run["report"]).read_text(encoding="utf-8")
    for value in [*names, "plenty", "1000001.5", "one field too many", "2026-02-31"]:
        assert value not in page
        assert value not in log


def test_ctrl_c_ends_with_130_and_the_run_is_recorded_as_ended(project: Path) -> None:
    edit(project / "pipeline.yml", "orders/*.csv*", "not_yet/*.csv*")
    command = [sys.executable, "-m", "batch_processing.cli.main", "run", "--json", "--slice", DAY]
    process = subprocess.Popen(
        command, cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        _wait_for_line(process, "wait_for_orders started")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert json.loads(out)["error"] == "interrupted"
    assert "Traceback" not in err
    (found,) = json.loads(batchctl(project, "history", "--json").stdout)["runs"]
    assert found["outcome"] == "ERROR"
    assert "Ctrl-C" in found["error"]


def _wait_for_line(process: subprocess.Popen[str], words: str) -> None:
    if process.stderr is None:
        raise AssertionError("no standard error")
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"never said {words!r}")
