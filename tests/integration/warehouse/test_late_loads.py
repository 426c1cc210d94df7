"""A load that comes after one of a newer publish: once all are done, the warehouse is the Delta table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deltalake import DeltaTable

from batch_processing.delta_lake.publish import publish
from batch_processing.delta_lake.staging import stage
from batch_processing.errors import StorageError
from batch_processing.results import Loaded, Published
from tests.integration.warehouse.warehouses import Warehouse
from tests.unit.warehouse.publishing import PIPELINE, Table, day, delta_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Row = tuple[int, float | None, str]
FIRST, SECOND, THIRD, AGAIN = ("first", "second", "third", "second again")
ORDERS = [order for order in permutations((FIRST, SECOND, THIRD, AGAIN)) if order.index(SECOND) < order.index(AGAIN)]


@dataclass
class Lake:
    """A Delta table to which slices are published by the project's own writer."""

    spark: SparkSession
    table: Table
    made: dict[str, tuple[Published, int, int]] = field(default_factory=dict)

    def publish(self, name: str, rows: Iterable[Row], *, slice: int, generation: int = 1) -> None:
        target, path = self.table.target, str(self.table.path)
        frame = self.spark.createDataFrame(list(rows), "id bigint, amount double, day string")
        folder = f"data/{name.replace(' ', '-')}"
        published = publish(
            stage(frame, table=path, partition_by=target.partition_by, folder=folder),
            mode=target.mode,
            app_id=f"{PIPELINE}:{day(slice).iso}",
            generation=generation,
            metadata={"pipeline": PIPELINE, "slice": day(slice).iso, "run_id": name},
            keys=target.keys,
            sequence_by=target.sequence_by,
            spark=self.spark,
        )
        self.made[name] = (published, slice, generation)

    def load(self, name: str, warehouse: Warehouse, *, into: str) -> Loaded:
        published, slice, generation = self.made[name]
        return self.table.load(published, warehouse.connection, table=into, slice=day(slice), generation=generation)

    def rows(self) -> list[Row]:
        found = DeltaTable(str(self.table.path)).to_pyarrow_table().to_pylist()
        return sorted((row["id"], row["amount"], row["day"]) for row in found)


def loaded_rows(warehouse: Warehouse, table: str) -> list[tuple[object, ...]]:
    return warehouse.rows(f'SELECT id, amount, day FROM "{table}" ORDER BY id, amount, day')


def check_every_order(lake: Lake, warehouse: Warehouse) -> None:
    for number, order in enumerate(ORDERS):
        for name in order:
            published = lake.made[name][0]
            loaded = lake.load(name, warehouse, into=f"t{number}")
            assert loaded.rows == published.rows, "a row that a newer publish overrode counts as loaded"
        assert loaded_rows(warehouse, f"t{number}") == lake.rows(), f"loaded in the order {order}"


@pytest.mark.parametrize("sequence_by", [None, "amount"])
def test_merged_slices_are_the_delta_table_in_whatever_order_they_are_loaded(
    warehouse: Warehouse, tmp_path: Path, spark_embedded: SparkSession, sequence_by: str | None
) -> None:
    lake = Lake(spark_embedded, delta_table(tmp_path / "t", mode="merge", keys=("id",), sequence_by=sequence_by))
    lake.publish(FIRST, [(1, 5.0, "a"), (2, 5.0, "a"), (3, 5.0, "a"), (4, None, "a")], slice=1)
    lake.publish(SECOND, [(2, 5.0, "b"), (3, 4.0, "b"), (5, 1.0, "b"), (6, 1.0, "b")], slice=2)
    lake.publish(THIRD, [(3, 5.0, "c"), (4, None, "c"), (6, 1.0, "c"), (7, 1.0, "c")], slice=3)
    lake.publish(AGAIN, [(2, 5.0, "d"), (7, 0.5, "d")], slice=2, generation=2)
    check_every_order(lake, warehouse)


def test_partitions_that_a_newer_publish_replaced_or_emptied_stay_so(
    warehouse: Warehouse, tmp_path: Path, spark_embedded: SparkSession
) -> None:
    lake = Lake(spark_embedded, delta_table(tmp_path / "t", mode="replace_partitions", partition_by=("day",)))
    lake.publish(FIRST, [(1, 1.0, "a"), (2, 1.0, "b"), (3, 1.0, "c"), (4, 1.0, "d é/%")], slice=1)
    lake.publish(SECOND, [(5, 2.0, "b"), (6, 2.0, "c"), (7, 2.0, "e")], slice=2)
    lake.publish(THIRD, [(8, 3.0, "c"), (9, 3.0, "f"), (10, 3.0, "d é/%")], slice=3)
    lake.publish(AGAIN, [(11, 4.0, "e")], slice=2, generation=2)
    assert [row[2] for row in lake.rows()] == ["a", "c", "f", "d é/%", "e"], "partition b was emptied"
    check_every_order(lake, warehouse)


def test_a_replaced_partition_s_files_need_not_be_there_any_more(
    warehouse: Warehouse, tmp_path: Path, spark_embedded: SparkSession
) -> None:
    lake = Lake(spark_embedded, delta_table(tmp_path / "t", mode="replace_partitions", partition_by=("day",)))
    lake.publish(FIRST, [(1, 1.0, "a"), (2, 1.0, "b")], slice=1)
    lake.publish(SECOND, [(3, 2.0, "b")], slice=2)
    (vacuumed,) = [file for file in lake.made[FIRST][0].files if "day=b" in file]
    Path(vacuumed).unlink()
    with pytest.raises(StorageError):
        lake.load(FIRST, warehouse, into="nothing_newer_is_loaded")
    lake.load(SECOND, warehouse, into="orders")
    lake.load(FIRST, warehouse, into="orders")
    assert loaded_rows(warehouse, "orders") == lake.rows()
