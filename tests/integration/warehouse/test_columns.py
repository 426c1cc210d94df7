"""Which columns a load takes, adds and refuses, and that their names stay, on DuckDB and on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from batch_processing.errors import WarehouseRefused
from tests.integration.warehouse.warehouses import Warehouse
from tests.unit.warehouse.publishing import day, delta_table, orders


def test_a_new_column_is_refused_unless_additive(warehouse: Warehouse, tmp_path: Path) -> None:
    strict = delta_table(tmp_path / "t", mode="append")
    strict.load(strict.publish(orders(1)), warehouse.connection, slice=day(1))
    additive = delta_table(tmp_path / "t", mode="append", schema_change="additive")
    wider = orders(2).append_column("note", pa.array(["x"]))
    published = additive.publish(wider)
    with pytest.raises(WarehouseRefused, match="lacks columns") as caught:
        strict.load(published, warehouse.connection, slice=day(2))
    assert "note" in caught.value.found
    assert "additive" in caught.value.fix
    additive.load(published, warehouse.connection, slice=day(2))
    assert warehouse.rows("SELECT id, note FROM orders ORDER BY id") == [(1, None), (2, "x")]


def test_an_older_schema_still_loads_into_a_wider_table(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append", schema_change="additive")
    narrow = table.publish(orders(1))
    wide = table.publish(orders(2).append_column("note", pa.array(["x"])))
    table.load(wide, warehouse.connection, slice=day(2))
    table.load(narrow, warehouse.connection, slice=day(1))
    assert warehouse.rows("SELECT id, note FROM orders ORDER BY id") == [(1, None), (2, "x")]


def test_another_type_is_refused_with_both_types_named(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.run("CREATE TABLE orders (id integer, amount double precision, day text)")
    table = delta_table(tmp_path / "t", mode="append")
    with pytest.raises(WarehouseRefused, match="other types") as caught:
        table.load(table.publish(orders(1)), warehouse.connection, slice=day(1))
    assert "id is integer, the output needs bigint" in caught.value.found.lower()
    assert not caught.value.retryable


def test_names_stay_as_declared(warehouse: Warehouse, tmp_path: Path) -> None:
    rows = pa.table({'Weird "Name"': [1], "select": [2], "with space.dot": [3], "ÜPPER": ["x"], "$1": ["y"]})
    table = delta_table(tmp_path / "t", mode="append")
    published = table.publish(rows)
    name = '"My.Schema"."Order ""Lines"" ; --"'
    table.load(published, warehouse.connection, table=name, slice=day(1))
    assert table.load(published, warehouse.connection, table=name, slice=day(1)).already
    found = warehouse.rows(f'SELECT "Weird ""Name""", "select", "with space.dot", "ÜPPER", "$1" FROM {name}')
    assert found == [(1, 2, 3, "x", "y")]
    if warehouse.kind == "postgres":
        warehouse.run('DROP SCHEMA "My.Schema" CASCADE')


def test_reserved_column_names_are_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    with pytest.raises(WarehouseRefused, match="reserved"):
        table.load(table.publish(pa.table({"_slice": [1]})), warehouse.connection, slice=day(1))
