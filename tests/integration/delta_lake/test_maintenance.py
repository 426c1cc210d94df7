"""A table's upkeep: what it removes, what it keeps, and that a slice published before stays published once."""

import json
import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from batch_processing.control.records import RunKey
from batch_processing.control.store import ControlStore
from batch_processing.delta_lake.maintenance import FLOOR_HOURS, Maintained, maintain
from batch_processing.delta_lake.publish import find_published, publish
from batch_processing.delta_lake.reprocessing import check_replaceable
from batch_processing.errors import PublishConflict, TableError, UsageError
from batch_processing.pipeline.upkeep import maintain_table
from batch_processing.results import Outcome, Published, Slice
from tests.services.project import GOOD_ROWS, SmallProject
from tests.unit.delta_lake.files import schema_json, staged_rows

SCHEMA = schema_json(id="long", name="string", share="double")
LONG_AGO = timedelta(days=60)
SLICE = Slice(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))


def put(
    root: Path, ids: list[int], *, app: str, mode: str = "overwrite", pipeline: str = "p", **facts: int
) -> Published:
    rows = [{"id": i, "name": f"n{i}", "share": float("nan") if i % 2 else 0.5} for i in ids]
    staged = staged_rows(root, rows, schema=SCHEMA)
    return publish(
        staged, mode=mode, app_id=app, generation=facts.get("generation", 1), metadata={"pipeline": pipeline}
    )  # type: ignore[arg-type]


def ids_of(root: Path) -> list[int]:
    return sorted(DeltaTable(root).to_pyarrow_table()["id"].to_pylist())


def age(root: Path, by: timedelta = LONG_AGO) -> None:
    """Makes everything in the table, its log's own times included, look as old as it would be then."""
    past = time.time() - by.total_seconds()
    for path in (p for p in root.rglob("*") if p.is_file()):
        if path.suffix == ".json":
            shifted = lambda m: f'"{m[1]}":{int(m[2]) - int(by.total_seconds() * 1000)}'  # noqa: E731
            path.write_text(
                re.sub(r'"(deletionTimestamp|timestamp|modificationTime)":(\d{13})', shifted, path.read_text())
            )
        os.utime(path, (past, past))


def orphan(root: Path, *, folder: str = "2026-11-01T000000Z/g1/0123456789ab") -> Path:
    staged = staged_rows(root, [{"id": 99, "name": "x", "share": 1.0}], schema=SCHEMA, folder=folder)
    return root / staged.files[0].path


def test_small_files_become_one_and_no_row_changes(tmp_path: Path) -> None:
    for number in range(5):
        put(tmp_path, [number], app=f"a{number}", mode="append", pipeline="p")
    done = maintain(tmp_path, compact_appended=True)
    assert (done.small_files, done.compacted_into, done.checkpoint) == (5, 1, True)
    assert ids_of(tmp_path) == [0, 1, 2, 3, 4]
    (action,) = pa.table(DeltaTable(tmp_path).get_add_actions(flatten=True)).to_pylist()
    assert (action["min.id"], action["max.id"]) == (0, 4)
    # Bounds that leave NaN out would let readers skip rows.
    assert action.get("max.share") is None
    assert maintain(tmp_path, compact_appended=True).small_files == 0


@pytest.mark.parametrize("asked", ["interval 30 days", "interval 720 hours"])
@pytest.mark.parametrize(("days", "removed"), [(20, 0), (40, 1)])
def test_a_table_that_asks_for_a_longer_retention_has_it(tmp_path: Path, asked: str, days: int, removed: int) -> None:
    put(tmp_path, [1], app="a", mode="overwrite")
    DeltaTable(tmp_path).alter.set_table_properties({"delta.deletedFileRetentionDuration": asked})
    put(tmp_path, [2], app="b", mode="overwrite")
    age(tmp_path, timedelta(days=days))
    assert len(maintain(tmp_path, dry_run=True).vacuumed) == removed
    assert len(maintain(tmp_path).vacuumed) == removed


