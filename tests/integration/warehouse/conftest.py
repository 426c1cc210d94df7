"""The warehouse that a test of loading runs on: DuckDB, then PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.warehouse.warehouses import DuckDbFile, PostgresSchema, Warehouse


@pytest.fixture(params=["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    if request.param == "duckdb":
        yield DuckDbFile(tmp_path / "warehouse.duckdb")
        return
    yield request.getfixturevalue("postgres_schema")


@pytest.fixture
def postgres_schema(postgres: Any) -> Iterator[PostgresSchema]:
    schema = f"t_{uuid.uuid4().hex[:12]}"
    postgres.execute(f"CREATE SCHEMA {schema}")
    yield PostgresSchema(postgres, schema)
    postgres.execute(f"DROP SCHEMA {schema} CASCADE")
