"""Parquet input: columns by name, casts that lose nothing."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_processing.errors import SourceSchemaError, SourceUnreadable
from batch_processing.results import Landed

from .landed import extract, land, rejected, rejects, source, values


def write(folder: Path, columns: dict[str, str], table: pa.Table, **options: Any) -> Landed:
    path = folder / "in.parquet"
    pq.write_table(table, path)
    return extract(path, source(columns, format="parquet", **options))


def test_columns_match_by_name_and_widen(tmp_path: Path) -> None:
    table = pa.table({"b": ["x", None], "a": pa.array([1, 2], pa.int16())})
    assert values(write(tmp_path, {"a": "bigint", "b": "string"}, table)) == [(1, 1, "x"), (2, 2, None)]


@pytest.mark.parametrize(
    ("array", "declared"),
    [
        (pa.array([1, 2**40]), "int"),
        (pa.array([1, 2**63], pa.uint64()), "bigint"),
        (pa.array([1.0, 1.5]), "bigint"),
        (pa.array([1.0, float("nan")]), "int"),
        (pa.array([Decimal("1.00"), Decimal("1.25")]), "decimal(3,1)"),
        (pa.array(["2026-11-01", "no"]), "date"),
        (pa.array([b"ok", b"\xff"]), "string"),
        (pa.array([0, 1], pa.timestamp("ns", tz="UTC")), "timestamp"),
        (pa.array([None, [1]]), "string"),
        (pa.array([None, True]), "bigint"),
    ],
)
def test_a_value_that_would_change_is_a_reject(tmp_path: Path, array: pa.Array, declared: str) -> None:
    landed = write(tmp_path, {"v": declared}, pa.table({"v": array}))
    assert [v[0] for v in values(landed)] == [1]
    assert [r[:2] for r in rejected(landed)] == [(2, "v")]
    assert rejects(landed)[0]["error"] == f"v: not a valid {declared}"


def test_the_largest_integers_fit(tmp_path: Path) -> None:
    landed = write(tmp_path, {"v": "bigint"}, pa.table({"v": pa.array([2**63 - 1, None], pa.uint64())}))
    assert values(landed) == [(1, 2**63 - 1), (2, None)]


def test_nan_in_a_typed_double_is_a_double(tmp_path: Path) -> None:
    assert write(tmp_path, {"v": "double"}, pa.table({"v": [float("nan"), 1.0]})).landed == 2


def test_other_columns_and_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceSchemaError, match="missing: v"):
        write(tmp_path, {"v": "double"}, pa.table({"w": [1.0]}))
    with pytest.raises(SourceUnreadable):
        land(tmp_path, b"a,b\n1,2\n", {"a": "int"}, name="x.parquet", format="parquet")
    with pytest.raises(SourceUnreadable):
        land(tmp_path, b"", {"a": "int"}, name="y.parquet", format="parquet")
