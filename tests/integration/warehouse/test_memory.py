"""A load's memory does not grow with its rows."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pytest

from tests.integration.warehouse.warehouses import Warehouse, python
from tests.unit.warehouse.publishing import delta_table

_LOAD = """
import json, resource, sys
from datetime import UTC, datetime
job = json.loads(sys.argv[1])
from batch_processing.results import LaterWrites, Published, Slice
from batch_processing.settings.models import TargetSpec
from batch_processing.settings.values import Connection
from batch_processing.warehouse.load import load
load(
    Published(**{**job["published"], "files": tuple(job["published"]["files"])}),
    connection=Connection(**job["connection"]),
    table=job["table"],
    target=TargetSpec(table="t", mode="append"),
    schema_json=job["schema"],
    pipeline="shop",
    slice=Slice(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)),
    generation=1,
    later=lambda _: LaterWrites(),
)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
_GROWTH_MB = 300
"""The larger load's rows take 750 MB as Arrow; DuckDB's buffers may grow up to its limit."""
_MILLION = 1_000_000


@pytest.mark.slow
def test_ten_million_rows_take_no_more_memory_than_one(warehouse: Warehouse, tmp_path: Path) -> None:
    small, large = (_peak_mb(warehouse, tmp_path, batches) for batches in (1, 10))
    assert large - small < _GROWTH_MB


def _peak_mb(warehouse: Warehouse, tmp_path: Path, batches: int) -> int:
    table = delta_table(tmp_path / f"t{batches}", mode="append")
    rows = pa.table({"id": range(_MILLION), "text": [f"{number:0>64}" for number in range(_MILLION)]})
    published = [table.publish(rows) for _ in range(batches)]
    facts = asdict(published[-1])
    facts |= {"files": [file for each in published for file in each.files], "rows": _MILLION * batches}
    job = {
        "published": facts,
        "connection": asdict(warehouse.connection),
        "schema": table.schema_json,
        "table": f"rows_{batches}",
    }
    done = python(_LOAD, json.dumps(job))
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
