"""The upkeep of all tables as a real DAG run."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from deltalake import CommitProperties, DeltaTable, write_deltalake

from batch_processing.airflow_support.local_run import TaskEvent, run_dag_once
from batch_processing.control.records import RunKey
from batch_processing.control.store import ControlStore
from batch_processing.errors import UsageError
from batch_processing.pipeline.declared_tables import alerts_of, declared_tables
from batch_processing.settings.slices import parse_slice
from batch_processing.settings.values import EnvironmentValues
from tests.services.smtp import Mailbox

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

DAG_FILE = """
from pathlib import Path
from batch_processing.airflow_support.maintenance import build_maintenance_dag

dag = build_maintenance_dag(Path(__file__).parent / "pipelines")
"""


def _declaration(name: str, table: str, **more: Any) -> dict[str, Any]:
    return {
        "pipeline": name,
        "sources": {
            "orders": {"files": {"path": f"data/{name}/*.csv"}, "schema": {"id": "bigint"}},
        },
        "validate": {"orders": {"suite": "orders"}},
        "transform": "jobs:transform",
        "target": {"table": table, "mode": "overwrite"},
        "alerts": {"email": [f"{name}@company.com"]},
        **more,
    }


def _write(folder: Path, *declarations: dict[str, Any]) -> Path:
    suites = folder / "dags" / "gx" / "expectations"
    suites.mkdir(parents=True)
    (suites / "orders.json").write_text(json.dumps({"name": "orders", "expectations": []}))
    pipelines = folder / "dags" / "pipelines"
    pipelines.mkdir()
    for declaration in declarations:
        (pipelines / f"{declaration['pipeline']}.yml").write_text(yaml.safe_dump(declaration, sort_keys=False))
    file = folder / "dags" / "upkeep_dag.py"
    file.write_text(DAG_FILE)
    return file


def _table(root: Path, *, pipeline: str, ids: tuple[int, ...] = (1, 2)) -> Path:
    """A table of small files, a file replaced nine days ago, and one as old that no version ever had."""
    for number in (0, *ids):
        write_deltalake(
            root, pa.table({"id": [number]}), mode="overwrite" if number == ids[0] else "append",
            commit_properties=CommitProperties(custom_metadata={"userMetadata": json.dumps(
                {"batch_processing": {"pipeline": pipeline, "mode": "overwrite"}}
            )}),
        )  # fmt: skip
    replaced = root / "_delta_log" / f"{1:020d}.json"
    earlier = lambda found: f'"deletionTimestamp":{int(found[1]) - 9 * 86_400_000}'  # noqa: E731
    replaced.write_text(re.sub(r'"deletionTimestamp":(\d+)', earlier, replaced.read_text()))
    return _age(_orphan(root, "aa"), days=9)


def _orphan(root: Path, name: str) -> Path:
    path = root / "2026-11-01T000000Z" / "g1" / name / "part-0.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(next(root.glob("*.parquet")).read_bytes())
    return path


def _age(path: Path, *, days: int) -> Path:
    past = time.time() - days * 86_400
    os.utime(path, (past, past))
    return path


def _xcoms(home: Path, task: str) -> dict[int, Any]:
    import sqlite3

    with sqlite3.connect(home / "airflow.db") as metadata:
        found = metadata.execute(
            "SELECT map_index, value FROM xcom WHERE task_id = ? AND key = 'return_value'", [task]
        ).fetchall()
    metadata.close()
    return {
        index: json.loads(json.loads(value)) if value.startswith('"') else json.loads(value) for index, value in found
    }


def test_every_table_is_maintained_and_one_that_fails_stops_no_other(tmp_path: Path, smtp: Mailbox) -> None:
    environ = {
        "BATCH_HOME": f"{tmp_path}/home",
        "AIRFLOW_VAR_LAKE": f"{tmp_path}/lake",
        "AIRFLOW_CONN_SMTP_DEFAULT": smtp.airflow_json,
    }
    file = _write(
        tmp_path,
        _declaration("busy", "{{ var.value.lake }}/busy"),
        _declaration("good", "{{ var.value.lake }}/good"),
        _declaration("odd", "{{ var.value.no_such_variable }}/odd"),
    )
    orphans = {name: _table(tmp_path / "lake" / name, pipeline=name) for name in ("busy", "good")}
    bad_rows = tmp_path / "home" / "quarantine" / "good" / "orders"
    orphans["bad rows"] = _table(bad_rows, pipeline="good")
    younger = _age(_orphan(tmp_path / "lake" / "good", "bb"), days=8)  # above the floor, below what the run asks for
    running = RunKey("busy", parse_slice("2026-11-01", None), 1, "r-running")
    with ControlStore.open(f"sqlite:///{tmp_path}/home/control.db") as control:
        control.start_run(running, engine="embedded", trigger="airflow")
    events: list[TaskEvent] = []

    result = run_dag_once(
        file, home=tmp_path / "airflow", environ=environ, conf={"retention_hours": 200}, on_task=events.append
    )

    log = result.log.read_text()
    ends = {event.task: event for event in events if event.kind != "running"}
    assert result.state == "failed", log[-3000:]
    listed = _xcoms(tmp_path / "airflow", "list_tables")[-1]
    index = {(one["pipeline"], one["kind"]): f"maintain[{n}]" for n, one in enumerate(listed)}
    assert {names: ends[task].kind for names, task in index.items()} == {
        ("busy", "target"): "failed",
        ("busy", "quarantine"): "skipped",
        ("good", "target"): "success",
        ("good", "quarantine"): "success",
        ("odd", "target"): "failed",
    }
    assert "r-running" in ends[index["busy", "target"]].error
    assert f"no Delta table yet at {tmp_path}/home/quarantine/busy/orders" in log
    assert "no_such_variable" in next(e.error for e in ends.values() if "no_such_variable" in e.error)
    assert {name: path.exists() for name, path in orphans.items()} == {"busy": True, "good": False, "bad rows": False}
    assert younger.exists()
    for root in (tmp_path / "lake" / "good", bad_rows):
        table = DeltaTable(root)
        assert len(table.file_uris()) == 1
        assert sorted(table.to_pyarrow_table()["id"].to_pylist()) == [1, 2]
        assert list((root / "_delta_log").glob("*.checkpoint.parquet"))
    report = _xcoms(tmp_path / "airflow", "maintain")[int(index["good", "target"].removesuffix("]").partition("[")[2])]
    assert report["compacted"]["files"] == 2
    assert (report["orphans"]["files"], report["vacuumed"]["files"]) == (1, 1)
    assert report["orphans"]["listed"][0]["path"].endswith("part-0.parquet")
    mails = {mail["Subject"].partition("step ")[2].partition(" ")[0]: mail for mail in smtp.messages}
    assert set(mails) == {task for task, event in ends.items() if event.kind == "failed"}
    assert "good@company.com" in mails[index["busy", "target"]]["To"]


def test_a_dry_run_changes_nothing_and_a_retention_below_the_floor_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batch_processing.operators.maintenance import MaintainTableOperator

    monkeypatch.setenv("BATCH_HOME", f"{tmp_path}/home")
    root = tmp_path / "lake" / "good"
    orphan = _table(root, pipeline="good")
    target = {"pipeline": "good", "kind": "target", "table": str(root), "problem": ""}
    given = {"task_id": "one", "pipelines": str(tmp_path), "target": target}

    looked = MaintainTableOperator(**given, dry_run="True").execute({})

    assert (looked["dry_run"], looked["orphans"]["files"]) == (True, 1)
    assert orphan.exists()
    assert len(DeltaTable(root).file_uris()) == 2
    with pytest.raises(UsageError, match="floor"):
        MaintainTableOperator(**given, retention_hours="167").execute({})


def test_the_tables_of_a_folder_are_found_once_each(tmp_path: Path) -> None:
    file = _write(
        tmp_path,
        _declaration("one", "lake/{{ var.value.name }}"),
        _declaration("two", f"{tmp_path}/dags/lake/shared", quarantine="{{ var.value.missing }}"),
        _declaration("three", "lake/shared", validate={}),
    )
    (file.parent / "pipelines" / "broken.yml").write_text("pipeline: broken\nscedule: x\n")
    values = EnvironmentValues(overrides={"name": "shared"}, environ={}, settings_file=None)

    found = declared_tables(file.parent / "pipelines", values=values)

    assert [(one.pipeline, one.kind, Path(one.table).name) for one in found if one.table] == [
        ("one", "target", "shared"),
        ("one", "quarantine", "orders"),
    ]
    problems = {one.pipeline: one.problem for one in found if one.problem}
    assert set(problems) == {"broken.yml", "two"}
    assert "scedule" in problems["broken.yml"]
    assert "missing" in problems["two"]
    assert alerts_of(file.parent / "pipelines")[0].email == ("one@company.com", "three@company.com", "two@company.com")
    with pytest.raises(UsageError, match="no pipeline"):
        declared_tables(tmp_path / "nowhere", values=values)
