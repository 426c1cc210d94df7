"""A load that is killed leaves the old rows, and its rerun gives what one clean load gives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from batch_processing.errors import WarehouseError
from tests.integration.warehouse.warehouses import DuckDbFile, Warehouse
from tests.unit.warehouse.publishing import day, delta_table, orders

_LOAD = """
import json, os, signal, sys, time
from datetime import datetime
job = json.loads(sys.argv[1])
from batch_processing.warehouse import files, merging, statements, transaction
from batch_processing.results import LaterWrites, Published, Slice
from batch_processing.settings.models import TargetSpec
from batch_processing.settings.values import Connection
from batch_processing.warehouse.load import load

def die():
    if job["moment"] == "hold":
        print("holding", flush=True)
        time.sleep(60)
    os.kill(os.getpid(), signal.SIGKILL)

batches, entry, run = files._parquet_batches, transaction._write_entry, transaction.check_count
def dying_batches(path, names):
    for batch in batches(path, names):
        yield batch
        die()
def dying_entry(*arguments):
    entry(*arguments)
    die()
def dying_count(*arguments, **named):
    run(*arguments, **named)
    die()
if job["moment"] in ("copy", "hold"):
    files._parquet_batches = dying_batches
elif job["moment"] == "count":
    transaction.check_count = merging.check_count = dying_count
elif job["moment"] == "ledger":
    transaction._write_entry = dying_entry
load(
    Published(**{**job["published"], "files": tuple(job["published"]["files"])}),
    connection=Connection(**job["connection"]),
    table="orders",
    target=TargetSpec(**job["target"]),
    schema_json=job["schema"],
    pipeline="shop",
    slice=Slice(*map(datetime.fromisoformat, job["slice"])),
    generation=1,
    later=lambda _: LaterWrites(),
)
if job["moment"] == "end":
    die()
"""


@pytest.mark.parametrize(
    ("mode", "moment"),
    [
        ("append", "copy"),
        ("append", "count"),
        ("append", "ledger"),
        ("append", "end"),
        ("overwrite", "copy"),
        ("merge", "count"),
    ],
)
def test_a_killed_load_leaves_old_or_new_and_its_rerun_the_new(
    warehouse: Warehouse, tmp_path: Path, mode: str, moment: str
) -> None:
    table = delta_table(tmp_path / "t", mode=mode, keys=("id",) if mode == "merge" else ())
    table.load(table.publish(orders(1, 2)), warehouse.connection, slice=day(1))
    old = _all(warehouse)
    published = table.publish(orders(2, 3, amount=5.0))
    job = _job(table, published, warehouse, moment)

    killed = subprocess.run(
        [sys.executable, "-c", _LOAD, job], capture_output=True, text=True, timeout=120, check=False
    )

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    new = {
        "append": [*old, (2, 5.0), (3, 5.0)],
        "overwrite": [(2, 5.0), (3, 5.0)],
        "merge": [(1, 1.0), (2, 5.0), (3, 5.0)],
    }[mode]
    assert _all(warehouse) == (sorted(new) if moment == "end" else old)
    again = table.load(published, warehouse.connection, slice=day(2))
    assert again.already == (moment == "end")
    assert _all(warehouse) == sorted(new)


def _all(warehouse: Warehouse) -> list[tuple[object, ...]]:
    return sorted(warehouse.rows("SELECT id, amount FROM orders"))


def _job(table: object, published: object, warehouse: Warehouse, moment: str) -> str:
    return json.dumps(
        {
            "moment": moment,
            "published": asdict(published),  # type: ignore[call-overload]
            "connection": asdict(warehouse.connection),
            "target": table.target.model_dump(),  # type: ignore[attr-defined]
            "schema": table.schema_json,  # type: ignore[attr-defined]
            "slice": [day(2).start.isoformat(), day(2).end.isoformat()],
        }
    )


def test_a_file_held_by_another_process_is_waited_for_then_reported(tmp_path: Path) -> None:
    warehouse = DuckDbFile(tmp_path / "warehouse.duckdb")
    table = delta_table(tmp_path / "t", mode="append")
    published = table.publish(orders(1))
    impatient = replace(warehouse.connection, extra={"lock_timeout": 1})
    holder = subprocess.Popen(
        [sys.executable, "-c", _LOAD, _job(table, published, warehouse, "hold")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        started = time.monotonic()
        with pytest.raises(WarehouseError, match=rf"in use .* held by .*\(PID {holder.pid}\)") as caught:
            table.load(published, impatient, slice=day(1))
        assert 1 <= time.monotonic() - started < 20
        assert caught.value.retryable
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate()
    assert table.load(published, impatient, slice=day(1)).rows == 1
