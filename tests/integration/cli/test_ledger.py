"""`batchctl ledger`: the hops of a run, counted again in the tables; a lost or doubled row is seen."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from batch_processing.cli.main import run_cli
from batch_processing.control.store import ControlStore
from tests.services.project import GOOD_ROWS, SmallProject

Ledger = Callable[..., tuple[int, dict[str, Any]]]
BAD = [",1,5.0,2026-11-01", "201,1,-3.0,2026-11-01", "oops,1,2.0,2026-11-01"]


@pytest.fixture
def ledger(project: SmallProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ledger:
    """Runs `batchctl ledger --json` in the project."""
    for name, value in project.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)

    def command(*arguments: str) -> tuple[int, dict[str, Any]]:
        code = run_cli(["ledger", *arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return command


def equations(hops: list[dict[str, Any]]) -> dict[str, str]:
    return {hop["hop"]: hop["equation"] for hop in hops}


def broken(found: dict[str, Any]) -> list[str]:
    return [hop["hop"] for hop in (*found["hops"], *(found["verified"] or ())) if hop["holds"] is False]


def test_every_row_of_a_run_is_shown_hop_by_hop_and_the_tables_agree(
    project: SmallProject, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write_orders([*GOOD_ROWS, *BAD])
    result = project.run()
    code, found = ledger(result.run_id)
    assert (code, broken(found)) == (0, [])
    assert equations(found["hops"]) == {
        "extract customers": "read 3 = rejected 0 + landed 3",
        "extract orders": "read 103 = rejected 1 + landed 102",
        "validate orders": "landed 102 = valid 100 + quarantined 2",
        "validate": "landed 105 = valid 103 + quarantined 2",
        "transform": "valid 103 → staged 100",
        "validate_output": "staged 100 = judged 100",
        "publish": "staged 100 = published 100",
        "load_warehouse": "published 100 = loaded 100",
    }
    assert equations(found["verified"]) == {
        "landed customers": "landed 3 = in the files 3",
        "landed orders": "landed 102 = in the files 102",
        "rejected orders": "rejected 1 = in the files 1",
        "quarantine orders": "quarantined 2 = in the table 2",
        "Delta commit": "published 100 = in its files 100",
        "warehouse ledger": "loaded 100 = in its ledger 100",
        "warehouse rows": "loaded 100 = equal in the table 100",
    }
    notes = {hop["hop"]: hop["note"] for hop in found["verified"]}
    assert notes.pop("warehouse rows") == "every value agrees"
    assert all(note.startswith("the contents agree") for note in notes.values()), notes
    assert run_cli(["ledger"]) == 0
    out = capsys.readouterr().out
    assert "✓" in out
    assert "✗" not in out


def lose_a_file_s_row(project: SmallProject) -> None:
    (file,) = project.table.rglob("day=*/*.parquet")
    pq.write_table(pq.read_table(file, partitioning=None).slice(1), file)


def lose_a_quarantined_row(project: SmallProject) -> None:
    DeltaTable(f"{project.root}/home/quarantine/orders/orders").delete("_source_row = 101")


def double_a_loaded_row(project: SmallProject) -> None:
    with duckdb.connect(str(project.warehouse)) as warehouse:
        warehouse.execute("insert into orders (select * from orders limit 1)")


def change_the_ledger_row(project: SmallProject) -> None:
    with duckdb.connect(str(project.warehouse)) as warehouse:
        warehouse.execute('update _batch_loads set "rows" = 99')


def lose_the_warehouse(project: SmallProject) -> None:
    project.warehouse.unlink()


def lose_a_recorded_row(project: SmallProject) -> None:
    with ControlStore.open(project.load().project.control_url) as control:
        control.update_rows(control.run().key, staged=99)


@pytest.mark.parametrize(
    ("harm", "hops"),
    [
        (lose_a_file_s_row, ["Delta commit"]),
        (lose_a_quarantined_row, ["quarantine orders"]),
        (double_a_loaded_row, ["warehouse rows"]),
        (change_the_ledger_row, ["warehouse ledger"]),
        (lose_the_warehouse, ["warehouse ledger"]),
        (lose_a_recorded_row, ["validate_output", "publish"]),
    ],
)
def test_a_lost_or_doubled_row_breaks_its_hop_and_ends_with_3(
    project: SmallProject, ledger: Ledger, harm: Callable[[SmallProject], None], hops: list[str]
) -> None:
    project.write_orders([*GOOD_ROWS, *BAD])
    project.run()
    harm(project)
    code, found = ledger()
    assert (code, found["exit_code"], broken(found)) == (3, 3, hops)
    assert not (harm is lose_the_warehouse and project.warehouse.exists()), "looking makes nothing"


def test_what_a_later_run_replaced_is_said_and_breaks_nothing(project: SmallProject, ledger: Ledger) -> None:
    project.write_orders([*GOOD_ROWS[:20], *BAD, ",1,1.0,2026-11-01"])
    failed = project.run()
    project.write_orders([*GOOD_ROWS, *BAD])
    first = project.run()
    code, found = ledger(failed.run_id)
    assert code == 0
    assert [hop["hop"] for hop in found["hops"]][-1] == "validate orders", "the failed run came no further"
    assert "replaced since" in found["verified"][-1]["note"]
    loaded = project.load()
    with ControlStore.open(loaded.project.control_url) as control:
        control.raise_generation("orders", first.slice)
    project.write_orders(GOOD_ROWS[:50])
    assert project.run().generation == 2
    code, found = ledger(first.run_id)
    held = {hop["hop"]: hop["holds"] for hop in found["verified"]}
    assert (code, held["Delta commit"], held["warehouse ledger"]) == (0, None, None)
    assert ledger()[0] == 0


def test_rows_that_a_later_slice_replaced_are_said_and_one_too_many_still_breaks(
    project: SmallProject, ledger: Ledger
) -> None:
    first = project.run()
    project.run(day="2026-11-02")
    code, found = ledger(first.run_id)
    rows = found["verified"][-1]
    assert (code, rows["hop"], rows["holds"]) == (0, "warehouse rows", None)
    assert rows["note"] == "100 rows replaced by later loads"
    with duckdb.connect(str(project.warehouse)) as warehouse:
        warehouse.execute("SET TimeZone = 'UTC'")
        warehouse.execute(
            "insert into orders select * replace ('2026-11-01 02:00:00+00'::timestamptz as _slice) "
            "from orders where id = 7"
        )
        warehouse.execute("update orders set name = 'Eve' where id = 7 and _slice = '2026-11-01 02:00:00+00'")
    code, found = ledger(first.run_id)
    assert (code, broken(found)) == (3, ["warehouse rows"])
    assert found["verified"][-1]["note"].startswith("100 rows missing, 1 too many; batchctl reprocess")


DAY = "2026-11-01T02:00:00Z"


def hop(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(hop for hop in (*found["hops"], *found["verified"]) if hop["hop"] == name)


def test_rows_that_are_gone_with_their_warehouse_table_are_not_said_to_be_replaced(
    project: SmallProject, ledger: Ledger
) -> None:
    first = project.run()
    with duckdb.connect(str(project.warehouse)) as warehouse:
        warehouse.execute("drop table orders")
    project.write_orders([row.replace("2026-11-01", "2026-11-02") for row in GOOD_ROWS[:10]])
    project.run(day="2026-11-02")
    code, found = ledger(first.run_id)
    assert (code, broken(found)) == (3, ["warehouse ledger"])
    assert f"batchctl run --slice {DAY}" in hop(found, "warehouse ledger")["note"]
    project.run()
    assert ledger(first.run_id)[0] == 0, "what the note says helps"


@pytest.mark.parametrize("target", [{}, {"mode": "merge", "keys": ["id"]}], ids=["replace_partitions", "merge"])
def test_rows_that_no_later_load_can_have_replaced_are_a_break(
    project: SmallProject, ledger: Ledger, target: dict[str, Any]
) -> None:
    project.declaration["target"] |= target
    first = project.run()
    project.write_orders([f"{n},1,5.0,2026-11-02" for n in range(91, 101)])
    project.run(day="2026-11-02")
    replaced = 10 if target else 0
    code, found = ledger(first.run_id)
    assert (code, hop(found, "warehouse rows")["out"]) == (0, {"equal in the table": 100 - replaced})
    with duckdb.connect(str(project.warehouse)) as warehouse:
        warehouse.execute("SET TimeZone = 'UTC'")
        warehouse.execute("delete from orders where _slice = '2026-11-01 02:00:00+00'")
    code, found = ledger(first.run_id)
    assert (code, broken(found)) == (3, ["warehouse rows"])
    note = hop(found, "warehouse rows")["note"]
    assert f"{100 - replaced} rows missing that no later load replaced" in note
    assert f"batchctl reprocess --slice {DAY}" in note
    project.write_orders(GOOD_ROWS)
    loaded = project.load()
    with ControlStore.open(loaded.project.control_url) as control:
        control.raise_generation("orders", first.slice)
    assert project.run().rows.loaded == 100
    assert ledger()[0] == 0


def test_a_load_that_failed_is_listed_until_a_run_does_it(project: SmallProject, ledger: Ledger) -> None:
    project.warehouse.write_text("no database")
    failed = project.run()
    assert (failed.rows.published, failed.rows.loaded) == (100, None)
    code, found = ledger(failed.run_id, "--no-verify")
    last = found["hops"][-1]
    assert (code, last["hop"], last["equation"]) == (3, "load_warehouse", "published 100 ≠ loaded 0")
    assert "the warehouse did not take part" in last["note"]
    assert f"batchctl run --slice {DAY}" in last["note"]
    project.warehouse.unlink()
    second = project.run()
    code, found = ledger(failed.run_id)
    assert (code, hop(found, "load_warehouse")["holds"]) == (0, None)
    assert hop(found, "load_warehouse")["note"] == f"loaded by run {second.run_id}"


def test_a_run_that_found_its_slice_published_has_the_last_hop_alone(project: SmallProject, ledger: Ledger) -> None:
    project.run()
    project.run()
    code, found = ledger()
    assert (code, list(equations(found["hops"]))) == (0, ["load_warehouse"])
    assert [hop["holds"] for hop in found["verified"]] == [True, True, True]


def test_a_transform_that_promises_to_keep_rows_is_held_to_it(project: SmallProject, ledger: Ledger) -> None:
    project.declaration["transform"] = {"function": f"{project.module}:transform", "preserves_rows": True}
    project.run()
    code, found = ledger("--no-verify")
    assert code == 0
    assert equations(found["hops"])["transform"] == "valid orders 100 = staged 100"
    assert found["verified"] is None


def test_without_its_declaration_a_run_is_still_looked_at(project: SmallProject, ledger: Ledger) -> None:
    project.run()
    project.file.write_text("pipeline: orders\nsouces: {}\n")
    assert ledger("--no-verify")[0] == 0
    assert ledger()[0] == 2
    project.file.unlink()
    code, found = ledger()
    assert code == 0
    assert "no declaration" in found["verified"][-1]["note"]


def test_a_run_that_is_not_there_is_wrong_use(project: SmallProject, ledger: Ledger, tmp_path: Path) -> None:
    assert ledger()[0] == 2
    project.run()
    code, found = ledger("nonsense")
    assert code == 2
    assert "no run has the id" in found["error"]
