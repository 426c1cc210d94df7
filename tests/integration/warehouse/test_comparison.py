"""The warehouse's rows against the published files: one row lost, doubled or changed is seen, by value."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_processing.digests import contents_of, file_digests
from batch_processing.errors import LedgerError
from batch_processing.results import Published
from batch_processing.warehouse.comparison import Compared
from batch_processing.warehouse.ledger import LedgerRow, compare_loaded, ledger_row
from tests.integration.warehouse.test_load import EXACT
from tests.integration.warehouse.warehouses import DuckDbFile, Warehouse
from tests.unit.warehouse.publishing import PIPELINE, Table, day, delta_table, orders


def with_digests(published: Published) -> Published:
    return replace(published, digests=tuple(file_digests(published.files).values()))


def compare(table: Table, published: Published, warehouse: Warehouse, *, number: int = 1) -> Compared:
    return compare_loaded(
        published,
        connection=warehouse.connection,
        table="orders",
        target=table.target,
        schema_json=table.schema_json,
        slice=day(number),
        generation=1,
    )


def entry(warehouse: Warehouse, *, number: int = 1) -> LedgerRow:
    found = ledger_row(warehouse.connection, table="orders", pipeline=PIPELINE, slice=day(number))
    assert found is not None
    return found


def test_values_of_every_type_agree_with_the_files(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    published = table.publish(EXACT)
    table.load(published, warehouse.connection, slice=day(1))
    assert compare(table, published, warehouse) == Compared(equal=3, missing=0, foreign=0)


def test_nested_values_are_compared_where_they_are_kept_as_they_are(warehouse: Warehouse, tmp_path: Path) -> None:
    kind = pa.struct([("price", pa.decimal128(20, 4)), ("tags", pa.list_(pa.string()))])
    item = {"price": Decimal("1.5000"), "tags": ["a", None]}
    rows = pa.table({"id": pa.array([1, 2], pa.int64()), "item": pa.array([item, None], kind)})
    table = delta_table(tmp_path / "t", mode="append")
    published = table.publish(rows)
    table.load(published, warehouse.connection, slice=day(1))
    left_out = ("item",) if warehouse.kind == "postgres" else ()
    assert compare(table, published, warehouse) == Compared(2, 0, 0, left_out)


@pytest.mark.parametrize(
    ("harm", "missing", "foreign"),
    [
        ("DELETE FROM orders WHERE id = 2", 1, 0),
        ("INSERT INTO orders SELECT * FROM orders WHERE id = 2", 0, 1),
        ("UPDATE orders SET amount = 1.0000000000000002 WHERE id = 2", 1, 1),
        ("UPDATE orders SET amount = NULL WHERE id = 2", 1, 1),
        ("UPDATE orders SET id = 3 WHERE id = 2", 1, 1),
    ],
)
def test_one_row_lost_doubled_or_changed_is_counted(
    warehouse: Warehouse, tmp_path: Path, harm: str, missing: int, foreign: int
) -> None:
    table = delta_table(tmp_path / "t", mode="replace_partitions", partition_by=("day",))
    published = table.publish(orders(1, 2, 3))
    table.load(published, warehouse.connection, slice=day(1))
    warehouse.run(harm)
    found = compare(table, published, warehouse)
    assert (found.equal, found.missing, found.foreign) == (3 - missing, missing, foreign)


def test_the_ledger_says_what_was_loaded_and_what_came_after(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="replace_partitions", partition_by=("day",))
    first = with_digests(table.publish(orders(1, 2)))
    loaded = table.load(first, warehouse.connection, slice=day(1))
    assert (loaded.contents, entry(warehouse).contents) == (contents_of(first), contents_of(first))
    assert entry(warehouse).later == 0
    assert table.load(first, warehouse.connection, slice=day(1)).contents == contents_of(first)
    second = with_digests(table.publish(orders(7)))
    table.load(second, warehouse.connection, slice=day(2))
    assert (entry(warehouse).later, entry(warehouse, number=2).later) == (1, 0)
    assert compare(table, first, warehouse).missing == 2


def test_a_ledger_row_of_an_earlier_release_goes_on_working(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    published = with_digests(table.publish(orders(1, 2)))
    table.load(replace(published, digests=()), warehouse.connection, slice=day(1))
    assert entry(warehouse).contents == ""
    again = table.load(published, warehouse.connection, slice=day(1))
    assert (again.already, again.contents) == (True, "")


def test_a_slice_loaded_from_other_files_is_an_error(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    published = with_digests(table.publish(orders(1, 2)))
    table.load(published, warehouse.connection, slice=day(1))
    other = replace(published, digests=("0" * 64,))
    with pytest.raises(LedgerError, match="load_warehouse: the slice was loaded from other files"):
        table.load(other, warehouse.connection, slice=day(1))


def test_values_changed_in_a_file_of_the_same_count_are_not_loaded(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    published = with_digests(table.publish(orders(1, 2)))
    (file,) = published.files
    pq.write_table(orders(1, 2, amount=2.0), file)
    with pytest.raises(LedgerError, match=r"load_warehouse: 1 of 1 published files .* 2 rows written, 2 in the files"):
        table.load(published, warehouse.connection, slice=day(1))
    assert ledger_row(warehouse.connection, table="orders", pipeline=PIPELINE, slice=day(1)) is None


READER = """
import sys, duckdb
with duckdb.connect(sys.argv[1], read_only=True):
    print("reading", flush=True)
    input()
"""


def test_a_duckdb_file_that_others_read_can_be_looked_at(tmp_path: Path) -> None:
    warehouse = DuckDbFile(tmp_path / "warehouse.duckdb")
    table = delta_table(tmp_path / "t", mode="append")
    published = table.publish(orders(1, 2))
    table.load(published, warehouse.connection, slice=day(1))
    impatient = replace(warehouse.connection, extra={"lock_timeout": 0})
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(warehouse.file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        found = ledger_row(impatient, table="orders", pipeline=PIPELINE, slice=day(1))
        assert found is not None
        assert found.counted == 2
        assert compare(table, published, warehouse) == Compared(equal=2, missing=0, foreign=0)
    finally:
        reader.communicate("\n")
