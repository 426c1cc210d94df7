"""Delta's schema as warehouse columns, and nested values as JSON."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from batch_processing.errors import WarehouseRefused
from batch_processing.warehouse.columns import read_columns
from batch_processing.warehouse.nested_json import json_array


def _schema(**types: object) -> str:
    fields = [{"name": n, "type": t, "nullable": True, "metadata": {}} for n, t in types.items()]
    return json.dumps({"type": "struct", "fields": fields})


def test_columns_keep_their_order_and_types() -> None:
    array = {"type": "array", "elementType": "decimal(9,2)", "containsNull": True}
    columns = read_columns(
        _schema(id="long", price="decimal(38,10)", at="timestamp", local="timestamp_ntz", tags=array)
    )
    assert [(c.name, c.arrow, c.nested) for c in columns] == [
        ("id", pa.int64(), False),
        ("price", pa.decimal128(38, 10), False),
        ("at", pa.timestamp("us", "UTC"), False),
        ("local", pa.timestamp("us"), False),
        ("tags", pa.list_(pa.decimal128(9, 2)), True),
    ]


def test_types_without_a_warehouse_type_are_refused_by_name() -> None:
    with pytest.raises(WarehouseRefused, match="variant") as caught:
        read_columns(_schema(payload="variant"))
    assert "column payload" in caught.value.where


@pytest.mark.parametrize("name", ["_slice", "_generation"])
def test_the_warehouses_own_columns_are_reserved(name: str) -> None:
    with pytest.raises(WarehouseRefused, match=name):
        read_columns(_schema(**{name: "long"}))


def test_nested_values_become_json_that_loses_nothing() -> None:
    kind = pa.struct(
        [
            ("dec", pa.decimal128(38, 10)),
            ("floats", pa.list_(pa.float64())),
            ("at", pa.timestamp("us", "UTC")),
            ("local", pa.timestamp("us")),
            ("day", pa.date32()),
            ("raw", pa.binary()),
            ("flag", pa.bool_()),
            ("map", pa.map_(pa.int64(), pa.string())),
            ('odd "name"', pa.string()),
        ]
    )
    value = {
        "dec": Decimal("1E-10"),
        "floats": [0.1, math.nan, math.inf, -math.inf, None],
        "at": datetime(2026, 1, 1, 2, 3, 4, 5, UTC),
        "local": datetime(2026, 1, 1),  # noqa: DTZ001 - a column without zone
        "day": date(2026, 1, 1),
        "raw": b"\x00\xff",
        "flag": True,
        "map": [(1, 'quo"te'), (2, None)],
        'odd "name"': "漢",
    }
    texts = json_array(pa.array([value, None], kind)).to_pylist()
    assert texts[1] is None
    assert json.loads(texts[0], parse_float=Decimal) == {
        "dec": Decimal("0.0000000001"),
        "floats": [Decimal("0.1"), "NaN", "Infinity", "-Infinity", None],
        "at": "2026-01-01T02:03:04.000005Z",
        "local": "2026-01-01T00:00:00",
        "day": "2026-01-01",
        "raw": "AP8=",
        "flag": True,
        "map": {"1": 'quo"te', "2": None},
        'odd "name"': "漢",
    }
