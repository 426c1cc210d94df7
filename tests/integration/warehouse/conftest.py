"""The warehouse that a test of loading runs on: DuckDB, then PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.warehouse.warehouses import DuckDbFile, PostgresSchema, Warehouse


@pytest.fixture(params=["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    if request.param == "duckdb":
        yield DuckDbFile(tmp_path / "warehouse.duckdb")
        return
    server = request.getfixturevalue("postgres")
    schema = f"t_{uuid.uuid4().hex[:12]}"
    server.execute(f"CREATE SCHEMA {schema}")
    yield PostgresSchema(server, schema)
    server.execute(f"DROP SCHEMA {schema} CASCADE")
