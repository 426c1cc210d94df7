"""What never fits PostgreSQL is refused with its column or cause, and not run again as a server that is away is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from batch_processing.errors import WarehouseRefused
from tests.integration.warehouse.warehouses import PostgresSchema
from tests.unit.warehouse.publishing import day, delta_table, orders

pytestmark = pytest.mark.postgres

_YEAR_10000 = 253402300800
_BEFORE_YEAR_1 = -62135596801


@pytest.fixture
def warehouse(postgres_schema: PostgresSchema) -> PostgresSchema:
    return postgres_schema


def _refused(warehouse: PostgresSchema, path: Path, rows: pa.Table) -> WarehouseRefused:
    table = delta_table(path, mode="append")
    with pytest.raises(WarehouseRefused) as caught:
        table.load(table.publish(rows), warehouse.connection, slice=day(1))
    return caught.value


@pytest.mark.parametrize("seconds", [_YEAR_10000, _BEFORE_YEAR_1])
@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.date32()], ids=str)
@pytest.mark.parametrize("column", [None, "text"], ids=["jsonb", "text"])
def test_a_nested_time_that_json_has_no_text_for_is_refused_with_its_column(
    warehouse: PostgresSchema, tmp_path: Path, seconds: int, kind: pa.DataType, column: str | None
) -> None:
    if column:
        warehouse.run(f"CREATE TABLE orders (times {column})")
    number = pa.array([seconds * 1_000_000], pa.int64())
    times = number.cast(pa.timestamp("us", kind.tz if pa.types.is_timestamp(kind) else None)).cast(kind)
    rows = pa.table({"times": pa.ListArray.from_arrays([0, 1], times)})
    error = _refused(warehouse, tmp_path / "t", rows)
    assert "column times" in str(error)
    assert "years 1 to 9999" in error.found


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.timestamp("us", "UTC")], ids=str)
def test_a_time_that_the_driver_cannot_write_is_refused_with_the_columns_it_may_be_in(
    warehouse: PostgresSchema, tmp_path: Path, kind: pa.DataType
) -> None:
    first = pa.array([-(2**63) + 1], pa.int64()).cast(kind)
    error = _refused(warehouse, tmp_path / "t", pa.table({"id": [1], "at": first}))
    assert "cannot be written" in str(error)
    assert "columns at" in error.found
    assert warehouse.types_or_none("orders") is None


def test_a_column_of_texts_is_no_column_of_text(warehouse: PostgresSchema, tmp_path: Path) -> None:
    warehouse.run("CREATE TABLE orders (id bigint, amount double precision, day varchar(10)[])")
    error = _refused(warehouse, tmp_path / "t", orders(1))
    assert "day is character varying(10)[], the output needs text" in error.found


def test_a_role_that_only_reads_is_told_so(warehouse: PostgresSchema, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    options = f"{warehouse.connection.extra['options']} -cdefault_transaction_read_only=on"
    reading = replace(warehouse.connection, extra={**warehouse.connection.extra, "options": options})
    with pytest.raises(WarehouseRefused, match="read-only") as caught:
        table.load(table.publish(orders(1)), reading, slice=day(1))
    assert not caught.value.retryable
