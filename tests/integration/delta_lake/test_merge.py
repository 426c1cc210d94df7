"""Mode merge on both engines: one commit, exactly once, the newer row of a key wins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from batch_processing.delta_lake import publish as publish_module
from batch_processing.delta_lake.publish import publish
from batch_processing.delta_lake.staging import stage
from batch_processing.errors import DataError, LedgerError, TableError, UsageError
from batch_processing.results import Published
from tests.unit.delta_lake.files import schema_json, staged_rows

COLUMNS = "k long, v string, seq long, p string"
Rows = Sequence[tuple[Any, ...]]


def merge(
    spark: SparkSession,
    root: Path,
    rows: Rows,
    app: str,
    *,
    generation: int = 1,
    columns: str = COLUMNS,
    **options: Any,
) -> Published:
    df = spark.createDataFrame(list(rows), columns).coalesce(1)
    staged = stage(df, table=root, partition_by=("p",), folder=f"data/{app.replace(':', '-')}/{generation}")
    chosen = {"keys": ("k",), "sequence_by": "seq"} | options
    return publish(staged, mode="merge", app_id=app, generation=generation, metadata={}, spark=spark, **chosen)


def table_rows(root: Path) -> list[tuple[Any, ...]]:
    table = DeltaTable(root).to_pyarrow_table().select(["k", "v", "seq", "p"])
    return sorted(tuple(r.values()) for r in table.to_pylist())


def test_rows_are_inserted_replaced_and_moved_between_partitions(spark: SparkSession, tmp_path: Path) -> None:
    first = merge(spark, tmp_path, [(1, "a", 1, "x"), (2, "b", 1, "x"), (3, "c", 1, "y")], "s1")
    assert (first.version, first.rows) == (0, 3)
    second = merge(spark, tmp_path, [(2, "B", 2, "z"), (4, "D", 1, None)], "s2")
    assert (second.version, second.rows, len(second.files)) == (1, 2, 2)
    assert table_rows(tmp_path) == [(1, "a", 1, "x"), (2, "B", 2, "z"), (3, "c", 1, "y"), (4, "D", 1, None)]


def test_a_second_publish_is_a_no_op(spark_embedded: SparkSession, tmp_path: Path) -> None:
    merge(spark_embedded, tmp_path, [(1, "a", 1, "x")], "s1")
    df = spark_embedded.createDataFrame([(1, "b", 2, "x")], COLUMNS)
    staged = stage(df, table=tmp_path, partition_by=("p",), folder="data/s2/1")
    arguments: dict[str, Any] = {
        "mode": "merge",
        "app_id": "s2",
        "generation": 1,
        "metadata": {},
        "keys": ("k",),
        "spark": spark_embedded,
    }
    first = publish(staged, **arguments)
    again = publish(staged, **arguments)
    assert again.already
    assert (again.version, again.files) == (first.version, first.files)


def test_an_older_row_never_replaces_a_newer_one(spark: SparkSession, tmp_path: Path) -> None:
    merge(spark, tmp_path, [(1, "new", 9, "x"), (2, "old", 1, "x")], "day2")
    late = merge(spark, tmp_path, [(1, "stale", 3, "y"), (2, "fresh", 5, "x"), (5, "n", None, "x")], "day1")
    assert table_rows(tmp_path) == [(1, "new", 9, "x"), (2, "fresh", 5, "x"), (5, "n", None, "x")]
    assert late.rows == 2
    assert late.metadata["superseded_rows"] == 1
    assert sum(DeltaTable(tmp_path).to_pyarrow_table().num_rows for _ in range(1)) == 3


def test_the_same_sequence_replaces_so_that_a_reprocess_takes_effect(
    spark_embedded: SparkSession, tmp_path: Path
) -> None:
    merge(spark_embedded, tmp_path, [(1, "a", 1, "x")], "s1")
    merge(spark_embedded, tmp_path, [(1, "b", 1, "x")], "s1", generation=2)
    assert table_rows(tmp_path) == [(1, "b", 1, "x")]


def test_without_sequence_the_last_published_wins(spark_embedded: SparkSession, tmp_path: Path) -> None:
    merge(spark_embedded, tmp_path, [(1, "a", 9, "x")], "s1", sequence_by=None)
    merge(spark_embedded, tmp_path, [(1, "b", 1, "x")], "s2", sequence_by=None)
    assert table_rows(tmp_path) == [(1, "b", 1, "x")]


def test_files_without_a_staged_key_are_not_rewritten(spark_embedded: SparkSession, tmp_path: Path) -> None:
    for number in range(4):
        merge(spark_embedded, tmp_path, [(number * 10 + i, "a", 1, "x") for i in (0, 5, 9)], f"s{number}")
    before = set(DeltaTable(tmp_path).file_uris())
    merge(spark_embedded, tmp_path, [(15, "b", 2, "x"), (27, "c", 2, "x")], "s9")
    after = set(DeltaTable(tmp_path).file_uris())
    assert len(before - after) == 1
    assert len(table_rows(tmp_path)) == 13


def test_null_and_doubled_keys_are_refused_before_anything_is_published(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 rows"):
        merge(spark, tmp_path, [(None, "a", 1, "x"), (2, "a", 1, "x")], "s1")
    with pytest.raises(DataError, match="1 keys occur more than once"):
        merge(spark, tmp_path, [(2, "a", 1, "x"), (2, "b", 2, "y")], "s2")
    assert not (tmp_path / "_delta_log").exists()


def test_merge_columns_must_exist(spark_embedded: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="nope"):
        merge(spark_embedded, tmp_path, [(1, "a", 1, "x")], "s1", keys=("nope",))


def test_a_key_of_another_type_is_refused_with_both_types(spark_embedded: SparkSession, tmp_path: Path) -> None:
    merge(spark_embedded, tmp_path, [(1, "a", 1, "x")], "s1")
    with pytest.raises(TableError) as caught:
        merge(
            spark_embedded, tmp_path, [("1", "b", "2", "x")], "s2", columns="k string, v string, seq string, p string"
        )
    assert "k is long in the table, string in the output; seq is long in the table, string in" in str(caught.value)


def test_another_writer_in_between_is_merged_with(
    spark_embedded: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge(spark_embedded, tmp_path, [(1, "a", 1, "x"), (2, "b", 1, "x")], "s1")
    original, calls = publish_module.plan_merge, []

    def late(*arguments: Any) -> Any:
        plan = original(*arguments)
        if not calls:
            calls.append(1)
            merge(spark_embedded, tmp_path, [(1, "other", 5, "x"), (7, "o", 1, "x")], "rival")
        return plan

    monkeypatch.setattr(publish_module, "plan_merge", late)
    merge(spark_embedded, tmp_path, [(1, "mine", 3, "x"), (2, "mine", 3, "x")], "s2")
    assert table_rows(tmp_path) == [(1, "other", 5, "x"), (2, "mine", 3, "x"), (7, "o", 1, "x")]
    live = {Path(u).resolve() for u in DeltaTable(tmp_path).file_uris()}
    tombstones = {f for f in tmp_path.rglob("merge/**/*.parquet") if f.resolve() not in live}
    assert len(tombstones) <= 2


def test_an_additive_merge_keeps_old_rows_with_nulls(spark: SparkSession, tmp_path: Path) -> None:
    merge(spark, tmp_path, [(1, "a", 1, "x"), (2, "b", 1, "x")], "s1")
    merge(spark, tmp_path, [(2, "c", 2, "x", 1.5)], "s2", columns=COLUMNS + ", extra double", schema_change="additive")
    merge(spark, tmp_path, [(3, "d", 2, "x", 2.5)], "s3", columns=COLUMNS + ", extra double")
    merge(spark, tmp_path, [(1, "z", 2, "x", 3.5)], "s4", columns=COLUMNS + ", extra double")
    table = DeltaTable(tmp_path).to_pyarrow_table().select(["k", "v", "extra"]).to_pylist()
    assert sorted(tuple(r.values()) for r in table) == [(1, "z", 3.5), (2, "c", 1.5), (3, "d", 2.5)]


def test_files_in_folders_of_unusual_names_are_merged(spark: SparkSession, tmp_path: Path) -> None:
    root = tmp_path / "ta ble ü"
    parts = ["a/b", "50%", "a%2Fb", "ü €", "[x]{y}*?", "a:b", None]
    merge(spark, root, [(n, "old", 1, p) for n, p in enumerate(parts)], "s1")
    merge(spark, root, [(n, "new", 2, p) for n, p in enumerate(parts)] + [(99, "n", 1, "z")], "s2")
    assert table_rows(root) == [*((n, "new", 2, p) for n, p in enumerate(parts)), (99, "n", 1, "z")]


def test_partitions_to_replace_do_not_go_with_merge(spark_embedded: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="replace"):
        merge(spark_embedded, tmp_path, [(1, "a", 1, "x")], "s1", replace=[{"p": "x"}])


def test_staged_rows_that_the_engine_does_not_see_are_told_and_not_doubled(spark: SparkSession, tmp_path: Path) -> None:
    schema = schema_json(k="long", v="string", **{".p": "string"})

    def put(value: str, **options: Any) -> None:
        staged = staged_rows(tmp_path, [{"k": 1, "v": value, ".p": "x"}], schema=schema, partition_by=(".p",))
        publish(staged, app_id=value, generation=1, metadata={}, **options)

    put("old", mode="append")
    with pytest.raises(LedgerError, match="0 rows read, 1 written"):
        put("new", mode="merge", keys=("k",), spark=spark)
    assert DeltaTable(tmp_path).to_pyarrow_table()["v"].to_pylist() == ["old"]


@pytest.mark.parametrize("name", ["count", "times", "_file_index", "_Table_Sequence", "_staged_sequence"])
@pytest.mark.parametrize("place", ["key", "value"])
def test_columns_have_whatever_names(spark_embedded: SparkSession, tmp_path: Path, name: str, place: str) -> None:
    keys, columns = ("k", name) if place == "key" else ("k",), f"k long, `{name}` long, seq long, p string"
    for number, rows in enumerate([[(1, 7, 1, "x"), (2, 7, 9, "x")], [(1, 7, 2, "x"), (2, 7, 5, "x")]]):
        merge(spark_embedded, tmp_path, rows, f"s{number}", columns=columns, keys=keys)
    found = DeltaTable(tmp_path).to_pyarrow_table().select(["k", name, "seq"]).to_pylist()
    assert sorted(tuple(row.values()) for row in found) == [(1, 7, 2), (2, 7, 9)]
    with pytest.raises(DataError, match="1 keys occur more than once"):
        merge(spark_embedded, tmp_path, [(1, 7, 1, "x"), (1, 7, 2, "x")], "twice", columns=columns, keys=keys)


def test_columns_named_as_the_merge_names_its_own_are_merged_by_apache_spark_too(
    spark: SparkSession, tmp_path: Path
) -> None:
    columns = "count long, _file_index long, seq long, p string"
    for number, seq in enumerate((1, 2)):
        merge(spark, tmp_path, [(1, 7, seq, "x")], f"s{number}", columns=columns, keys=("count", "_file_index"))
    assert DeltaTable(tmp_path).to_pyarrow_table()["seq"].to_pylist() == [2]
