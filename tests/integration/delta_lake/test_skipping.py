"""Readers that skip files by the log's statistics find every row, whatever the column's type, also once compacted."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable

from batch_processing.delta_lake.maintenance import maintain
from batch_processing.delta_lake.publish import publish
from batch_processing.delta_lake.staging import stage

KINDS = {
    "whole": "cast(id as bigint)",
    "day": "date_add(date'2026-01-01', cast(id as int))",
    "real": "cast(id as double)",
    "price": "cast(id as decimal(12,2))",
    "flag": "id % 2 = 0",
    "word": "concat('w', cast(id as string))",
    "long_word": "concat(repeat('x', 70), cast(id as string))",
    "moment": "timestamp_micros(id * 1000001)",
    "empty": "cast(null as bigint)",
}
QUERIES = {
    "whole > 25": 14,
    "day >= date '2026-01-31'": 10,
    "real > 25": 14,
    "real = 3": 1,
    "price > 25": 14,
    "flag": 20,
    "not flag": 20,
    "word = 'w7'": 1,
    "long_word = repeat('x', 70) || '7'": 1,
    "moment >= timestamptz '1970-01-01 00:00:39.000039Z'": 1,
    "empty IS NULL": 40,
    "empty > 1": 0,
    "real > 25 AND whole < 30": 4,
}


def published(spark: Any, root: Path, *, first: int) -> None:
    df = spark.range(first, first + 20).coalesce(1).selectExpr(*[f"{sql} AS {name}" for name, sql in KINDS.items()])
    staged = stage(df, table=root, partition_by=(), folder=f"data/{uuid.uuid4().hex}")
    publish(staged, mode="append", app_id=f"slice {first}", generation=1, metadata={})


def answers(root: Path) -> dict[str, int]:
    with duckdb.connect() as memory:
        memory.execute("SET TimeZone = 'UTC'")
        memory.register("t", DeltaTable(str(root)).to_pyarrow_dataset())
        return {query: memory.execute(f"SELECT count(*) FROM t WHERE {query}").fetchall()[0][0] for query in QUERIES}


@pytest.mark.parametrize("made_by", ["us", "another writer"])
def test_no_filter_loses_a_row_for_a_reader_through_arrow(spark: Any, tmp_path: Path, made_by: str) -> None:
    root = tmp_path / "t"
    if made_by == "another writer":
        published(spark, tmp_path / "like", first=0)
        DeltaTable.create(str(root), DeltaTable(str(tmp_path / "like")).schema())
    for first in (0, 20):
        published(spark, root, first=first)
    assert answers(root) == QUERIES
    assert _skipped(root) == (1 if made_by == "us" else 0)
    maintain(root, compact_appended=True)
    assert len(DeltaTable(str(root)).file_uris()) == 1
    assert answers(root) == QUERIES


def _skipped(root: Path) -> int:
    """Files that a filter on the whole number does without."""
    import pyarrow.dataset as ds

    every = DeltaTable(str(root)).to_pyarrow_dataset()
    return len(list(every.get_fragments())) - len(list(every.get_fragments(filter=ds.field("whole") > 25)))
