"""`write_to_delta_lake`: one call, one atomic commit."""

from __future__ import annotations

from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from batch_processing.delta_lake.write import write_to_delta_lake
from batch_processing.errors import TableError


def test_the_default_replaces_the_table(spark: SparkSession, tmp_path: Path) -> None:
    write_to_delta_lake(spark.range(5), str(tmp_path / "t"))
    made = write_to_delta_lake(spark.range(3), str(tmp_path / "t"))
    assert (made.rows, made.version, made.already) == (3, 1, False)
    assert sorted(DeltaTable(tmp_path / "t").to_pyarrow_table()["id"].to_pylist()) == [0, 1, 2]


def test_append_and_partitions(spark_embedded: SparkSession, tmp_path: Path) -> None:
    rows = spark_embedded.createDataFrame([(1, "a"), (2, "b")], "id long, p string")
    write_to_delta_lake(rows, tmp_path / "t", mode="append", partition_by=["p"])
    write_to_delta_lake(rows, tmp_path / "t", mode="append", partition_by=["p"])
    write_to_delta_lake(rows.where("p = 'a'"), tmp_path / "t", mode="replace_partitions", partition_by=["p"])
    table = DeltaTable(tmp_path / "t")
    assert table.metadata().partition_columns == ["p"]
    assert sorted(table.to_pyarrow_table()["id"].to_pylist()) == [1, 2, 2]


def test_a_refused_write_leaves_no_files(spark_embedded: SparkSession, tmp_path: Path) -> None:
    write_to_delta_lake(spark_embedded.range(5), tmp_path / "t")
    before = {p for p in (tmp_path / "t").rglob("*") if p.is_file()}
    with pytest.raises(TableError, match="differs"):
        write_to_delta_lake(spark_embedded.range(5).selectExpr("cast(id as string) as id"), tmp_path / "t")
    assert {p for p in (tmp_path / "t").rglob("*") if p.is_file()} == before
