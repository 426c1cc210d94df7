"""Publishing: exactly once per slice and generation, on the table as it is, or not at all."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest
from deltalake import DeltaTable, Schema, write_deltalake

from batch_processing.delta_lake import commit as commit_module
from batch_processing.delta_lake.log import commit_path
from batch_processing.delta_lake.publish import find_published, publish
from batch_processing.delta_lake.staging import discard
from batch_processing.errors import StorageError, TableError, UsageError
from batch_processing.results import Staged

from .files import schema_json, staged_rows
from .putting import PARTED, PLAIN, ids_of, put, put_days, rows_of


def test_the_first_publish_makes_the_table(tmp_path: Path) -> None:
    made = put(tmp_path, [1, 2])
    assert (made.version, made.rows, made.already, made.run_id) == (0, 2, False, "r1")
    assert ids_of(tmp_path) == [1, 2]
    assert all(Path(f).is_file() for f in made.files)


def test_the_commit_carries_the_app_transaction_and_the_metadata(tmp_path: Path) -> None:
    staged = staged_rows(tmp_path, [{"id": 1, "v": "x"}], schema=PLAIN)
    publish(staged, mode="append", app_id="pipe:é", generation=3, metadata={"score": 0.5, "slice": "2026-01-01"})
    table = DeltaTable(tmp_path)
    assert table.transaction_version("pipe:é") == 3
    carried = json.loads(table.history(1)[0]["userMetadata"])["batch_processing"]
    assert (carried["score"], carried["slice"], carried["generation"], carried["rows"]) == (0.5, "2026-01-01", 3, 1)
    found = find_published(tmp_path, app_id="pipe:é", generation=3)
    assert found is not None
    assert found.metadata["score"] == 0.5


def test_a_second_publish_of_the_same_generation_is_a_no_op(tmp_path: Path) -> None:
    first = put(tmp_path, [1])
    put(tmp_path, [9], app="s2")
    again = put(tmp_path, [1])
    assert again.already
    assert (again.version, again.rows, again.files, again.run_id) == (first.version, 1, first.files, "r1")
    assert ids_of(tmp_path) == [1, 9]


def test_an_older_slice_after_a_newer_one_is_published(tmp_path: Path) -> None:
    for day in (3, 2, 1):
        put(tmp_path, [day], app=f"p:2026-01-0{day}")
    assert ids_of(tmp_path) == [1, 2, 3]


def test_a_late_older_generation_is_refused(tmp_path: Path) -> None:
    put(tmp_path, [1], generation=2)
    with pytest.raises(TableError, match="newer generation"):
        put(tmp_path, [7], generation=1)
    assert ids_of(tmp_path) == [1]


def test_nothing_is_found_where_there_is_no_table(tmp_path: Path) -> None:
    assert find_published(tmp_path / "none", app_id="a", generation=1) is None
    assert find_published(tmp_path, app_id="a", generation=1) is None


def test_append_reprocessed_replaces_the_rows_of_its_earlier_generation_alone(tmp_path: Path) -> None:
    put(tmp_path, [1, 2], app="a")
    put(tmp_path, [10], app="b")
    put(tmp_path, [3], app="a", generation=2)
    put(tmp_path, [4], app="a", generation=3)
    assert ids_of(tmp_path) == [4, 10]


def test_append_reprocessed_after_compaction_is_refused(tmp_path: Path) -> None:
    put(tmp_path, [1], app="a")
    put(tmp_path, [2], app="b")
    DeltaTable(tmp_path).optimize.compact()
    with pytest.raises(TableError, match="1 files may hold rows of several slices"):
        put(tmp_path, [3], app="a", generation=2)
    assert ids_of(tmp_path) == [1, 2]


def test_overwrite_replaces_everything_in_one_version(tmp_path: Path) -> None:
    put(tmp_path, [1], app="a")
    put(tmp_path, [2], app="b", mode="overwrite")
    assert ids_of(tmp_path) == [2]
    assert DeltaTable(tmp_path).version() == 1


def test_overwrite_with_no_rows_leaves_an_empty_table(tmp_path: Path) -> None:
    put(tmp_path, [1], app="a")
    put(tmp_path, [], app="b", mode="overwrite")
    assert ids_of(tmp_path) == []


def test_no_rows_make_an_empty_table_with_its_schema(tmp_path: Path) -> None:
    made = put(tmp_path, [])
    assert (made.rows, made.files) == (0, ())
    assert json.loads(DeltaTable(tmp_path).schema().to_json()) == json.loads(PLAIN)
    assert put(tmp_path, []).already


def test_replace_partitions_leaves_other_partitions(tmp_path: Path) -> None:
    put_days(tmp_path, [(1, "a"), (2, "b"), (3, None)], app="one")
    put_days(tmp_path, [(4, "b"), (5, None)], app="two")
    assert rows_of(tmp_path) == Counter([(1, "a"), (4, "b"), (5, None)])


def test_replace_partitions_reprocessed_clears_partitions_that_it_no_longer_fills(tmp_path: Path) -> None:
    put_days(tmp_path, [(1, "a"), (2, "b")], app="one")
    put_days(tmp_path, [(3, "a")], app="one", generation=2)
    assert rows_of(tmp_path) == Counter([(3, "a")])


def test_a_partition_that_another_slice_took_over_stays_with_it(tmp_path: Path) -> None:
    put_days(tmp_path, [(1, "a"), (2, "b")], app="one")
    put_days(tmp_path, [(9, "b")], app="two")
    put_days(tmp_path, [(3, "a")], app="one", generation=2)
    assert rows_of(tmp_path) == Counter([(3, "a"), (9, "b")])


def test_rows_that_others_added_to_a_partition_stay_where_a_reprocess_leaves_it_out(tmp_path: Path) -> None:
    put_days(tmp_path, [(1, "a"), (2, "b"), (3, "c")], app="one")
    write_deltalake(tmp_path, pa.table({"id": [8], "day": ["b"]}), mode="append")
    put_days(tmp_path, [(9, "b")], app="other", mode="append")
    put_days(tmp_path, [(4, "a")], app="one", generation=2)
    assert rows_of(tmp_path) == Counter([(4, "a"), (8, "b"), (9, "b")])


def test_a_partition_that_a_reprocess_fills_is_replaced_whole_whoever_wrote_there(tmp_path: Path) -> None:
    put_days(tmp_path, [(1, "a"), (2, "b")], app="one")
    put_days(tmp_path, [(9, "b")], app="other", mode="append")
    put_days(tmp_path, [(3, "b")], app="one", generation=2)
    assert rows_of(tmp_path) == Counter([(3, "b")])


def test_rows_compacted_with_those_of_others_stay_where_a_reprocess_leaves_them_out(tmp_path: Path) -> None:
    put_days(tmp_path, [(1, "a"), (2, "b")], app="one")
    put_days(tmp_path, [(9, "b")], app="other", mode="append")
    DeltaTable(tmp_path).optimize.z_order(["id"])
    put_days(tmp_path, [(3, "a")], app="one", generation=2)
    assert rows_of(tmp_path) == Counter([(3, "a"), (2, "b"), (9, "b")])


def test_compaction_between_generations_leaves_no_stale_rows(tmp_path: Path) -> None:
    put_days(tmp_path, [(1, "a"), (2, "b")], app="one")
    put_days(tmp_path, [(8, "b")], app="other", mode="append")
    put_days(tmp_path, [(1, "a"), (2, "b")], app="one", generation=2)
    DeltaTable(tmp_path).optimize.z_order(["id"])
    put_days(tmp_path, [(3, "a")], app="one", generation=3)
    assert rows_of(tmp_path) == Counter([(3, "a")])


def test_named_partitions_are_replaced_too(tmp_path: Path) -> None:
    put_days(tmp_path, [(1, "a"), (2, "b"), (3, None)], app="one")
    put_days(tmp_path, [(4, "c")], app="two", mode="append", replace=[{"day": "a"}, {"day": None}])
    assert rows_of(tmp_path) == Counter([(2, "b"), (4, "c")])


def test_named_partitions_are_emptied_where_nothing_is_staged(tmp_path: Path) -> None:
    put_days(tmp_path, [(1, "a"), (2, "b")], app="one")
    put_days(tmp_path, [], app="two", replace=[{"day": "a"}])
    assert rows_of(tmp_path) == Counter([(2, "b")])


def test_replace_names_partition_columns_only(tmp_path: Path) -> None:
    put_days(tmp_path, [(1, "a")], app="one")
    with pytest.raises(UsageError, match="partition columns"):
        put_days(tmp_path, [(1, "a")], app="two", replace=[{"id": "1"}])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mode": "upsert"}, "unknown publish mode"),
        ({"mode": "replace_partitions"}, "partitioned table"),
        ({"mode": "merge"}, "keys and a session"),
        ({"mode": "append", "metadata": {"score": float("nan")}}, "JSON without NaN"),
        ({"mode": "append", "generation": 0}, "counts from 1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(tmp_path: Path, options: dict[str, Any], text: str) -> None:
    staged = staged_rows(tmp_path, [{"id": 1, "v": "x"}], schema=PLAIN)
    with pytest.raises(UsageError, match=text):
        publish(staged, **({"app_id": "a", "generation": 1, "metadata": {}} | options))
    assert not (tmp_path / "_delta_log").exists()


def test_another_partitioning_is_refused(tmp_path: Path) -> None:
    put_days(tmp_path, [(1, "a")])
    staged = staged_rows(tmp_path, [{"id": 1, "day": "a"}], schema=PARTED)
    with pytest.raises(TableError, match="table: day; output: none"):
        publish(staged, mode="append", app_id="b", generation=1, metadata={})


def test_a_strict_schema_difference_is_refused_and_an_additive_one_added(tmp_path: Path) -> None:
    put(tmp_path, [1])
    wider = staged_rows(
        tmp_path, [{"id": 2, "v": "x", "n": 1.5}], schema=schema_json(id="long", v="string", n="double")
    )
    with pytest.raises(TableError, match=r"'n' \(double\) is not in the table"):
        publish(wider, mode="append", app_id="b", generation=1, metadata={})
    made = publish(wider, mode="append", app_id="b", generation=1, metadata={}, schema_change="additive")
    assert made.version == 2
    assert rows_of(tmp_path) == Counter([(1, "s1.1", None), (2, "x", 1.5)])


def test_a_new_column_that_delta_refuses_is_an_error_that_says_so(tmp_path: Path) -> None:
    put(tmp_path, [1])
    staged = staged_rows(tmp_path, [{"id": 2, "v": "x"}], schema=PLAIN)
    wider = json.loads(PLAIN)
    twins = [{"name": name, "type": "long", "nullable": True, "metadata": {}} for name in ("a", "A")]
    wider["fields"].append({"name": "s", "type": {"type": "struct", "fields": twins}, "nullable": True, "metadata": {}})
    with pytest.raises(TableError, match=r"refused.*Duplicate field name"):
        publish(
            replace(staged, schema_json=json.dumps(wider)),
            mode="append",
            app_id="b",
            generation=1,
            metadata={},
            schema_change="additive",
        )
    assert ids_of(tmp_path) == [1]


def test_a_staged_file_that_is_gone_or_changed_is_not_published(tmp_path: Path) -> None:
    put(tmp_path, [1])
    staged = staged_rows(tmp_path, [{"id": 2, "v": "x"}], schema=PLAIN)
    file = tmp_path / staged.files[0].path
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(StorageError, match="changed"):
        publish(staged, mode="append", app_id="b", generation=1, metadata={})
    file.unlink()
    with pytest.raises(StorageError, match="gone"):
        publish(staged, mode="append", app_id="b", generation=1, metadata={})
    assert ids_of(tmp_path) == [1]


def test_discard_removes_its_own_folder_and_no_other(tmp_path: Path) -> None:
    put(tmp_path, [1])
    mine = staged_rows(tmp_path, [{"id": 2, "v": "x"}], schema=PLAIN, folder="data/mine")
    other = staged_rows(tmp_path, [{"id": 3, "v": "x"}], schema=PLAIN, folder="data/other")
    discard(mine)
    discard(mine)
    assert not (tmp_path / "data/mine").exists()
    assert (tmp_path / other.files[0].path).exists()
    assert ids_of(tmp_path) == [1]


def test_published_files_are_not_discarded(tmp_path: Path) -> None:
    staged = staged_rows(tmp_path, [{"id": 2, "v": "x"}], schema=PLAIN)
    publish(staged, mode="append", app_id="a", generation=1, metadata={})
    with pytest.raises(TableError, match="published"):
        discard(staged)
    assert ids_of(tmp_path) == [2]


UNUSUAL = ["a b", "50%25", "a%2Fb", "ü€", "#&+;=@~!$'(),:", "|<>`", "x"]


@pytest.mark.parametrize("mode", ["overwrite", "replace_partitions", "append"])
def test_files_in_folders_of_unusual_names_are_replaced_and_not_doubled(tmp_path: Path, mode: Any) -> None:
    for generation in (1, 2):
        put_days(tmp_path, [(generation, name) for name in UNUSUAL], generation=generation, mode=mode)
    assert rows_of(tmp_path) == Counter((2, name) for name in UNUSUAL)
    assert find_published(tmp_path, app_id="s1", generation=2)


def test_delta_rs_encodes_paths_as_is_expected_of_it(tmp_path: Path) -> None:
    names = [f"{i}{c}x" for i, c in enumerate([*map(chr, range(1, 127)), "ü", "😀"]) if c != "/"]
    actions = [commit_module.AddAction(name, 1, {}, 1, True, "{}") for name in names]
    commit_module.create_table_with_add_actions(str(tmp_path), Schema.from_json(PLAIN), actions)
    logged = [
        json.loads(line)["add"]["path"] for line in commit_path(tmp_path, 0).read_text().splitlines() if '"add"' in line
    ]
    assert logged == [quote(name, safe=commit_module._SAFE_IN_PATHS) for name in names]


def test_a_file_whose_removal_would_miss_is_not_replaced(tmp_path: Path) -> None:
    """Spark leaves letters beyond ASCII as they are in the log; delta-rs encodes them in removals."""
    put_days(tmp_path, [(1, "ü"), (2, "a")], app="one")
    log = commit_path(tmp_path, 0)
    log.write_text(log.read_text().replace("day=%C3%BC", "day=ü"))
    put_days(tmp_path, [(3, "a")], app="two")
    with pytest.raises(TableError, match="another encoding"):
        put_days(tmp_path, [(4, "ü")], app="three")
    assert rows_of(tmp_path) == Counter([(1, "ü"), (3, "a")])


def test_a_slice_whose_commit_left_the_log_is_still_found(tmp_path: Path) -> None:
    put(tmp_path, [1], app="old")
    for number in range(3):
        put(tmp_path, [10 + number], app=f"n{number}")
    DeltaTable(tmp_path).create_checkpoint()
    commit_path(tmp_path, 0).unlink()
    again = put(tmp_path, [1], app="old")
    assert again.already
    assert ids_of(tmp_path) == [1, 10, 11, 12]
    with pytest.raises(TableError, match="log no longer says"):
        put(tmp_path, [2], app="old", generation=2)


def test_a_log_that_cannot_be_read_is_an_error_that_names_the_table(tmp_path: Path) -> None:
    put(tmp_path, [1])
    commit_path(tmp_path, 0).write_text("not json")
    with pytest.raises(TableError, match="log cannot be read") as caught:
        put(tmp_path, [2], app="b")
    assert str(tmp_path) in str(caught.value)


def test_a_thousand_files_are_one_commit(tmp_path: Path) -> None:
    staged = staged_rows(tmp_path, [{"id": 1, "v": "x"}], schema=PLAIN)
    source = tmp_path / staged.files[0].path
    copies = []
    for number in range(1000):
        path = source.with_name(f"copy-{number}.parquet")
        shutil.copyfile(source, path)
        copies.append(
            commit_module.StagedFile(**{**staged.files[0].__dict__, "path": path.relative_to(tmp_path).as_posix()})
        )
    many = Staged(staged.table, staged.schema_json, (), tuple(copies), 1000)
    made = publish(many, mode="append", app_id="a", generation=1, metadata={})
    assert (made.rows, len(made.files)) == (1000, 1000)
    assert DeltaTable(tmp_path).to_pyarrow_table().num_rows == 1000


def test_a_fence_that_raises_stops_the_commit(tmp_path: Path) -> None:
    put(tmp_path, [1])

    def late() -> None:
        raise UsageError("too late")

    with pytest.raises(UsageError, match="too late"):
        put(tmp_path, [2], app="s2", fence=late)
    assert ids_of(tmp_path) == [1]
    assert put(tmp_path, [2], app="s2", fence=lambda: None).version == 1
