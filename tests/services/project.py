"""A small project in a temporary folder: orders from CSV, customers from SQLite, a Delta table, a DuckDB warehouse."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from batch_processing.pipeline.runner import run_pipeline
from batch_processing.results import RunResult
from batch_processing.settings.loading import LoadedPipeline, load_pipeline
from batch_processing.settings.models import EngineSpec
from batch_processing.settings.slices import parse_slice
from batch_processing.settings.values import EnvironmentValues

SUITE = {
    "name": "orders",
    "expectations": [
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}, "severity": "critical"},
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}, "severity": "critical"},
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "amount", "min_value": 0, "max_value": 1000000},
            "severity": "critical",
        },
    ],
    "meta": {},
}
OUTPUT_SUITE = {
    "name": "output",
    "expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}}],
    "meta": {},
}
TRANSFORM = """
from pyspark.sql import functions as sf

def transform(spark, inputs):
    orders, customers = inputs["orders"], inputs["customers"]
    joined = orders.join(customers.select("customer_id", "name"), on="customer_id", how="left")
    return joined.select("id", "customer_id", "name", "amount", "day")
"""
GOOD_ROWS = [f"{n},{n % 3 + 1},{n}.5,2026-11-01" for n in range(1, 101)]


@dataclass
class SmallProject:
    """A project to be changed by a test, then run.

    `declaration` is written to pipeline.yml at each `load()`.
    """

    root: Path
    declaration: dict[str, Any]
    environ: dict[str, str] = field(default_factory=dict)
    module: str = ""

    @property
    def file(self) -> Path:
        return self.root / "pipeline.yml"

    @property
    def table(self) -> Path:
        return self.root / "lake" / "orders"

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse.duckdb"

    def write_orders(self, rows: list[str], *, name: str = "a.csv", header: str = "id,customer_id,amount,day") -> Path:
        path = self.root / "data" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    def write_suite(self, suite: dict[str, Any]) -> None:
        folder = self.root / "gx" / "expectations"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{suite['name']}.json").write_text(json.dumps(suite))

    def write_transform(self, text: str) -> None:
        (self.root / f"{self.module}.py").write_text(text)

    def load(self) -> LoadedPipeline:
        self.file.write_text(yaml.safe_dump(self.declaration, sort_keys=False))
        return load_pipeline(self.file, environ=self.environ)

    def values(self, **overrides: str) -> EnvironmentValues:
        return EnvironmentValues(overrides=overrides, environ=self.environ, settings_file=None)

    def run(self, *, day: str = "2026-11-01", engine: EngineSpec | None = None, **overrides: str) -> RunResult:
        loaded = self.load()
        chosen = parse_slice(day, loaded.spec.schedule)
        return run_pipeline(loaded, values=self.values(**overrides), slice=chosen, engine=engine)


@pytest.fixture
def project(tmp_path: Path, request: pytest.FixtureRequest) -> SmallProject:
    """A project whose run passes with every row published."""
    module = f"work_{abs(hash(request.node.nodeid))}"
    made = SmallProject(
        root=tmp_path,
        declaration={
            "pipeline": "orders",
            "schedule": "0 2 * * *",
            "sources": {
                "orders": {
                    "files": {"path": f"{tmp_path}/data/*.csv", "ready": "exists", "timeout": "1s"},
                    "schema": {"id": "bigint", "customer_id": "bigint", "amount": "double", "day": "date"},
                },
                "customers": {
                    "database": {"connection": "crm", "table": "customers"},
                    "schema": {"customer_id": "bigint", "name": "string"},
                },
            },
            "validate": {"orders": {"suite": "orders", "threshold": 0.9}},
            "transform": f"{module}:transform",
            "target": {"table": f"{tmp_path}/lake/orders", "partition_by": ["day"]},
            "validate_output": {"suite": "output"},
            "warehouse": {"connection": "warehouse", "table": "orders"},
        },
        environ={
            "BATCH_HOME": f"{tmp_path}/home",
            "AIRFLOW_CONN_CRM": json.dumps({"conn_type": "sqlite", "host": f"{tmp_path}/crm.db"}),
            "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "duckdb", "host": f"{tmp_path}/warehouse.duckdb"}),
        },
        module=module,
    )
    with sqlite3.connect(tmp_path / "crm.db") as crm:
        crm.execute("CREATE TABLE customers (customer_id INTEGER, name TEXT)")
        crm.executemany("INSERT INTO customers VALUES (?, ?)", [(1, "Ada"), (2, "Bo"), (3, "Cy")])
    crm.close()
    made.write_orders(GOOD_ROWS)
    made.write_suite(SUITE)
    made.write_suite(OUTPUT_SUITE)
    made.write_transform(TRANSFORM)
    return made
