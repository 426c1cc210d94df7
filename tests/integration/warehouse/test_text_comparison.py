"""Texts are told apart and ordered as the Delta table does it, byte by byte, whatever PostgreSQL's collations say."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batch_processing.errors import WarehouseRefused
from tests.integration.warehouse.test_late_loads import FIRST, SECOND, Lake
from tests.integration.warehouse.warehouses import DuckDbFile, PostgresSchema
from tests.unit.warehouse.publishing import Table, day, delta_table, orders

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.postgres


@pytest.fixture
def english(postgres: Any) -> Iterator[PostgresSchema]:
    """A database of its own, which orders texts as English does."""
    name = f"icu_{uuid.uuid4().hex[:12]}"
    postgres.execute(f"CREATE DATABASE {name} LOCALE_PROVIDER icu ICU_LOCALE 'en' TEMPLATE template0")
    yield PostgresSchema(replace(postgres, dbname=name), "public")
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def warehouse(postgres_schema: PostgresSchema) -> PostgresSchema:
    return postgres_schema


@pytest.mark.parametrize("order", [(FIRST, SECOND), (SECOND, FIRST)], ids=["in order", "late"])
def test_the_later_of_two_texts_is_the_delta_tables_in_a_database_that_orders_them_as_english_does(
    english: PostgresSchema, tmp_path: Path, spark_embedded: SparkSession, order: tuple[str, str]
) -> None:
    target = delta_table(tmp_path / "t", mode="merge", keys=("id",), sequence_by="day")
    lake = Lake(spark_embedded, target)
    lake.publish(FIRST, [(1, 1.0, "B"), (2, 1.0, "a"), (3, 1.0, "ab"), (4, 1.0, "same")], slice=1)
    lake.publish(SECOND, [(1, 2.0, "a"), (2, 2.0, "B"), (3, 2.0, "a-b"), (4, 2.0, "same")], slice=2)
    for name in order:
        lake.load(name, english, into="orders")
    assert english.rows("SELECT id, amount, day FROM orders ORDER BY id") == lake.rows()
    assert [row[1] for row in lake.rows()] == [2.0, 1.0, 1.0, 2.0], "bytes decide"


_OWN = '"_slice" timestamptz, "_generation" integer'


def _by_day(path: Path, mode: str) -> Table:
    """A table whose column `day` says which rows are replaced."""
    by = {"merge": {"keys": ("day",)}, "replace_partitions": {"partition_by": ("day",)}}.get(mode, {})
    return delta_table(path, mode=mode, **by)


def _rows(warehouse: PostgresSchema) -> list[tuple[Any, ...]]:
    return warehouse.rows("SELECT id, day FROM orders ORDER BY id")


@pytest.mark.parametrize("mode", ["merge", "replace_partitions"])
def test_a_column_that_takes_two_texts_for_one_is_refused_where_rows_are_replaced_by_it(
    warehouse: PostgresSchema, tmp_path: Path, mode: str
) -> None:
    warehouse.run("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    warehouse.run(f"CREATE TABLE orders (id bigint, amount double precision, day text COLLATE ci, {_OWN})")
    warehouse.run("INSERT INTO orders VALUES (1, 1.0, 'x', NULL, NULL)")
    table = _by_day(tmp_path / "t", mode)
    with pytest.raises(WarehouseRefused, match="different texts for the same") as caught:
        table.load(table.publish(orders(9, day_of="X")), warehouse.connection, slice=day(1))
    assert "on day" in caught.value.found
    assert _rows(warehouse) == [(1, "x")]


@pytest.mark.parametrize("mode", ["merge", "replace_partitions"])
def test_a_column_of_duckdb_that_takes_two_texts_for_one_is_refused_too(tmp_path: Path, mode: str) -> None:
    file = DuckDbFile(tmp_path / "w.duckdb")
    file.run(f"CREATE TABLE orders (id bigint, amount double, day varchar COLLATE nocase, {_OWN})")
    file.run("INSERT INTO orders VALUES (1, 1.0, 'x', NULL, NULL)")
    table = _by_day(tmp_path / "t", mode)
    with pytest.raises(WarehouseRefused, match="different texts for the same") as caught:
        table.load(table.publish(orders(9, day_of="X")), file.connection, slice=day(1))
    assert "on day" in caught.value.found
    assert file.rows("SELECT id FROM orders") == [(1,)]


def test_a_column_of_duckdb_that_orders_texts_otherwise_says_not_which_row_is_later(tmp_path: Path) -> None:
    file = DuckDbFile(tmp_path / "w.duckdb")
    file.run(f"CREATE TABLE orders (id bigint, amount double, day varchar COLLATE nocase, {_OWN})")
    table = delta_table(tmp_path / "t", mode="merge", keys=("id",), sequence_by="day")
    with pytest.raises(WarehouseRefused, match="different texts for the same"):
        table.load(table.publish(orders(9, day_of="X")), file.connection, slice=day(1))


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_a_column_that_takes_two_texts_for_one_is_filled_where_no_row_is_replaced_by_it(
    warehouse: PostgresSchema, tmp_path: Path, mode: str
) -> None:
    warehouse.run("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    warehouse.run(f"CREATE TABLE orders (id bigint, amount double precision, day text COLLATE ci, {_OWN})")
    table = _by_day(tmp_path / "t", mode)
    assert table.load(table.publish(orders(9, day_of="X")), warehouse.connection, slice=day(1)).rows == 1


@pytest.mark.parametrize("mode", ["merge", "replace_partitions"])
def test_a_text_that_a_short_column_would_cut_to_anothers_is_refused(
    warehouse: PostgresSchema, tmp_path: Path, mode: str
) -> None:
    warehouse.run(f"CREATE TABLE orders (id bigint, amount double precision, day varchar(3), {_OWN})")
    table = _by_day(tmp_path / "t", mode)
    for number, text in ((1, "abc"), (2, "é漢🙂"), (3, "z ")):
        table.load(table.publish(orders(number, day_of=text)), warehouse.connection, slice=day(number))
    before = [(1, "abc"), (2, "é漢🙂"), (3, "z ")]
    assert _rows(warehouse) == before
    for text in ("abc ", "abcd", "é漢🙂 "):
        with pytest.raises(WarehouseRefused, match="longer than the warehouse table's column") as caught:
            table.load(table.publish(orders(9, day_of=text)), warehouse.connection, slice=day(4))
        assert "column day" in caught.value.where
        assert "1 of more than 3 characters" in caught.value.found
        assert text not in str(caught.value)
        assert _rows(warehouse) == before
    table.load(table.publish(orders(5, day_of="z")), warehouse.connection, slice=day(5))
    assert _rows(warehouse) == [*before, (5, "z")]
    table.load(table.publish(orders(6, day_of="z ")), warehouse.connection, slice=day(6))
    assert _rows(warehouse) == [*before[:2], (5, "z"), (6, "z ")]
