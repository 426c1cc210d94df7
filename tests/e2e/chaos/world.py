"""The world that chaos happens in: a small project, its slices' input, and its state told by hashes."""

from __future__ import annotations

import json
import shutil
import sqlite3
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

from tests.services.project import OUTPUT_SUITE, SUITE, SmallProject

Mode = Literal["replace_partitions", "append", "overwrite", "merge"]
MODES: tuple[Mode, ...] = ("replace_partitions", "append", "overwrite", "merge")
FIRST_DAY = "2026-11-01"
SECOND_DAY = "2026-11-02"
_DAY_ONE = date.fromisoformat(FIRST_DAY)
_TARGETS: dict[Mode, dict[str, Any]] = {
    "replace_partitions": {"partition_by": ["day", "name"]},
    "append": {"partition_by": ["day"]},
    "overwrite": {},
    "merge": {"partition_by": ["name"], "keys": ["id"], "sequence_by": "day"},
}
_TRANSFORM = """
from pyspark.sql import functions as sf

def transform(spark, inputs):
    orders, customers = inputs["orders"], inputs["customers"]
    joined = orders.join(customers.select("customer_id", "name"), on="customer_id", how="left")
    return joined.select("id", "customer_id", "name", "amount", "day")
"""


def make_world(root: Path, *, mode: Mode = "replace_partitions", mail_to: str = "") -> SmallProject:
    """A project with orders as CSV (one file for each day, bad rows and rejects among them) and customers in SQLite.

    Args:
        root: its folder, made here.
        mode: the target's.
        mail_to: a mail server's connection in Airflow's JSON form; failures are then mailed.
    """
    root.mkdir(parents=True, exist_ok=True)
    world = _describe(root, mode=mode, mail_to=mail_to)
    with sqlite3.connect(root / "crm.db") as crm:
        crm.execute("CREATE TABLE customers (customer_id INTEGER, name TEXT)")
        crm.executemany("INSERT INTO customers VALUES (?, ?)", [(1, "Ada"), (2, "Bo & Co"), (3, "Cy/ö")])
    crm.close()
    world.write_suite(SUITE)
    world.write_suite(OUTPUT_SUITE)
    world.write_transform(_TRANSFORM)
    for number in range(4):
        write_day(world, day_after(number))
    save(world)
    return world


def serve_from(world: SmallProject, connection: dict[str, Any], table: str) -> None:
    """Gives the world another warehouse."""
    world.environ["AIRFLOW_CONN_WAREHOUSE"] = json.dumps(connection)
    world.declaration["warehouse"]["table"] = table
    save(world)


def copy_world(world: SmallProject, root: Path) -> SmallProject:
    """The same world, with all that happened in it, in another folder."""
    shutil.copytree(world.root, root)
    declared = json.loads(json.dumps(world.declaration).replace(str(world.root), str(root)))
    environ = {name: text.replace(str(world.root), str(root)) for name, text in world.environ.items()}
    copied = SmallProject(root, declared, environ, world.module)
    save(copied)
    return copied


def save(world: SmallProject) -> None:
    """Writes what a child needs to run the world."""
    world.load()
    (world.root / "environ.json").write_text(json.dumps(world.environ))


def day_after(number: int) -> str:
    """The day of slice `number`, from 0."""
    return (_DAY_ONE + timedelta(days=number)).isoformat()


def write_day(world: SmallProject, day: str, *, good: int = 40, bad: bool = True) -> None:
    """One day's orders. Ids overlap with the day before, customers change: a merge has rows to move and to keep.

    With `bad`: a null id, a doubled id, amounts out of range, and two records that are no orders.
    """
    number = (date.fromisoformat(day) - _DAY_ONE).days
    first = 1 + number * good // 2
    rows = [f"{n},{(n + number) % 3 + 1},{n}.25,{day}" for n in range(first, first + good)]
    if bad:
        rows += [f",1,5.0,{day}", f"{first},2,7.0,{day}", f"9{first},1,-3.0,{day}", f"8{first},2,1000001,{day}"]
        rows += [f"oops,1,2.0,{day}", f"7{first},1,many,{day}"]
    world.write_orders(rows, name=f"{day}.csv")


def _describe(root: Path, *, mode: Mode, mail_to: str) -> SmallProject:
    declaration: dict[str, Any] = {
        "pipeline": "orders",
        "schedule": "0 2 * * *",
        "sources": {
            "orders": {
                "files": {"path": f"{root}/data/{{{{ ds }}}}.csv", "ready": "exists", "timeout": "1s"},
                "schema": {"id": "bigint", "customer_id": "bigint", "amount": "double", "day": "date"},
                "max_rejected": 0.2,
            },
            "customers": {
                "database": {"connection": "crm", "table": "customers"},
                "schema": {"customer_id": "bigint", "name": "string"},
            },
        },
        "validate": {"orders": {"suite": "orders", "threshold": 0.8}},
        "transform": "chaos_transform:transform",
        "target": {"table": f"{root}/lake/orders", "mode": mode, **_TARGETS[mode]},
        "validate_output": {"suite": "output"},
        "warehouse": {"connection": "warehouse", "table": "orders"},
    }
    environ = {
        "BATCH_HOME": f"{root}/home",
        "AIRFLOW_CONN_CRM": json.dumps({"conn_type": "sqlite", "host": f"{root}/crm.db"}),
        "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "duckdb", "host": f"{root}/warehouse.duckdb"}),
    }
    if mail_to:
        declaration["alerts"] = {"email": ["team@example.com"], "on": ["failure"]}
        environ["AIRFLOW_CONN_SMTP_DEFAULT"] = mail_to
    return SmallProject(root, declaration, environ, "chaos_transform")
