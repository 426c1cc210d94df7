"""What a load promises, on DuckDB and on PostgreSQL; plain SQL reads the result."""

# ruff: noqa: DTZ001 - columns without a zone are what is tested
from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from batch_processing.errors import LedgerError, SettingError, StorageError, TableError, WarehouseRefused
from batch_processing.results import Published
from tests.integration.warehouse.warehouses import Warehouse
from tests.unit.warehouse.publishing import Table, day, delta_table, orders


def ids(warehouse: Warehouse, table: str = "orders") -> list[int]:
    return [row[0] for row in warehouse.rows(f'SELECT id FROM "{table}" ORDER BY id')]


def ledger(warehouse: Warehouse) -> list[tuple[object, ...]]:
    return warehouse.rows(
        'SELECT pipeline, "table", generation, table_version, rows, run_id FROM _batch_loads ORDER BY slice'
    )


EXACT = pa.table(
    {
        "wide": pa.array(
            [Decimal("-1234567890123456789012345678.0123456789"), None, Decimal(0)], pa.decimal128(38, 10)
        ),
        "price": pa.array([Decimal("0.10"), Decimal("99999999.99"), None], pa.decimal128(10, 2)),
        "instant": pa.array(
            [datetime(2026, 3, 29, 1, 59, 59, 999999, UTC), datetime(1969, 12, 31, 23, 0, 0, 1, UTC), None],
            pa.timestamp("us", "UTC"),
        ),
        "local": pa.array([datetime(2026, 3, 29, 2, 30, 0, 5), datetime(1900, 1, 1), None], pa.timestamp("us")),
        "date": pa.array([date(2026, 2, 28), date(1582, 10, 15), None], pa.date32()),
        "big": pa.array([2**63 - 1, -(2**63), None], pa.int64()),
        "int": pa.array([2**31 - 1, -(2**31), None], pa.int32()),
        "small": pa.array([32767, -32768, None], pa.int16()),
        "tiny": pa.array([127, -128, None], pa.int8()),
        "double": pa.array([0.1 + 0.2, -math.inf, None], pa.float64()),
        "nan": pa.array([math.nan, math.inf, None], pa.float64()),
        "float": pa.array([1.5, -0.25, None], pa.float32()),
        "flag": pa.array([True, False, None], pa.bool_()),
        "text": pa.array(["ünïcødé 漢字 🙂", "", None], pa.string()),
        "quotes": pa.array(['a,"b"\n\t\\N', "'; DROP TABLE x; --", None], pa.string()),
        "bytes": pa.array([b"\x00\xff", b"", None], pa.binary()),
    }
)


