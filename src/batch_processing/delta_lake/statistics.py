"""Delta statistics: of a data file, read from its Parquet footer, and what of them goes into a table's log.

Wrong statistics lose rows silently, because readers skip files by them. So a column's bounds are left out wherever the
footer does not prove them: floats (a footer does not say whether there are NaN, which sort above all numbers), long
strings (writers truncate them), decimals, binaries, booleans, INT96, timestamps without zone, and nested columns.

The log has statistics of a file only where it has bounds of every column that readers expect them of: deltalake makes a
condition of each such column for its Arrow datasets (which DuckDB reads too), and one without a bound loses the file's
rows. So tables of ours name the columns that always have bounds, in `delta.dataSkippingStatsColumns`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from batch_processing.errors import StorageError

INDEXED_COLUMNS = 32
"""Statistics are kept for the first columns only, as Delta does (`delta.dataSkippingNumIndexedCols`)."""

_EXACT_STRING_BYTES = 64
"""Writers truncate bounds of strings at this length or above; shorter ones are exact."""

_WHOLE = frozenset(("long", "integer", "short", "byte"))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PER_MILLISECOND = {"milliseconds": 1, "microseconds": 1_000, "nanoseconds": 1_000_000}


_STATS_COLUMNS, _STATS_NUMBER = "delta.dataSkippingStatsColumns", "delta.dataSkippingNumIndexedCols"
_PLAIN_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


def is_exact(kind: Any) -> bool:
    """True for types whose bounds every writer keeps exactly: ours, and deltalake's when it compacts."""
    return isinstance(kind, str) and (kind in _WHOLE or kind == "date")


def statistics_properties(types: Mapping[str, Any], partition_by: Sequence[str]) -> dict[str, str]:
    """Table properties that limit statistics to columns whose bounds are always known.

    Args:
        types: column name -> Delta type, of the whole table.
        partition_by: partition columns, which have no statistics.
    """
    first = [name for name in types if name not in partition_by][:INDEXED_COLUMNS]
    exact = [name for name in first if is_exact(types[name]) and _PLAIN_NAME.match(name)]
    return {_STATS_COLUMNS: ",".join(exact)} if exact else {_STATS_NUMBER: "0"}


def says_statistics(configuration: Mapping[str, str]) -> bool:
    """True where a table says itself which of its columns have statistics."""
    return _STATS_COLUMNS in configuration or configuration.get(_STATS_NUMBER) == "0"


def logged_statistics(
    stats: Mapping[str, Any], *, configuration: Mapping[str, str], types: Mapping[str, Any], partition_by: Sequence[str]
) -> dict[str, Any]:
    """What of a file's statistics goes into the log of a table: those of the columns it keeps them of, or none.

    Args:
        stats: as `file_statistics` gives them.
        configuration: the table's properties.
        types: column name -> Delta type, of the whole table.
        partition_by: partition columns.
    """
    kept = _kept_columns(configuration, [name for name in types if name not in partition_by])
    lows, highs, nulls = (stats.get(part, {}) for part in ("minValues", "maxValues", "nullCount"))
    if not kept or not all((c in lows and c in highs) or nulls.get(c) == stats["numRecords"] for c in kept):
        return {"numRecords": stats["numRecords"]}
    parts = {"minValues": lows, "maxValues": highs, "nullCount": nulls}
    return {"numRecords": stats["numRecords"]} | {
        part: {c: values[c] for c in kept if c in values} for part, values in parts.items()
    }


def _kept_columns(configuration: Mapping[str, str], names: Sequence[str]) -> list[str]:
    listed = configuration.get(_STATS_COLUMNS)
    if listed is not None:
        return [name.strip() for name in listed.split(",") if name.strip()]
    number = int(configuration.get(_STATS_NUMBER, INDEXED_COLUMNS))
    return list(names if number < 0 else names[:number])


