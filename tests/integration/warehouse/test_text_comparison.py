"""Texts are told apart and ordered as the Delta table does it, byte by byte, whatever PostgreSQL's collations say."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from batch_processing.settings.values import Connection
from tests.integration.warehouse.test_late_loads import FIRST, SECOND, Lake
from tests.integration.warehouse.warehouses import PostgresSchema
from tests.unit.warehouse.publishing import delta_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.postgres


@dataclass
class IcuDatabase:
    """A database of its own, which orders texts as English does."""

    server: Any
    name: str
    kind: str = "postgres"

    @property
    def connection(self) -> Connection:
        return self.server.connection("warehouse", schema=self.name)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(replace(self.server, dbname=self.name).uri) as db:
            return db.execute(sql.encode()).fetchall()


@pytest.fixture
def english(postgres: Any) -> Iterator[IcuDatabase]:
    name = f"icu_{uuid.uuid4().hex[:12]}"
    postgres.execute(f"CREATE DATABASE {name} LOCALE_PROVIDER icu ICU_LOCALE 'en' TEMPLATE template0")
    yield IcuDatabase(postgres, name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def warehouse(postgres: Any) -> Iterator[PostgresSchema]:
    schema = f"t_{uuid.uuid4().hex[:12]}"
    postgres.execute(f"CREATE SCHEMA {schema}")
    yield PostgresSchema(postgres, schema)
    postgres.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.mark.parametrize("order", [(FIRST, SECOND), (SECOND, FIRST)], ids=["in order", "late"])
def test_the_later_of_two_texts_is_the_delta_tables_in_a_database_that_orders_them_as_english_does(
    english: IcuDatabase, tmp_path: Path, spark_embedded: SparkSession, order: tuple[str, str]
) -> None:
    target = delta_table(tmp_path / "t", mode="merge", keys=("id",), sequence_by="day")
    lake = Lake(spark_embedded, target)
    lake.publish(FIRST, [(1, 1.0, "B"), (2, 1.0, "a"), (3, 1.0, "ab"), (4, 1.0, "same")], slice=1)
    lake.publish(SECOND, [(1, 2.0, "a"), (2, 2.0, "B"), (3, 2.0, "a-b"), (4, 2.0, "same")], slice=2)
    for name in order:
        lake.load(name, english, into="orders")
    assert english.rows("SELECT id, amount, day FROM orders ORDER BY id") == lake.rows()
    assert [row[1] for row in lake.rows()] == [2.0, 1.0, 1.0, 2.0], "bytes decide"
