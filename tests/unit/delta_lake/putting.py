"""Publishing small rows into a table, and what is in it then."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from batch_processing.delta_lake.publish import publish
from batch_processing.results import Published

from .files import schema_json, staged_rows

PLAIN = schema_json(id="long", v="string")
PARTED = schema_json(id="long", day="string")


def rows_of(root: Path) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(r.values()) for r in DeltaTable(root).to_pyarrow_table().to_pylist())


def put(
    root: Path, ids: list[int], app: str = "s1", generation: int = 1, mode: Any = "append", **options: Any
) -> Published:
    staged = staged_rows(root, [{"id": i, "v": f"{app}.{generation}"} for i in ids], schema=PLAIN)
    return publish(staged, mode=mode, app_id=app, generation=generation, metadata={"run_id": "r1"}, **options)


def put_days(
    root: Path, rows: list[tuple[int, str | None]], app: str = "s1", generation: int = 1, **options: Any
) -> Published:
    staged = staged_rows(root, [{"id": i, "day": d} for i, d in rows], schema=PARTED, partition_by=("day",))
    chosen: dict[str, Any] = {"mode": "replace_partitions", "metadata": {}} | options
    return publish(staged, app_id=app, generation=generation, **chosen)


def ids_of(root: Path) -> list[int]:
    return sorted(DeltaTable(root).to_pyarrow_table()["id"].to_pylist())
