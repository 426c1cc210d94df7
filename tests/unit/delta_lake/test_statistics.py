"""Statistics say only what the footer proves: a wrong bound loses rows silently."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from batch_processing.delta_lake.statistics import INDEXED_COLUMNS, file_statistics
from batch_processing.errors import StorageError


def stats_of(path: Path, kind: Any, array: pa.Array, **options: Any) -> dict[str, Any]:
    pq.write_table(pa.table({"c": array}), path / "f.parquet", **options)
    return file_statistics(path / "f.parquet", {"c": kind})


def test_whole_numbers_have_bounds_and_null_counts(tmp_path: Path) -> None:
    stats = stats_of(tmp_path, "long", pa.array([3, None, -7]))
    assert stats == {"numRecords": 3, "minValues": {"c": -7}, "maxValues": {"c": 3}, "nullCount": {"c": 1}}


def test_bounds_span_all_row_groups(tmp_path: Path) -> None:
    stats = stats_of(tmp_path, "integer", pa.array([5, 1, None, None, 9, 2], pa.int32()), row_group_size=2)
    assert (stats["minValues"], stats["maxValues"], stats["nullCount"]) == ({"c": 1}, {"c": 9}, {"c": 2})


@pytest.mark.parametrize(
    ("kind", "array"),
    [
        ("double", pa.array([1.0, float("nan")])),
        ("double", pa.array([1.0, 2.0])),
        ("float", pa.array([1.0], pa.float32())),
        ("decimal(9,2)", pa.array([Decimal("1.10")])),
        ("binary", pa.array([b"a"])),
        ("boolean", pa.array([True])),
        ("timestamp_ntz", pa.array([datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)], pa.timestamp("us"))),
        ("string", pa.array(["x" * 64])),
        ("string", pa.array(["a", "é" * 32])),
        ("long", pa.array([None, None], pa.int64())),
    ],
)
def test_what_a_footer_cannot_prove_has_no_bounds(tmp_path: Path, kind: str, array: pa.Array) -> None:
    stats = stats_of(tmp_path, kind, array)
    assert stats["minValues"] == {}
    assert stats["maxValues"] == {}
    assert stats["nullCount"] == {"c": array.null_count}


def test_short_strings_are_exact(tmp_path: Path) -> None:
    stats = stats_of(tmp_path, "string", pa.array(["b", "", "ü"]))
    assert (stats["minValues"], stats["maxValues"]) == ({"c": ""}, {"c": "ü"})


def test_int96_has_no_bounds(tmp_path: Path) -> None:
    array = pa.array([datetime(2026, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    stats = stats_of(tmp_path, "timestamp", array, use_deprecated_int96_timestamps=True)
    assert stats["minValues"] == {}


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_instants_are_rounded_outwards_to_milliseconds(tmp_path: Path, unit: str) -> None:
    values = [
        datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
        datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC),
    ]
    if unit != "ms":
        values = [values[0].replace(microsecond=999_500), values[1].replace(microsecond=678_001)]
    stats = stats_of(tmp_path, "timestamp", pa.array(values, pa.timestamp(unit, "UTC")))
    assert stats["minValues"] == {"c": "1969-12-31T23:59:59.999Z"}
    assert stats["maxValues"] == {"c": "2026-01-02T03:04:05.678Z" if unit == "ms" else "2026-01-02T03:04:05.679Z"}


def test_dates_outside_the_calendar_of_the_log_have_no_bounds(tmp_path: Path) -> None:
    inside = stats_of(tmp_path, "date", pa.array([date(1, 1, 1), date(9999, 12, 31)]))
    assert (inside["minValues"], inside["maxValues"]) == ({"c": "0001-01-01"}, {"c": "9999-12-31"})
    outside = stats_of(tmp_path, "date", pa.array([-800_000, 4_000_000], pa.int32()).cast(pa.date32()))
    assert outside["minValues"] == {}


def test_nested_columns_are_left_out(tmp_path: Path) -> None:
    nested = pa.array([{"a": 1}, {"a": 2}])
    assert stats_of(tmp_path, {"type": "struct", "fields": []}, nested)["nullCount"] == {}
    assert stats_of(tmp_path, {"type": "array"}, pa.array([[1], [2]]))["nullCount"] == {}


def test_a_column_whose_name_has_a_dot_is_not_taken_for_a_nested_one(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a.b": [1, 2], "a": [{"b": 7}, {"b": 9}]}), tmp_path / "f.parquet")
    stats = file_statistics(tmp_path / "f.parquet", {"a.b": "long", "a": {"type": "struct", "fields": []}})
    assert stats["minValues"] in ({"a.b": 1}, {})


def test_only_the_first_columns_are_indexed(tmp_path: Path) -> None:
    columns = {f"c{i}": [i] for i in range(INDEXED_COLUMNS + 5)}
    pq.write_table(pa.table(columns), tmp_path / "f.parquet")
    stats = file_statistics(tmp_path / "f.parquet", dict.fromkeys(columns, "long"))
    assert len(stats["minValues"]) == INDEXED_COLUMNS


def test_a_file_that_is_not_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "f.parquet").write_bytes(b"no")
    with pytest.raises(StorageError, match=r"f\.parquet"):
        file_statistics(tmp_path / "f.parquet", {"c": "long"})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"gone\.parquet"):
        file_statistics(tmp_path / "gone.parquet", {"c": "long"})


@settings(max_examples=60, deadline=None)
@given(
    some.lists(some.one_of(some.none(), some.text(max_size=40)), min_size=1, max_size=20),
    some.integers(min_value=1, max_value=7),
)
def test_no_text_is_ever_outside_its_bounds(
    tmp_path_factory: pytest.TempPathFactory, values: list[str | None], group: int
) -> None:
    folder = tmp_path_factory.mktemp("texts")
    stats = stats_of(folder, "string", pa.array(values, pa.string()), row_group_size=group)
    json.dumps(stats)
    if "c" in stats["minValues"]:
        assert all(stats["minValues"]["c"] <= v <= stats["maxValues"]["c"] for v in values if v is not None)


@settings(max_examples=60, deadline=None)
@given(some.lists(some.datetimes(timezones=some.just(UTC)), min_size=1, max_size=20))
def test_no_instant_is_ever_outside_its_bounds(
    tmp_path_factory: pytest.TempPathFactory, values: list[datetime]
) -> None:
    stats = stats_of(tmp_path_factory.mktemp("instants"), "timestamp", pa.array(values, pa.timestamp("us", "UTC")))
    low = datetime.fromisoformat(stats["minValues"]["c"])
    high = datetime.fromisoformat(stats["maxValues"]["c"])
    assert all(low <= v <= high for v in values)