def file_statistics(path: Path, types: Mapping[str, Any]) -> dict[str, Any]:
    """Delta's statistics object of one Parquet file: numRecords, minValues, maxValues, nullCount.

    Args:
        path: the file.
        types: column name -> Delta type, of the whole table.

    Raises:
        StorageError: the file cannot be read as Parquet.
    """
    try:
        metadata = pq.read_metadata(path)
    except (OSError, ValueError) as error:
        raise StorageError(
            "a staged file cannot be read", where=str(path), found=type(error).__name__, fix="run the transform again"
        ) from error
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    stats: dict[str, Any] = {"numRecords": metadata.num_rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    indexed = set(list(types)[:INDEXED_COLUMNS])
    for index in range(metadata.num_columns):
        column = metadata.schema.column(index)
        if column.max_repetition_level or column.path != column.name or column.path not in indexed:
            continue
        chunks = [(group.num_rows, group.column(index)) for group in groups]
        _add_column(stats, column, types[column.path], chunks)
    return stats


def _add_column(stats: dict[str, Any], column: Any, kind: Any, chunks: list[tuple[int, Any]]) -> None:
    if not isinstance(kind, str):
        return
    found = [(rows, chunk.statistics) for rows, chunk in chunks]
    if any(s is None or not s.has_null_count for _, s in found):
        return
    stats["nullCount"][column.path] = sum(s.null_count for _, s in found)
    holding = [s for rows, s in found if s.null_count < rows]
    if not holding or not all(s.has_min_max for s in holding):
        return
    bounds = [_bounds(s, column, kind) for s in holding]
    if any(b is None for b in bounds):
        return
    lows, highs = zip(*(b for b in bounds if b is not None), strict=True)
    low, high = _texts(min(lows), max(highs), kind)
    if low is not None and high is not None:
        stats["minValues"][column.path], stats["maxValues"][column.path] = low, high


def _bounds(statistics: Any, column: Any, kind: str) -> tuple[Any, Any] | None:
    if kind in _WHOLE and statistics.physical_type in ("INT32", "INT64"):
        return int(statistics.min), int(statistics.max)
    if kind == "date" and statistics.physical_type == "INT32":
        return _days(statistics.min_raw), _days(statistics.max_raw)
    if kind == "string":
        return _string_bounds(statistics)
    if kind == "timestamp" and statistics.physical_type == "INT64":
        return _millisecond_bounds(statistics, column)
    return None


def _days(raw: Any) -> int:
    return int(raw)


def _string_bounds(statistics: Any) -> tuple[str, str] | None:
    low, high = statistics.min, statistics.max
    if not isinstance(low, str) or not isinstance(high, str):
        return None
    if max(len(low.encode()), len(high.encode())) >= _EXACT_STRING_BYTES:
        return None
    return low, high


def _millisecond_bounds(statistics: Any, column: Any) -> tuple[int, int] | None:
    """Rounded outwards: the log holds milliseconds, the file finer instants."""
    logical = _logical(column)
    per_millisecond = _PER_MILLISECOND.get(str(logical.get("timeUnit")))
    if per_millisecond is None or not logical.get("isAdjustedToUTC"):
        return None
    return int(statistics.min_raw) // per_millisecond, -(-int(statistics.max_raw) // per_millisecond)


def _logical(column: Any) -> dict[str, Any]:
    parsed = json.loads(column.logical_type.to_json())
    return parsed if isinstance(parsed, dict) else {}


def _texts(low: Any, high: Any, kind: str) -> tuple[Any, Any]:
    """Bounds as the log writes them; (None, None) outside the years 1 to 9999."""
    try:
        if kind == "date":
            return tuple((date(1970, 1, 1) + timedelta(days=d)).isoformat() for d in (low, high))  # type: ignore[return-value]
        if kind == "timestamp":
            return tuple(_instant(ms) for ms in (low, high))  # type: ignore[return-value]
    except OverflowError:
        return None, None
    return low, high


def _instant(milliseconds: int) -> str:
    return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