def test_every_value_arrives_exactly(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    published = table.publish(EXACT)

    loaded = table.load(published, warehouse.connection, slice=day(1))

    names = ", ".join(f'"{name}"' for name in EXACT.column_names)
    found = warehouse.rows(f'SELECT {names} FROM orders ORDER BY "big" DESC NULLS LAST')
    assert loaded.rows == 3
    assert not loaded.already
    expected = [tuple(row.values()) for row in EXACT.to_pylist()]
    assert [tuple(map(repr, row)) for row in _comparable(found)] == [
        tuple(map(repr, row)) for row in _comparable(expected)
    ]


def _comparable(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return [
        tuple(v.astimezone(UTC).isoformat() if isinstance(v, datetime) and v.tzinfo else v for v in row) for row in rows
    ]


def test_types_are_mapped_as_documented(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    table.load(table.publish(EXACT), warehouse.connection, slice=day(1))
    types = warehouse.types("orders")
    expected = {
        "duckdb": {
            "wide": "DECIMAL(38,10)",
            "instant": "TIMESTAMP WITH TIME ZONE",
            "local": "TIMESTAMP",
            "tiny": "TINYINT",
        },
        "postgres": {
            "wide": "numeric(38,10)",
            "instant": "timestamp with time zone",
            "local": "timestamp without time zone",
            "tiny": "smallint",
        },
    }[warehouse.kind]
    assert {name: types[name] for name in expected} == expected
    assert {"_slice", "_generation"} <= set(types)


def test_nested_values_keep_their_digits(warehouse: Warehouse, tmp_path: Path) -> None:
    kind = pa.struct([("price", pa.decimal128(20, 4)), ("tags", pa.list_(pa.string())), ("ratio", pa.float64())])
    rows = pa.table(
        {
            "id": pa.array([1, 2], pa.int64()),
            "item": pa.array(
                [{"price": Decimal("1234567890123456.7890"), "tags": ["a", None, 'q"'], "ratio": math.nan}, None], kind
            ),
            "stock": pa.array([[("x", 1)], []], pa.map_(pa.string(), pa.int64())),
        }
    )
    table = delta_table(tmp_path / "t", mode="append")
    table.load(table.publish(rows), warehouse.connection, slice=day(1))
    if warehouse.kind == "duckdb":
        found = warehouse.rows("SELECT item, stock FROM orders ORDER BY id")
        assert repr(found) == repr([tuple(row.values()) for row in rows.select(["item", "stock"]).to_pylist()])
    else:
        found = warehouse.rows("SELECT item::text, stock::text FROM orders ORDER BY id")
        item = json.loads(str(found[0][0]), parse_float=Decimal)
        assert item == {"price": Decimal("1234567890123456.7890"), "tags": ["a", None, 'q"'], "ratio": "NaN"}
        assert [row[1] for row in found] == ['{"x": 1}', "{}"]
        assert found[1][0] is None


def test_a_rerun_changes_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    published = table.publish(orders(1, 2, 3))
    table.load(published, warehouse.connection, slice=day(1))
    before = warehouse.rows("SELECT * FROM _batch_loads")

    again = table.load(published, warehouse.connection, slice=day(1))

    assert again.already
    assert again.rows == 3
    assert ids(warehouse) == [1, 2, 3]
    assert warehouse.rows("SELECT * FROM _batch_loads") == before
    assert ledger(warehouse) == [("shop", "orders", 1, 0, 3, "run-1")]


@pytest.mark.parametrize("mode", ["append", "replace_partitions", "overwrite", "merge"])
def test_an_older_generation_never_undoes_a_newer(warehouse: Warehouse, tmp_path: Path, mode: str) -> None:
    extra = {"partition_by": ("day",)} if mode == "replace_partitions" else {"keys": ("id",)} if mode == "merge" else {}
    table = delta_table(tmp_path / "t", mode=mode, **extra)
    first = table.publish(orders(1, 2))
    second = table.publish(orders(1, 2, amount=9.0))
    table.load(second, warehouse.connection, slice=day(1), generation=2)
    assert table.load(first, warehouse.connection, slice=day(1), generation=1).already
    assert warehouse.rows("SELECT DISTINCT amount FROM orders") == [(9.0,)]


def test_append_replaces_the_slice_on_reprocess_and_keeps_the_others(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    table.load(table.publish(orders(1, 2)), warehouse.connection, slice=day(1))
    table.load(table.publish(orders(3)), warehouse.connection, slice=day(2))
    table.load(table.publish(orders(1, 9)), warehouse.connection, slice=day(1), generation=2)
    assert ids(warehouse) == [1, 3, 9]
    assert [row[2] for row in ledger(warehouse)] == [2, 1]


def test_replace_partitions_replaces_exactly_those(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="replace_partitions", partition_by=("day",))
    odd = ["a b/c", "é%20=x", "O'Hara", "keep"]
    first = pa.concat_tables([orders(i, day_of=text) for i, text in enumerate(odd)])
    first = pa.concat_tables([first, orders(10).set_column(2, "day", pa.array([None], pa.string()))])
    table.load(table.publish(first), warehouse.connection, slice=day(1))
    second = pa.concat_tables([orders(20 + i, day_of=text) for i, text in enumerate(odd[:3])])
    second = pa.concat_tables([second, orders(30).set_column(2, "day", pa.array([None], pa.string()))])
    table.load(table.publish(second), warehouse.connection, slice=day(2))
    assert warehouse.rows("SELECT id, day FROM orders ORDER BY id") == [
        (3, "keep"),
        *((20 + i, text) for i, text in enumerate(odd[:3])),
        (30, None),
    ]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([date(2026, 1, 1), date(2026, 1, 2)]),
        pa.array([datetime(2026, 1, 1, 5, 6, 7, 8, UTC), datetime(2026, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        pa.array([datetime(2026, 1, 1, 5, 6, 7, 8), datetime(2026, 1, 1)], pa.timestamp("us")),
        pa.array([Decimal("1.50"), Decimal("-2.00")], pa.decimal128(10, 2)),
        pa.array([True, False]),
        pa.array([7, -8], pa.int32()),
    ],
    ids=lambda array: str(array.type),
)
def test_partition_columns_of_every_type_arrive_and_are_replaced(
    warehouse: Warehouse, tmp_path: Path, values: pa.Array
) -> None:
    table = delta_table(tmp_path / "t", mode="replace_partitions", partition_by=("p",))
    table.load(table.publish(pa.table({"id": [1, 2], "p": values})), warehouse.connection, slice=day(1))
    table.load(table.publish(pa.table({"id": [3], "p": values.slice(0, 1)})), warehouse.connection, slice=day(2))
    found = warehouse.rows("SELECT id, p FROM orders ORDER BY id")
    assert _comparable(found) == _comparable([(2, values[1].as_py()), (3, values[0].as_py())])


def test_overwrite_holds_the_last_version(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="overwrite")
    older = table.publish(orders(1, 2), mode="overwrite")
    newer = table.publish(orders(3), mode="overwrite")
    table.load(newer, warehouse.connection, slice=day(1))
    late = table.load(older, warehouse.connection, slice=day(2))
    assert late.already
    assert ids(warehouse) == [3]


def test_overwrite_with_an_older_slice_published_later_takes_it(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="overwrite")
    table.load(table.publish(orders(1, 2), mode="overwrite"), warehouse.connection, slice=day(2))
    table.load(table.publish(orders(3), mode="overwrite"), warehouse.connection, slice=day(1))
    assert ids(warehouse) == [3]


def test_merge_replaces_by_key_and_honours_the_sequence(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="merge", keys=("id",), sequence_by="amount")
    table.load(table.publish(orders(1, 2, 3, amount=5.0)), warehouse.connection, slice=day(1))
    older = table.load(table.publish(orders(2, 4, amount=4.0)), warehouse.connection, slice=day(2))
    newer = table.load(table.publish(orders(3, amount=6.0)), warehouse.connection, slice=day(3))
    assert (older.rows, newer.rows) == (2, 1)
    assert warehouse.rows("SELECT id, amount FROM orders ORDER BY id") == [(1, 5.0), (2, 5.0), (3, 6.0), (4, 4.0)]


def test_merge_takes_null_as_the_earliest_sequence(warehouse: Warehouse, tmp_path: Path) -> None:
    def row(amount: float | None, text: str) -> pa.Table:
        return pa.table({"id": [1], "amount": pa.array([amount], pa.float64()), "day": [text]})

    table = delta_table(tmp_path / "t", mode="merge", keys=("id",), sequence_by="amount")
    for number, (amount, text) in enumerate([(None, "a"), (None, "b"), (1.0, "c"), (None, "d")], 1):
        table.load(table.publish(row(amount, text)), warehouse.connection, slice=day(number))
    assert warehouse.rows("SELECT day FROM orders") == [("c",)]


@pytest.mark.parametrize("mode", ["append", "merge"])
@pytest.mark.parametrize("off_by", [-1, 1])
def test_lost_or_doubled_rows_are_refused_and_nothing_is_kept(
    warehouse: Warehouse, tmp_path: Path, mode: str, off_by: int
) -> None:
    table = delta_table(tmp_path / "t", mode=mode, keys=("id",) if mode == "merge" else ())
    table.load(table.publish(orders(1)), warehouse.connection, slice=day(1))
    published = table.publish(orders(2, 3))
    with pytest.raises(LedgerError, match="published"):
        table.load(replace(published, rows=2 + off_by), warehouse.connection, slice=day(2))
    assert ids(warehouse) == [1]
    assert len(ledger(warehouse)) == 1


def test_an_empty_slice_removes_what_it_held(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    table.load(table.publish(orders(1, 2)), warehouse.connection, slice=day(1))
    nothing = Published(str(table.path), table.version, 0, (), metadata={"pipeline": "shop"})
    assert table.load(nothing, warehouse.connection, slice=day(1), generation=2).rows == 0
    assert ids(warehouse) == []


def test_a_publish_whose_files_are_forgotten_deletes_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    table.load(table.publish(orders(1, 2)), warehouse.connection, slice=day(1))
    forgotten = Published(str(table.path), table.version, 0, (), already=True)
    with pytest.raises(TableError, match="no longer says"):
        table.load(forgotten, warehouse.connection, slice=day(1), generation=2)
    assert ids(warehouse) == [1, 2]


def test_a_missing_file_changes_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    table.load(table.publish(orders(1)), warehouse.connection, slice=day(1))
    published = table.publish(orders(2))
    Path(published.files[0]).unlink()
    with pytest.raises(StorageError, match="cannot be read"):
        table.load(published, warehouse.connection, slice=day(2))
    assert ids(warehouse) == [1]


def test_a_file_that_was_swapped_for_another_is_noticed(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    table.load(table.publish(orders(1)), warehouse.connection, slice=day(1))
    published = table.publish(orders(2, 3))
    shutil.copy(table.publish(orders(4, 5, 6)).files[0], published.files[0])
    with pytest.raises(LedgerError, match="another number of rows"):
        table.load(published, warehouse.connection, slice=day(2))
    assert ids(warehouse) == [1]


def test_a_table_made_anew_is_loaded_again(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    table.load(table.publish(orders(1)), warehouse.connection, slice=day(1))
    shutil.rmtree(table.path)
    assert not table.load(table.publish(orders(7)), warehouse.connection, slice=day(1)).already
    assert ids(warehouse) == [7]


def test_a_dropped_warehouse_table_is_loaded_again(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    published = table.publish(orders(1))
    table.load(published, warehouse.connection, slice=day(1))
    warehouse.run("DROP TABLE orders")
    assert not table.load(published, warehouse.connection, slice=day(1)).already
    assert ids(warehouse) == [1]


def test_several_files_and_batches_arrive_once_each(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    parts = [_many(table, start) for start in (0, 100_000, 200_000)]
    files = tuple(file for part in parts for file in part.files)
    whole = Published(str(table.path), table.version, 300_000, files, metadata={"pipeline": "shop"})
    table.load(whole, warehouse.connection, slice=day(1))
    assert warehouse.rows("SELECT count(*), count(DISTINCT id), min(id), max(id) FROM orders") == [
        (300_000, 300_000, 0, 299_999)
    ]


def _many(table: Table, start: int) -> Published:
    return table.publish(pa.table({"id": pa.array(range(start, start + 100_000), pa.int64())}))


def test_a_table_that_was_dropped_gets_every_slice_again(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    published = [table.publish(orders(number)) for number in (1, 2)]
    for number, one in enumerate(published, 1):
        table.load(one, warehouse.connection, slice=day(number))
    warehouse.run("DROP TABLE orders")
    for number, one in enumerate(published, 1):
        assert not table.load(one, warehouse.connection, slice=day(number)).already
    assert ids(warehouse) == [1, 2]


@pytest.mark.parametrize("mode", ["append", "replace_partitions"])
def test_the_rows_of_another_pipeline_are_not_replaced(warehouse: Warehouse, tmp_path: Path, mode: str) -> None:
    table = delta_table(tmp_path / "t", mode=mode, partition_by=("day",) if mode == "replace_partitions" else ())
    table.load(table.publish(orders(1)), warehouse.connection, slice=day(1))
    warehouse.run("UPDATE _batch_loads SET pipeline = 'another'")
    with pytest.raises(WarehouseRefused, match="another pipeline"):
        table.load(table.publish(orders(2, day_of="2026-11-02")), warehouse.connection, slice=day(1))
    table.load(table.publish(orders(3, day_of="2026-11-03")), warehouse.connection, slice=day(2))
    assert ids(warehouse) == [1, 3]


def test_a_row_that_a_constraint_forbids_is_refused_and_no_retry(warehouse: Warehouse, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    warehouse.run(
        'CREATE TABLE orders (id bigint CHECK (id < 5), day date, amount double precision, "_slice" timestamptz, '
        '"_generation" integer)'
    )
    with pytest.raises(WarehouseRefused):
        table.load(table.publish(orders(1, 9)), warehouse.connection, slice=day(1))
    assert ids(warehouse) == []


@pytest.mark.parametrize("given", ["abc", -1, float("nan"), None])
def test_a_lock_timeout_that_is_no_number_is_told(warehouse: Warehouse, tmp_path: Path, given: object) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    connection = replace(warehouse.connection, extra={**warehouse.connection.extra, "lock_timeout": given})
    with pytest.raises(SettingError, match="lock_timeout"):
        table.load(table.publish(orders(1)), connection, slice=day(1))
