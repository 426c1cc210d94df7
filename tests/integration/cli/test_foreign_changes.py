"""Rows of a published slice that another tool changes: `ledger` tells, `run` refuses, `reprocess` makes good."""

import json
from collections.abc import Callable
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from batch_processing.cli.main import run_cli
from tests.services.project import GOOD_ROWS, SmallProject

SECOND_DAY = [f"{n},1,5.0,2026-11-02" for n in range(201, 211)]
Command = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def batchctl(project: SmallProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command of batchctl in the project, in this process; gives exit code and JSON."""
    for name, value in project.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)

    def command(*arguments: str) -> tuple[int, dict[str, Any]]:
        project.load()
        code = run_cli([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return command


def two_days(project: SmallProject, batchctl: Command, mode: str = "replace_partitions") -> list[str]:
    """Publishes two slices of other rows; gives their runs."""
    project.declaration["target"] |= {"mode": mode} | ({"keys": ["id"]} if mode == "merge" else {})
    runs = []
    for day, rows in (("2026-11-01", GOOD_ROWS), ("2026-11-02", SECOND_DAY)):
        project.write_orders(rows)
        code, run = batchctl("run", "--slice", day)
        assert code == 0
        runs.append(str(run["run_id"]))
    project.write_orders(GOOD_ROWS)
    return runs


def ids(project: SmallProject) -> list[int]:
    return sorted(DeltaTable(str(project.table)).to_pyarrow_table()["id"].to_pylist())


def in_the_table(found: dict[str, Any]) -> dict[str, Any] | None:
    return next((hop for hop in found["verified"] if hop["hop"] == "Delta table"), None)


def delete_some(table: DeltaTable) -> None:
    table.delete("id > 40 AND id <= 100")


def delete_the_day(table: DeltaTable) -> None:
    table.delete("id <= 100")


def write_over(table: DeltaTable) -> None:
    empty = table.to_pyarrow_table().slice(0, 0)
    write_deltalake(table, pa.table(empty), mode="overwrite")


@pytest.mark.parametrize("mode", ["replace_partitions", "append", "merge"])
@pytest.mark.parametrize(
    ("change", "operation", "left"),
    [(delete_some, "DELETE", 40), (delete_the_day, "DELETE", 0), (write_over, "WRITE", 0)],
    ids=["some", "all", "overwritten"],
)
def test_removed_rows_are_told_and_a_reprocess_brings_them_back(
    project: SmallProject,
    batchctl: Command,
    mode: str,
    change: Callable[[DeltaTable], None],
    operation: str,
    left: int,
) -> None:
    first, _ = two_days(project, batchctl, mode)
    code, found = batchctl("ledger", first)
    assert (code, in_the_table(found)) == (0, None)
    change(DeltaTable(str(project.table)))
    others = [n for n in ids(project) if n > 100]

    code, found = batchctl("ledger", first)
    hop = in_the_table(found)
    assert hop is not None
    assert (code, hop["holds"], hop["out"]["in the table"]) == (3, False, left)
    assert f"version 2 ({operation})" in hop["note"]
    assert "batchctl reprocess --slice 2026-11-01T02:00:00Z" in hop["note"]

    code, run = batchctl("run", "--slice", "2026-11-01")
    assert code == 3
    assert f"the table holds {left} of them" in run["error"]
    assert "batchctl reprocess" in run["error"]
    code, found = batchctl("ledger")
    hop = in_the_table(found)
    assert hop is not None, "the failed rerun is the latest run"
    assert (code, found["run_id"], hop["holds"], hop["out"]["in the table"]) == (3, run["run_id"], False, left)
    code, span = batchctl("backfill", "--from", "2026-11-01", "--to", "2026-11-02")
    outcomes = [one["outcome"] for one in span["slices"]]
    assert (code, outcomes, span["run"]) == (0, ["ROWS_REMOVED", "PUBLISHED" if others else "ROWS_REMOVED"], 0)
    code, again = batchctl("reprocess", "--slice", "2026-11-01")
    assert (code, again["rows"]["published"], again["rows"]["loaded"]) == (0, 100, 100)
    assert ids(project) == [*range(1, 101), *others], "no row twice, none missing"
    assert batchctl("run", "--slice", "2026-11-01")[0] == 0
    assert batchctl("ledger")[0] == 0


def test_a_table_restored_to_before_a_slice_and_back(project: SmallProject, batchctl: Command) -> None:
    first, second = two_days(project, batchctl, "append")
    DeltaTable(str(project.table)).restore(0)
    assert batchctl("ledger", first)[0] == 0, "its rows are there"
    code, found = batchctl("ledger", second)
    hop = in_the_table(found)
    assert hop is not None
    assert (code, hop["out"]) == (3, {"in the table": 0})
    assert "version 2 (RESTORE)" in hop["note"]
    assert batchctl("run", "--slice", "2026-11-02")[0] == 3
    DeltaTable(str(project.table)).restore(1)
    assert (batchctl("ledger", second)[0], batchctl("run", "--slice", "2026-11-02")[0]) == (0, 0)


def test_rows_that_were_changed_in_place_are_told_and_break_nothing(project: SmallProject, batchctl: Command) -> None:
    first, _ = two_days(project, batchctl)
    DeltaTable(str(project.table)).update({"name": "'•'"}, predicate="id = 7")
    code, found = batchctl("ledger", first)
    hop = in_the_table(found)
    assert hop is not None
    assert (code, hop["holds"], hop["out"]) == (0, None, {"in the table": 100})
    assert "version 2 (UPDATE)" in hop["note"]
    assert batchctl("run", "--slice", "2026-11-01")[0] == 0


@pytest.mark.parametrize("mode", ["replace_partitions", "append", "merge", "overwrite"])
def test_what_pipelines_and_compaction_rewrite_is_no_foreign_change(
    project: SmallProject, batchctl: Command, mode: str
) -> None:
    first, second = two_days(project, batchctl, mode)
    project.write_orders([*GOOD_ROWS[:5], *SECOND_DAY[:3]])
    if mode != "append":
        assert batchctl("run", "--slice", "2026-11-03")[0] == 0
    DeltaTable(str(project.table)).optimize.compact()
    for run in (first, second):
        code, found = batchctl("ledger", run)
        assert (code, in_the_table(found)) == (0, None)
    assert batchctl("run", "--slice", "2026-11-01")[0] == 0


def test_in_mode_append_rows_mixed_with_others_are_refused_and_the_fix_can_be_followed(
    project: SmallProject, batchctl: Command
) -> None:
    del project.declaration["target"]["partition_by"]
    first, _ = two_days(project, batchctl, "append")
    table = DeltaTable(str(project.table))
    table.optimize.compact()
    table.delete("id = 7")
    code, found = batchctl("ledger", first)
    hop = in_the_table(found)
    assert hop is not None
    assert (code, hop["holds"]) == (0, None), "nobody can say whose row it was"
    code, run = batchctl("reprocess", "--slice", "2026-11-01")
    assert code == 3
    assert "name a new path in target.table" in run["error"]
    project.declaration["target"]["table"] += "_2"
    for day, rows in (("2026-11-01", GOOD_ROWS), ("2026-11-02", SECOND_DAY)):
        project.write_orders(rows)
        code, found = batchctl("backfill", "--from", day, "--to", day)
        assert (code, found["run"], found["slices"][0]["rows"]["loaded"]) == (0, 1, len(rows))


def test_a_warehouse_table_that_was_emptied_is_loaded_again_once_its_ledger_rows_are_gone_too(
    project: SmallProject, batchctl: Command
) -> None:
    project.write_orders(GOOD_ROWS)
    assert batchctl("run", "--slice", "2026-11-01")[0] == 0
    span = ("backfill", "--from", "2026-11-01", "--to", "2026-11-01")

    def warehouse(sql: str) -> list[tuple[int]]:
        with duckdb.connect(str(project.warehouse)) as db:
            return db.execute(sql).fetchall()

    warehouse("DELETE FROM orders")
    assert batchctl("ledger")[0] == 3
    assert batchctl(*span)[1]["run"] == 0
    warehouse("DELETE FROM _batch_loads")
    code, again = batchctl(*span)
    assert (code, again["run"]) == (0, 1)
    assert warehouse("SELECT count(*) FROM orders") == [(100,)]
    assert batchctl("ledger")[0] == 0
