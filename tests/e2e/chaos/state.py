"""The state that runs leave, as hashes that do not depend on order, run ids, times or places."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from deltalake import DeltaTable
from psycopg.rows import dict_row

from batch_processing.control.store import ControlStore
from batch_processing.results import RowCounts
from tests.services.project import SmallProject

_LEDGER = 'SELECT pipeline, "table", CAST(slice AS VARCHAR), generation, table_version, "rows" FROM _batch_loads'


@dataclass(frozen=True)
class State:
    """What a world holds after its runs. Two worlds are in the same state if these are equal.

    Attributes:
        table: rows of the Delta table.
        quarantine: rows of the quarantine table.
        warehouse: rows of the warehouse table.
        loads: the warehouse's ledger: one entry for each slice.
        commits: for each slice and generation how many commits published it, and with what counts.
        slices: the control store: for each slice its outcome, its row counts and its verdicts.
    """

    table: str
    quarantine: str
    warehouse: str
    loads: tuple[tuple[Any, ...], ...]
    commits: tuple[tuple[Any, ...], ...]
    slices: tuple[tuple[Any, ...], ...]

    def differences(self, other: State) -> list[str]:
        """The parts that differ, in words."""
        return [
            f"{field.name}: {getattr(self, field.name)} is not {getattr(other, field.name)}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(other, field.name)
        ]


def state_of(world: SmallProject) -> State:
    """The state of a world, read by readers that are not this package's own where there are any."""
    rows, ledger = _warehouse(world)
    return State(
        table=multiset_hash(delta_rows(world.table)),
        quarantine=multiset_hash(_quarantine(world)),
        warehouse=multiset_hash(rows),
        loads=tuple(sorted(ledger)),
        commits=tuple(sorted(_commits(world.table))),
        slices=tuple(_slices(world)),
    )


def multiset_hash(rows: Iterable[Mapping[str, Any]]) -> str:
    """`<rows> <hash>`: equal for equal multisets of rows in any order; a lost, doubled or changed row changes it."""
    counted = Counter(json.dumps(row, sort_keys=True, default=str, ensure_ascii=False) for row in rows)
    digest = hashlib.sha256()
    for text in sorted(counted):
        digest.update(f"{counted[text]} {text}\n".encode())
    return f"{counted.total()} rows {digest.hexdigest()[:16]}"


def delta_rows(table: Path) -> list[dict[str, Any]]:
    """Rows of a Delta table's newest version; none where there is no table."""
    if not DeltaTable.is_deltatable(str(table)):
        return []
    found: list[dict[str, Any]] = DeltaTable(str(table)).to_pyarrow_table().to_pylist()
    return found


def _quarantine(world: SmallProject) -> list[dict[str, Any]]:
    rows = delta_rows(world.root / "home" / "quarantine" / "orders" / "orders")
    for row in rows:
        del row["_run_id"]
        row["_source_file"] = row["_source_file"].replace(str(world.root), "")
        row["_reasons"] = sorted(row["_reasons"])
    return rows


def _warehouse(world: SmallProject) -> tuple[list[dict[str, Any]], list[tuple[Any, ...]]]:
    connection = json.loads(world.environ["AIRFLOW_CONN_WAREHOUSE"])
    if connection["conn_type"] == "postgres":
        return _postgres(connection, world.declaration["warehouse"]["table"])
    file = Path(connection["host"])
    if not file.exists():
        return [], []
    with duckdb.connect(str(file)) as warehouse:
        warehouse.execute("SET TimeZone = 'UTC'")
        if not warehouse.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'orders'").fetchall():
            return [], []
        rows = warehouse.sql("SELECT * FROM orders").to_arrow_table().to_pylist()
        return rows, warehouse.execute(_LEDGER).fetchall()


def _postgres(connection: Mapping[str, Any], table: str) -> tuple[list[dict[str, Any]], list[tuple[Any, ...]]]:
    schema = table.partition(".")[0]
    options = {"host": connection["host"], "port": connection["port"], "user": connection["login"]}
    with psycopg.connect(**options, password=connection["password"], dbname=connection["schema"]) as session:
        session.execute("SET TimeZone = 'UTC'")
        with session.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(f"SELECT * FROM {table}".encode()).fetchall()
        ledger = session.execute(_LEDGER.replace("_batch_loads", f"{schema}._batch_loads").encode()).fetchall()
        return rows, [(entry[0], entry[1].removeprefix(f"{schema}."), *entry[2:]) for entry in ledger]


def _commits(table: Path) -> list[tuple[Any, ...]]:
    published: Counter[tuple[Any, ...]] = Counter()
    for file in sorted((table / "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in file.read_text().splitlines()]
        facts: dict[str, Any] = {}
        for action in actions:
            if "commitInfo" in action:
                facts = json.loads(action["commitInfo"].get("userMetadata", "{}")).get("batch_processing", {})
        counts = json.dumps([facts.get(name) for name in ("rows", "outcome", "score", "counts")], sort_keys=True)
        for action in actions:
            if "txn" in action:
                published[action["txn"]["appId"], action["txn"]["version"], counts] += 1
    return [(*key, times) for key, times in published.items()]


def _slices(world: SmallProject) -> Iterable[tuple[Any, ...]]:
    """What the newest of a slice's runs that knows it says; a run that found its slice published has read nothing."""
    with ControlStore.open(f"sqlite:///{world.root}/home/control.db") as control:
        records = control.history(limit=1000)
    for start in sorted({record.key.slice for record in records}):
        runs = [record for record in records if record.key.slice == start]
        counts = []
        for field in fields(RowCounts):
            known = (getattr(run.rows, field.name) for run in runs)
            counts.append((field.name, next((count for count in known if count is not None), None)))
        verdicts = {}
        for run in reversed(runs):
            for verdict in run.quality:
                verdicts[verdict.dataset] = (verdict.outcome.value, verdict.score, verdict.rows, verdict.quarantined)
        yield start.iso, runs[0].outcome.value, tuple(counts), tuple(sorted(verdicts.items()))
