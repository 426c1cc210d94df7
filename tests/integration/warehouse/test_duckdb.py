"""What only a DuckDB file can do to a load: another process that holds it, objects and settings that do not fit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from batch_processing.errors import SettingError, WarehouseError, WarehouseRefused
from batch_processing.warehouse.ledger import ledger_row
from tests.integration.warehouse.warehouses import DuckDbFile
from tests.unit.warehouse.publishing import PIPELINE, Table, day, delta_table, orders

_HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDbFile:
    return DuckDbFile(tmp_path / "warehouse.duckdb")


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return delta_table(tmp_path / "t", mode="append")


@contextmanager
def held_by_another(file: Path) -> Iterator[int]:
    """The file, open in another process; gives that process's id. It lets go where its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
    finally:
        process.communicate()


def test_a_file_that_another_process_holds_is_waited_for_with_a_word(
    warehouse: DuckDbFile, table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    published = table.publish(orders(1))
    impatient = replace(warehouse.connection, extra={"lock_timeout": 1.5})
    with held_by_another(warehouse.file) as pid:
        with pytest.raises(WarehouseError, match=f"PID {pid}"):
            table.load(published, impatient, slice=day(1))
        (told,) = [record for record in caplog.records if getattr(record, "waiting", False)]
        assert f"PID {pid}" in told.getMessage()
        assert str(warehouse.file) in told.getMessage()
    assert table.load(published, impatient, slice=day(1)).rows == 1


def test_a_view_in_the_table_s_place_is_named(warehouse: DuckDbFile, table: Table) -> None:
    published = table.publish(orders(1))
    table.load(published, warehouse.connection, table="rows", slice=day(1))
    warehouse.run("CREATE VIEW orders AS SELECT * FROM rows")
    with pytest.raises(WarehouseRefused) as caught:
        table.load(published, warehouse.connection, slice=day(1))
    assert caught.value.where == f"{warehouse.file} table main.orders"
    assert "Can only delete from base table" in caught.value.found
    assert "not of a view" in caught.value.fix


def test_a_type_or_schema_that_is_not_there_is_named(warehouse: DuckDbFile, table: Table) -> None:
    with pytest.raises(WarehouseRefused) as caught:
        table.load(table.publish(orders(1)), warehouse.connection, table="pg_catalog.orders", slice=day(1))
    assert "pg_catalog" in caught.value.where
    assert "system catalog" in caught.value.found


@pytest.mark.parametrize("given", ["lots", "512"])
def test_a_memory_limit_that_duckdb_cannot_read_is_told(warehouse: DuckDbFile, table: Table, given: str) -> None:
    connection = replace(warehouse.connection, extra={"memory_limit": given})
    with pytest.raises(SettingError, match=r"extra\.memory_limit") as caught:
        table.load(table.publish(orders(1)), connection, slice=day(1))
    assert caught.value.where == "connection warehouse"
    assert given in caught.value.found
    assert "512MB" in caught.value.fix


def test_a_constraint_is_named_without_the_value_that_broke_it(warehouse: DuckDbFile, table: Table) -> None:
    warehouse.run(
        "CREATE TABLE orders (id bigint PRIMARY KEY, amount double, day varchar CHECK (day <> 'secret'), "
        "_slice timestamptz, _generation integer)"
    )
    for rows, words in ((orders(77, 77), "PRIMARY KEY"), (orders(1, day_of="secret"), "CHECK constraint")):
        with pytest.raises(WarehouseRefused) as caught:
            table.load(table.publish(rows), warehouse.connection, slice=day(1))
        assert words in caught.value.found
        assert caught.value.where == f"{warehouse.file} table main.orders"
        assert "77" not in str(caught.value)
        assert "secret" not in caught.value.found


@pytest.mark.parametrize(
    ("made", "declared", "found"),
    [
        ("Orders", "orders", "Orders is there, orders is declared"),
        ("orders", "main.ORDERS", "orders is there, ORDERS is declared"),
        ("Sales.orders", "sales.orders", "Sales is there, sales is declared"),
    ],
)
def test_a_table_that_is_there_in_other_letter_case_is_named(
    warehouse: DuckDbFile, table: Table, made: str, declared: str, found: str
) -> None:
    published = table.publish(orders(1))
    table.load(published, warehouse.connection, table=made, slice=day(1))
    with pytest.raises(WarehouseRefused, match="other letter case") as caught:
        table.load(published, warehouse.connection, table=declared, slice=day(1))
    assert caught.value.found == found
    with pytest.raises(WarehouseRefused, match="other letter case"):
        ledger_row(warehouse.connection, table=declared, pipeline=PIPELINE, slice=day(1))
    assert table.load(published, warehouse.connection, table=made, slice=day(1)).already
    assert ledger_row(warehouse.connection, table=made, pipeline=PIPELINE, slice=day(1)) is not None


@pytest.mark.parametrize("schema_change", ["strict", "additive"])
def test_columns_that_are_there_in_other_letter_case_are_named(
    warehouse: DuckDbFile, tmp_path: Path, schema_change: str
) -> None:
    warehouse.run('CREATE TABLE orders (ID bigint, amount double, "Day" varchar)')
    table = delta_table(tmp_path / "t", mode="append", schema_change=schema_change)
    with pytest.raises(WarehouseRefused, match="other letter case") as caught:
        table.load(table.publish(orders(1)), warehouse.connection, slice=day(1))
    assert caught.value.found == "ID is there, the output has id; Day is there, the output has day"


def test_letters_that_duckdb_tells_apart_make_other_names(warehouse: DuckDbFile, table: Table) -> None:
    published = table.publish(orders(1))
    for name in ("Übersicht", "übersicht"):
        assert table.load(published, warehouse.connection, table=name, slice=day(1)).rows == 1
        assert warehouse.rows(f'SELECT id FROM "{name}"') == [(1,)]
