"""Carries the operations of a history out on a small project, as users and other tools do."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from batch_processing.errors import BatchError
from batch_processing.pipeline.context import open_run
from batch_processing.pipeline.runner import _parts
from batch_processing.pipeline.steps import execute_step
from batch_processing.settings.slices import parse_slice
from tests.integration.pipeline.history_model import Difference, Model, Row, Setup, expect
from tests.integration.pipeline.history_operations import DAYS, Operation
from tests.services.project import SmallProject

Batchctl = Callable[..., int]
COLUMNS = Row._fields
TRANSFORM = """
from pyspark.sql import functions as sf

def transform(spark, inputs, extra):
    orders, customers = inputs["orders"], inputs["customers"]
    joined = orders.join(customers.select("customer_id", "name"), on="customer_id", how="left")
    broken = sf.when(sf.col("amount") != 999, sf.col("id")).alias("id")
    more = [sf.concat(sf.lit("x"), sf.col("id").cast("string")).alias("extra")] if extra == "yes" else []
    return joined.select(broken, "customer_id", "name", "amount", "day", "rank", *more)
"""
FAULTY = {"rows": "21,1,-5,2026-11-01,1\n22,1,5,2026-11-01,1\n", "audit": "21,1,999,2026-11-01,1\n"}


@dataclass
class Player:
    """Plays operations on the project and on the model, and compares them after each."""

    project: SmallProject
    batchctl: Batchctl
    setup: Setup
    chance: random.Random
    model: Model = field(init=False)
    staged_runs: dict[int, str] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    at: int = 0

    def __post_init__(self) -> None:
        self.model = Model(self.setup)
        target = self.project.declaration["target"]
        target |= {"mode": self.setup.mode, "schema_change": "additive" if self.setup.additive else "strict"}
        if not self.setup.partitioned:
            del target["partition_by"]
        if self.setup.mode == "merge":
            target["keys"] = ["id"]
        if self.setup.sequence:
            target["sequence_by"] = "rank"
        orders = self.project.declaration["sources"]["orders"]
        orders["schema"]["rank"] = "bigint"
        orders["files"]["path"] = f"{self.project.root}/data/{{{{ ds }}}}/*.csv"
        self.project.write_transform(TRANSFORM)
        self._declare(extra=False)

    def play(self, operations: list[Operation]) -> None:
        """Carries the operations out; `at` counts them.

        Raises:
            Difference: what is there is not what the model says.
        """
        for operation in operations:
            self.at += 1
            before = self._version()
            changed = getattr(self, f"_{operation[0]}")(*operation[1:])
            if changed is not None and (self._version() != before) is not changed:
                raise Difference(f"the table went from version {before} to {self._version()}")
            self._compare()

    def settle(self) -> None:
        """Loads what is published and not loaded: the warehouse then has what the table has."""
        model = self.model
        for slice in model.published:
            if not model.waiting(slice) and not model.loaded(slice):
                self._run(slice)
                self._compare()
        needed = [model.log[-1].owner.slice] if self.setup.mode == "overwrite" and model.log else model.published
        if all(map(model.loaded, needed)) and not (model.foreign or model.left_behind):
            same(self._warehouse_rows(), self._table_rows(), "the warehouse, with all slices loaded, and the table")

    # operations

    def _input(self, slice: int, rows: tuple[Row, ...]) -> None:
        lines = [f"{row.id},{row.customer_id},{row.amount},{row.day or ''},{_text(row.rank)}" for row in rows]
        if len(lines) > 9:
            lines.append("99,1,-1,2026-11-01,9")  # goes to the quarantine
        self._write(slice, "\n".join(lines))
        self.model.inputs[slice] = tuple(rows)

    def _run(self, slice: int) -> bool:
        return self.model.run(slice, self._command("run", slice))

    def _again(self, slice: int) -> bool | None:
        return self._run(slice) if slice in self.model.published else None

    def _reprocess(self, slice: int) -> bool:
        return self.model.reprocess(slice, self._command("reprocess", slice))

    def _fault(self, slice: int, fault: Any, command: str) -> bool:
        file = self._file(slice)
        good = file.read_text()
        self._write(slice, FAULTY[fault])
        try:
            code = self._command(command, slice)
        finally:
            file.write_text(good)
        return (self.model.run if command == "run" else self.model.reprocess)(slice, code, fault=fault)

    def _column(self, slice: int) -> bool | None:
        if self.setup.additive:
            self.model.extra = True
            self._declare(extra=True)
            return None
        if slice not in self.model.published:
            return None
        self._declare(extra=True)
        code = self._command("reprocess", slice)
        self._declare(extra=False)
        return self.model.reprocess_with_column(slice, code)

    def _publish(self, slice: int) -> bool:
        run_id = f"steps-{self.at}"
        code = self._steps(slice, run_id, lambda step: step != "load_warehouse")
        changed = self.model.run(slice, code, loads=False)
        self.running.add(run_id)
        if code == 0:
            self.staged_runs[slice] = run_id
        return changed

    def _load(self, slice: int) -> bool | None:
        run_id = self.staged_runs.pop(slice, None)
        if run_id is None or self.model.waiting(slice):
            return None
        return self.model.load_step(slice, self._steps(slice, run_id, lambda step: step == "load_warehouse"))

    def _lose_store(self) -> None:
        for file in (self.project.root / "home").glob("control.db*"):
            file.unlink()
        self.model.lose_store()
        self.running.clear()
        self.staged_runs.clear()

    def _maintain(self, appended: bool) -> None:
        if self._table() is None:
            return
        arguments = [*(["--compact-appended"] if appended else []), *(["--force"] if self.running else [])]
        expect(self.batchctl("maintain", str(self.project.table), *arguments), {0}, "upkeep")
        if appended or self.setup.mode != "append":
            self.model.compact()

    def _compact(self) -> None:
        table = self._table()
        if table is not None:
            table.optimize.compact()
            self.model.compact()

    def _vacuum(self) -> None:
        table = self._table()
        if table is not None:
            table.vacuum(0, enforce_retention_duration=False, dry_run=False)
            self.model.vacuum()

    def _foreign_rows(self, rows: tuple[Row, ...]) -> None:
        table = self._table()
        if table is None:
            return
        schema = pa.schema(table.schema().to_arrow())
        data = [{name: value for name, value in _typed(row).items() if name in schema.names} for row in rows]
        write_deltalake(table, pa.Table.from_pylist(data, schema=schema), mode="append")
        self.model.add_foreign(rows)

    def _delete(self, slice: int, count: int) -> None:
        amounts = [row.amount for row in self.model.rows_of(slice)[:count]]
        table = self._table()
        if table is not None and amounts:
            table.delete(f"amount IN ({', '.join(map(str, amounts))})")
            self.model.delete(amounts)

    def _drop_warehouse(self) -> None:
        if self.project.warehouse.exists():
            with duckdb.connect(str(self.project.warehouse)) as db:
                db.execute("DROP TABLE IF EXISTS orders")
        self.model.drop_warehouse()

    # how

    def _declare(self, *, extra: bool) -> None:
        params = {"function": f"{self.project.module}:transform", "params": {"extra": "yes" if extra else "no"}}
        self.project.declaration["transform"] = params
        self.project.load()

    def _command(self, verb: str, slice: int) -> int:
        return self.batchctl(verb, "--slice", _day(slice))

    def _steps(self, slice: int, run_id: str, wanted: Callable[[str], bool]) -> int:
        loaded = self.project.load()
        chosen = parse_slice(_day(slice), loaded.spec.schedule)
        try:
            with open_run(
                loaded, values=self.project.values(), slice=chosen, run_id=run_id, trigger="airflow"
            ) as context:
                for step in context.plan.steps:
                    for part in _parts(context, step) if wanted(step.id) else ():
                        execute_step(context, step, part=part)
        except BatchError as error:
            return error.exit_code
        return 0

    def _file(self, slice: int) -> Path:
        return self.project.root / "data" / _day(slice) / "a.csv"

    def _write(self, slice: int, lines: str) -> None:
        file = self._file(slice)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"id,customer_id,amount,day,rank\n{lines}\n")

    # what is there

    def _compare(self) -> None:
        same(self._table_rows(), self.model.table_rows(), "the Delta table")
        self._compare_a_condition()
        same(self._warehouse_rows(), self.model.warehouse_rows(), "the warehouse")

    def _table(self) -> DeltaTable | None:
        return DeltaTable(str(self.project.table)) if (self.project.table / "_delta_log").exists() else None

    def _version(self) -> int:
        table = self._table()
        return -1 if table is None else int(table.version())

    def _table_rows(self) -> Counter[Row]:
        table = self._table()
        return Counter() if table is None else _rows(table.to_pyarrow_table().to_pylist())

    def _compare_a_condition(self) -> None:
        """DuckDB leaves out files by partitions and bounds: what it finds is what the model has."""
        table = self._table()
        if table is None:
            return
        number = self.chance.randint(0, 14)
        day = self.chance.choice(DAYS)
        sql, holds = self.chance.choice(
            [
                (f"id > {number}", lambda row: row.id > number),
                (f"rank < {number % 4}", lambda row: row.rank is not None and row.rank < number % 4),
                (f"day = DATE '{day}'" if day else "day IS NULL", lambda row: row.day == day),
                (f"amount > {number * 5}", lambda row: row.amount > number * 5),
            ]
        )
        dataset = table.to_pyarrow_dataset()
        with duckdb.connect() as db:
            found = records(db.register("orders", dataset), f"SELECT * FROM orders WHERE {sql}")
        expected = Counter({row: n for row, n in self.model.table_rows().items() if holds(row)})
        same(_rows(found), expected, f"the Delta table where {sql}")

    def _warehouse_rows(self) -> Counter[Row]:
        if not self.project.warehouse.exists():
            return Counter()
        with duckdb.connect(str(self.project.warehouse)) as db:
            if not db.execute("FROM duckdb_tables() WHERE table_name = 'orders'").fetchall():
                return Counter()
            return _rows(records(db, "SELECT * EXCLUDE (_slice, _generation) FROM orders"))


def records(db: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    found = db.execute(sql)
    names = [column[0] for column in found.description]
    return [dict(zip(names, values, strict=True)) for values in found.fetchall()]


def same(found: Counter[Row], expected: Counter[Row], what: str) -> None:
    if found != expected:
        missing, more = sorted(expected - found, key=str), sorted(found - expected, key=str)
        raise Difference(f"{what}: missing {missing}, too many {more}")


def written(setup: Setup, operations: list[Operation]) -> str:
    """A history to be read, and to be played again by copying it."""
    return "\n".join([f"{setup}", *(f"    {_plain(operation)}," for operation in operations)])


def _plain(value: Any) -> str:
    """Rows as plain tuples."""
    if not isinstance(value, tuple):
        return repr(value)
    return f"({' '.join(f'{_plain(part)},' for part in value)})"


def _rows(found: list[dict[str, Any]]) -> Counter[Row]:
    return Counter(Row(**{name: _day_text(name, row.get(name)) for name in COLUMNS}) for row in found)


def _day_text(name: str, value: Any) -> Any:
    return value.isoformat() if name == "day" and value is not None else value


def _typed(row: Row) -> dict[str, Any]:
    return {**row._asdict(), "day": date.fromisoformat(row.day) if row.day else None}


def _text(value: int | None) -> str:
    return "" if value is None else str(value)


def _day(slice: int) -> str:
    return f"2026-11-{slice:02}"
