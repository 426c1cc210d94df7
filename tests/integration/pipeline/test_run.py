"""A whole run on the embedded engine: what is published, what is quarantined, what a second run does."""

from __future__ import annotations

import linecache
import sqlite3
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from batch_processing.control.store import ControlStore
from batch_processing.pipeline.context import open_run
from batch_processing.pipeline.manifests import ValidateManifest
from batch_processing.pipeline.steps import execute_step
from batch_processing.results import Outcome, RowCounts
from batch_processing.settings.slices import parse_slice
from tests.services.project import GOOD_ROWS, SmallProject

BAD_ROWS = [",1,5.0,2026-11-01", "7,1,5.0,2026-11-01", "201,1,-3.0,2026-11-01", "202,1,1000001,2026-11-01"]


def _rows(project: SmallProject) -> list[dict[str, object]]:
    return DeltaTable(str(project.table)).to_pyarrow_table().sort_by("id").to_pylist()


def test_good_rows_go_from_files_to_the_warehouse(project: SmallProject) -> None:
    result = project.run()
    assert (result.outcome, result.exit_code, result.error) == (Outcome.PASS, 0, "")
    assert result.rows == RowCounts(
        read=103, rejected=0, landed=103, quarantined=0, valid=103, staged=100, published=100, loaded=100
    )
    rows = _rows(project)
    assert [row["id"] for row in rows] == list(range(1, 101))
    assert rows[0]["name"] == "Bo"
    with duckdb.connect(str(project.warehouse), read_only=True) as warehouse:
        assert warehouse.execute("select count(*), count(distinct id), sum(amount) from orders").fetchone() == (
            100,
            100,
            sum(n + 0.5 for n in range(1, 101)),
        )


def test_bad_rows_are_quarantined_with_every_reason_and_the_rest_goes_on(project: SmallProject) -> None:
    project.write_orders([*GOOD_ROWS, *BAD_ROWS, "oops,1,2.0,2026-11-01"])
    result = project.run()
    assert result.outcome is Outcome.PASS_WITH_QUARANTINE
    assert result.exit_code == 0
    assert (result.rows.read, result.rows.rejected, result.rows.landed) == (108, 1, 107)
    # 7 stands twice, so both of its rows are bad.
    assert (result.rows.quarantined, result.rows.valid, result.rows.published) == (5, 102, 99)
    assert 7 not in [row["id"] for row in _rows(project)]
    quarantine = DeltaTable(f"{project.root}/home/quarantine/orders/orders").to_pyarrow_table().to_pylist()
    reasons = sorted((row["_source_row"], *row["_reasons"]) for row in quarantine)
    assert [row for row, *_ in reasons] == [7, 101, 102, 103, 104]
    assert ["between" in why for _, why in reasons] == [False, False, False, True, True]
    assert {row["_run_id"] for row in quarantine} == {result.run_id}


def test_below_the_threshold_nothing_is_published_and_the_evidence_stays(project: SmallProject) -> None:
    project.write_orders([*GOOD_ROWS[:20], *BAD_ROWS])
    result = project.run()
    assert (result.outcome, result.exit_code) == (Outcome.FAIL, 1)
    assert "Data validation failed" in result.error
    assert "0.9" in result.error
    assert not project.table.exists()
    assert DeltaTable(f"{project.root}/home/quarantine/orders/orders").to_pyarrow_table().num_rows == 5
    assert "FAIL" in Path(result.report).read_text()


def test_a_second_run_of_a_published_slice_changes_nothing(project: SmallProject) -> None:
    first = project.run()
    project.write_orders(GOOD_ROWS[:50])
    second = project.run()
    assert (second.outcome, second.version) == (first.outcome, first.version)
    assert [step.step for step in second.steps] == ["publish", "load_warehouse"]
    assert len(_rows(project)) == 100


def test_a_failed_slice_runs_again_once_its_data_is_mended(project: SmallProject) -> None:
    project.write_orders([*GOOD_ROWS[:20], *BAD_ROWS])
    assert project.run().outcome is Outcome.FAIL
    project.write_orders(GOOD_ROWS)
    result = project.run()
    assert (result.outcome, result.rows.published) == (Outcome.PASS, 100)
    quarantine = DeltaTable(f"{project.root}/home/quarantine/orders/orders").to_pyarrow_table()
    assert quarantine.num_rows == 0, "the mended slice has no bad rows any more"


def test_a_quarantine_that_an_unfinished_run_began_is_empty_after_a_clean_one_and_takes_rows_later(
    project: SmallProject,
) -> None:
    place = Path(f"{project.root}/home/quarantine/orders/orders")
    place.mkdir(parents=True)
    assert project.run().outcome is Outcome.PASS
    assert DeltaTable(str(place)).to_pyarrow_table().num_rows == 0
    project.write_orders([*GOOD_ROWS, *BAD_ROWS])
    later = project.run(day="2026-11-02")
    assert (later.outcome, later.rows.quarantined) == (Outcome.PASS_WITH_QUARANTINE, 5)
    assert DeltaTable(str(place)).to_pyarrow_table().num_rows == 5