def test_an_appended_table_is_left_uncompacted_so_that_its_slices_can_be_made_anew(tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path, [number], app=f"a{number}", mode="append")
    done = maintain(tmp_path)
    assert (done.small_files, done.compacted_into) == (0, 0)
    assert "append" in done.not_compacted
    check_replaceable(tmp_path, app_id="a1", mode="append", partition_by=())
    put(tmp_path, [7], app="a1", mode="append", generation=2)
    assert ids_of(tmp_path) == [0, 2, 7]


def test_reprocessing_is_refused_beforehand_where_the_rows_cannot_be_told_apart(tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path, [number], app=f"a{number}", mode="append")
    maintain(tmp_path, compact_appended=True)
    with pytest.raises(TableError, match="cannot be told"):
        check_replaceable(tmp_path, app_id="a1", mode="append", partition_by=())
    check_replaceable(tmp_path, app_id="new", mode="append", partition_by=())
    check_replaceable(tmp_path, app_id="a1", mode="overwrite", partition_by=())


def test_a_dry_run_lists_and_changes_nothing(tmp_path: Path) -> None:
    put(tmp_path, [1], app="a")
    put(tmp_path, [2], app="b")
    lost = orphan(tmp_path)
    age(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = maintain(tmp_path, dry_run=True)
    assert [file.path for file in done.orphans] == [lost.relative_to(tmp_path).as_posix()]
    assert len(done.vacuumed) == 1
    assert done.freed == lost.stat().st_size + done.vacuumed[0].size
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_tells_of_the_checkpoint_that_its_own_commits_will_want(tmp_path: Path) -> None:
    put(tmp_path, [1], app="a")
    DeltaTable(str(tmp_path)).create_checkpoint()
    assert not maintain(tmp_path, dry_run=True).checkpoint
    write_deltalake(str(tmp_path), DeltaTable(str(tmp_path)).to_pyarrow_table(), mode="append")
    DeltaTable(str(tmp_path)).create_checkpoint()
    looked = maintain(tmp_path, dry_run=True)
    assert (looked.small_files, looked.checkpoint) == (2, True)
    assert maintain(tmp_path).checkpoint


def test_files_of_earlier_versions_and_orphans_go_and_their_empty_folders_too(tmp_path: Path) -> None:
    first = put(tmp_path, [1], app="a")
    put(tmp_path, [2], app="b")
    lost = orphan(tmp_path)
    age(tmp_path)
    done = maintain(tmp_path)
    assert [Path(first.files[0])] == [tmp_path / file.path for file in done.vacuumed]
    assert not Path(first.files[0]).exists()
    assert not lost.exists()
    assert not lost.parent.parent.parent.exists()
    assert ids_of(tmp_path) == [2]
    again = maintain(tmp_path)
    assert (again.vacuumed, again.orphans, again.version) == ((), (), done.version)


def test_what_is_younger_than_the_floor_or_needed_or_none_of_ours_stays(tmp_path: Path) -> None:
    first = put(tmp_path, [1], app="a")
    put(tmp_path, [2], app="b")
    lost = orphan(tmp_path)
    age(tmp_path, timedelta(hours=FLOOR_HOURS - 1))
    read_me = tmp_path / "README.md"
    hidden = tmp_path / "_other" / "x.parquet"
    hidden.parent.mkdir()
    for path in (read_me, hidden):
        path.write_text("not ours")
        os.utime(path, (0, 0))
    linked = tmp_path / "merge" / "1-in" / "000000.parquet"  # as a merge reads the table's files
    linked.parent.mkdir(parents=True)
    os.link(put(tmp_path, [2], app="c").files[0], linked)
    os.utime(linked, (0, 0))
    done = maintain(tmp_path)
    assert (done.vacuumed, done.orphans) == ((), ())
    assert all(path.exists() for path in (lost, read_me, hidden, linked, Path(first.files[0])))


def test_files_that_a_retained_version_names_are_no_orphans(tmp_path: Path) -> None:
    first = put(tmp_path, [1], app="a")
    put(tmp_path, [2], app="b")
    # The tombstone is younger than the floor, the file is older.
    for path in tmp_path.rglob("*.parquet"):
        os.utime(path, (0, 0))
    assert maintain(tmp_path).orphans == ()
    assert DeltaTable(tmp_path, version=first.version).to_pyarrow_table()["id"].to_pylist() == [1]


def test_a_log_that_cannot_be_read_stops_before_anything_is_removed(tmp_path: Path) -> None:
    put(tmp_path, [1], app="a")
    put(tmp_path, [2], app="b")
    lost = orphan(tmp_path)
    age(tmp_path)
    maintained = maintain(tmp_path, dry_run=True)
    assert maintained.orphans
    (tmp_path / "_delta_log" / "00000000000000000000.json").write_text("{oops")
    with pytest.raises(TableError):
        maintain(tmp_path)
    assert lost.exists()


@pytest.mark.parametrize("value", ["a b", "é/ü", "100%", "%2F", "x=y&z"])
def test_no_encoding_of_a_path_makes_a_live_file_an_orphan(tmp_path: Path, value: str) -> None:
    schema = pa.schema([("id", pa.int64()), ("kind", pa.string())])
    write_deltalake(tmp_path, pa.table({"id": [1], "kind": [value]}, schema=schema), partition_by=["kind"])
    age(tmp_path)
    assert maintain(tmp_path).orphans == ()
    assert DeltaTable(tmp_path).to_pyarrow_table()["kind"].to_pylist() == [value]


def test_where_live_files_are_missing_nothing_is_taken_for_an_orphan(tmp_path: Path) -> None:
    published = put(tmp_path, [1], app="a")
    lost = orphan(tmp_path)
    age(tmp_path)
    Path(published.files[0]).rename(tmp_path / "elsewhere.parquet")
    with pytest.raises(TableError, match="not where its log says"):
        maintain(tmp_path)
    assert lost.exists()
    assert (tmp_path / "elsewhere.parquet").exists()


@pytest.mark.parametrize("hours", [0, FLOOR_HOURS - 1, -5])
def test_a_retention_below_the_floor_is_refused(tmp_path: Path, hours: int) -> None:
    put(tmp_path, [1], app="a")
    with pytest.raises(UsageError, match="floor"):
        maintain(tmp_path, retention_hours=hours)


def test_what_is_no_delta_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no Delta table"):
        maintain(tmp_path / "nowhere")


def test_the_generation_is_still_known_once_the_log_is_cleaned(tmp_path: Path) -> None:
    put(tmp_path, [1], app="a")
    put(tmp_path, [2], app="b")
    maintain(tmp_path)
    put(tmp_path, [3], app="c")
    age(tmp_path)
    done = maintain(tmp_path)
    assert done.log_files
    found = find_published(tmp_path, app_id="a", generation=1)
    assert found is not None
    assert (found.already, found.metadata, found.files) == (True, {}, ())
    again = put(tmp_path, [1], app="a")
    assert again.already
    assert ids_of(tmp_path) == [3]


# --- beside runs


@pytest.fixture
def control(tmp_path: Path) -> ControlStore:
    return ControlStore.open(f"sqlite:///{tmp_path}/control.db")


def test_a_table_is_left_alone_while_its_pipeline_runs(tmp_path: Path, control: ControlStore) -> None:
    root = tmp_path / "t"
    put(root, [1], app="a", pipeline="orders")
    with control:
        running = RunKey("orders", SLICE, 1, "r1")
        control.start_run(running, engine="embedded", trigger="cli")
        with pytest.raises(PublishConflict, match="r1"):
            maintain_table(root, control=control)
        assert maintain_table(root, control=control, dry_run=True).dry_run
        assert maintain_table(root, control=control, force=True).checkpoint
        control.finish_run(running, outcome=Outcome.PASS)
        assert maintain_table(root, control=control).version == 0


def test_runs_of_other_pipelines_and_dead_ones_are_no_hindrance(
    tmp_path: Path, control: ControlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "t"
    put(root, [1], app="a", pipeline="orders")
    with control:
        control.start_run(RunKey("other", SLICE, 1, "r1"), engine="embedded", trigger="cli")
        assert maintain_table(root, control=control).version == 0
        control.start_run(RunKey("orders", SLICE, 1, "r2"), engine="embedded", trigger="cli")
        monkeypatch.setattr("batch_processing.pipeline.upkeep.RUNNING_FOR", timedelta(seconds=-1))
        assert maintain_table(root, control=control).version == 0


def test_of_a_table_that_nobody_is_known_to_write_every_run_counts(tmp_path: Path, control: ControlStore) -> None:
    root = tmp_path / "t"
    staged = staged_rows(root, [{"id": 1, "name": "x", "share": 1.0}], schema=SCHEMA)
    publish(staged, mode="append", app_id="a", generation=1, metadata={})
    with control:
        control.start_run(RunKey("other", SLICE, 1, "r1"), engine="embedded", trigger="cli")
        with pytest.raises(PublishConflict):
            maintain_table(root, control=control)


# --- a pipeline's own table


def _upkeep(project: SmallProject) -> Maintained:
    age(project.table)
    return maintain(project.table)


def test_a_published_slice_stays_published_once_through_compaction_vacuum_and_cleaning(project: SmallProject) -> None:
    first = project.run()
    project.write_orders([f"{n},1,{n}.5,2026-11-01" for n in range(201, 251)])
    (project.root / "data" / "b.csv").write_text("id,customer_id,amount,day\n300,1,1.5,2026-11-02\n")
    second = project.run(day="2026-11-02")
    assert (first.exit_code, second.exit_code) == (0, 0)
    rows = DeltaTable(str(project.table)).to_pyarrow_table().sort_by("id").to_pylist()
    assert len(_upkeep(project).vacuumed) == 1, "the first slice's file was replaced"

    # Within the log's memory: the no-op says what it is.
    for day, before in (("2026-11-01", first), ("2026-11-02", second)):
        again = project.run(day=day)
        assert (again.exit_code, again.error) == (0, "")
        assert [step.summary.get("already") for step in again.steps] == [True, True]
        assert again.rows.loaded == before.rows.loaded

    # Beyond it: the generation is still known, the commit's own counts are not.
    done = _upkeep(project)
    assert done.log_files
    for day, before in (("2026-11-01", first), ("2026-11-02", second)):
        again = project.run(day=day)
        assert (again.exit_code, again.error) == (0, "")
        assert [step.summary.get("already") for step in again.steps] == [True, True]
        assert (again.rows.published, again.rows.loaded) == (None, before.rows.loaded)
    assert DeltaTable(str(project.table)).to_pyarrow_table().sort_by("id").to_pylist() == rows
    with duckdb.connect(str(project.warehouse), read_only=True) as warehouse:
        assert warehouse.execute("select count(*) from orders").fetchone() == (len(rows),)


def test_a_slice_whose_files_are_gone_is_not_loaded_by_guess(project: SmallProject) -> None:
    warehouse = project.environ.pop("AIRFLOW_CONN_WAREHOUSE")
    assert project.run().exit_code == 2, "published, and not loaded: no connection"
    project.write_orders(GOOD_ROWS[:50])
    assert project.run(day="2026-11-02").exit_code == 2, "it replaces the first one's partition"
    project.environ["AIRFLOW_CONN_WAREHOUSE"] = warehouse
    _upkeep(project)
    alone = project.run()
    assert alone.exit_code == 3
    assert "reprocess the slice" in alone.error
    assert project.run(day="2026-11-02").exit_code == 0
    # Now the warehouse knows of the later version, which left nothing of the first one's rows to load.
    assert project.run().exit_code == 0
    with duckdb.connect(str(project.warehouse), read_only=True) as database:
        assert database.execute("select count(*) from orders").fetchone() == (50,)


def test_a_quarantine_table_is_maintained_like_any_other(project: SmallProject) -> None:
    project.write_orders([*GOOD_ROWS, ",1,5.0,2026-11-01"])
    project.run()
    table = project.root / "home" / "quarantine" / "orders" / "orders"
    age(table)
    assert json.dumps(maintain(table).vacuumed) == "[]"
    assert DeltaTable(str(table)).to_pyarrow_table().num_rows == 1