def test_the_failing_rows_of_a_table_check_stay_with_the_run_that_names_their_file(project: SmallProject) -> None:
    module = f"{project.module}_checks"
    (project.root / f"{module}.py").write_text(
        "from batch_processing.quality import TableCheckResult, table_check\n\n"
        '@table_check(severity="warning")\n'
        "def low(df):\n    return TableCheckResult(False, failing_rows=df.where('id <= 3'))\n\n"
        "@table_check\n"
        "def high(df):\n    return TableCheckResult(False, failing_rows=df.where('id > 60').select('id'))\n"
    )
    project.declaration["validate"]["orders"]["checks"] = [f"{module}:low"]
    project.declaration["validate_output"]["checks"] = [f"{module}:high"]
    result = project.run()
    (low,), (high,) = (list(project.root.glob(f"home/runs/**/evidence/{name}")) for name in ("orders/*", "_output/*"))
    assert result.outcome is Outcome.FAIL
    assert str(high) in result.error
    page = Path(result.report).read_text()
    assert str(low) in page
    assert str(high) in page
    assert sorted(pq.read_table(low)["id"].to_pylist()) == [1, 2, 3]
    assert pq.read_table(low).column_names[:4] == ["id", "customer_id", "amount", "day"]
    assert (pq.read_table(high).column_names, pq.read_table(high).num_rows) == (["id"], 40)


def test_a_failing_output_suite_leaves_the_table_as_it_was(project: SmallProject) -> None:
    project.run()
    before = _rows(project)
    project.write_suite(
        {
            "name": "output",
            "expectations": [
                {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "name", "value_set": ["Ada"]}}
            ],
        }
    )
    result = project.run(day="2026-11-02")
    assert (result.outcome, result.exit_code) == (Outcome.FAIL, 1)
    assert _rows(project) == before
    assert DeltaTable(str(project.table)).version() == 0


def test_the_control_store_keeps_what_each_step_cost(project: SmallProject) -> None:
    result = project.run()
    with ControlStore.open(project.load().project.control_url) as control:
        record = control.run(result.run_id)
    assert [step.step for step in record.steps][-1] == "load_warehouse"
    assert all(step.usage.seconds > 0 and step.usage.peak_rss_mb > 10 for step in record.steps)
    assert record.score == 1.0


@pytest.mark.parametrize("format_", ["csv.gz", "jsonl", "parquet"])
def test_every_file_format_gives_the_same_table(project: SmallProject, format_: str) -> None:
    project.run()
    expected = _rows(project)
    source = project.root / "data" / "a.csv"
    other = project.root / "data" / f"a.{format_}"
    kinds = {"csv.gz": "csv", "jsonl": "json", "parquet": "parquet"}
    options = ", header" if format_ == "csv.gz" else ""
    with duckdb.connect() as memory:
        memory.execute(f"copy (from read_csv('{source}')) to '{other}' (format {kinds[format_]}{options})")
    source.unlink()
    files = project.declaration["sources"]["orders"]["files"]
    files |= {"path": f"{project.root}/data/*", "format": format_.removesuffix(".gz")}
    project.declaration["target"]["table"] += "_other"
    result = project.run()
    assert result.error == ""
    found = DeltaTable(f"{project.table}_other").to_pyarrow_table().sort_by("id").to_pylist()
    assert found == expected


CHECK = """
from pyspark.sql import functions as sf
from batch_processing.quality.checks import row_check

@row_check(id="small")
def small(df):
    return sf.col("amount") < {limit}
"""


def test_a_step_run_again_finds_its_work_unless_the_users_code_has_changed(project: SmallProject) -> None:
    module = project.root / f"{project.module}_checks.py"
    module.write_text(CHECK.format(limit=1000))
    project.declaration["validate"]["orders"]["checks"] = [f"{project.module}_checks.small"]
    loaded = project.load()
    chosen = parse_slice("2026-11-01", loaded.spec.schedule)
    with open_run(loaded, values=project.values(), slice=chosen, run_id="r") as ctx:
        for step in ctx.plan.steps[:4]:
            execute_step(ctx, step, part=0 if step.mapped_over else None)
        validate = ctx.plan.step("validate")
        first = ctx.manifests.need("validate", ValidateManifest)
        execute_step(ctx, validate, attempt=2)
        assert ctx.manifests.need("validate", ValidateManifest) == first
        module.write_text(CHECK.format(limit=100))
        sys.modules.pop(f"{project.module}_checks")
        linecache.clearcache()
        execute_step(ctx, validate, attempt=3)
        assert ctx.manifests.need("validate", ValidateManifest).sources["orders"].quarantined == 1


def test_a_source_without_rows_is_never_a_pass_unless_that_is_declared(project: SmallProject) -> None:
    with sqlite3.connect(project.root / "crm.db") as crm:
        crm.execute("DELETE FROM customers")
    crm.close()
    result = project.run()
    assert (result.outcome, result.exit_code) == (Outcome.ERROR, 3)
    assert "customers has no rows" in result.error
    assert not project.table.exists()
    project.declaration["sources"]["customers"]["allow_empty"] = True
    assert project.run().outcome is Outcome.PASS
