"""Staged outputs made without an engine, for tests of what comes after."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_processing.delta_lake.schema import column_types
from batch_processing.delta_lake.statistics import file_statistics
from batch_processing.results import Staged, StagedFile

_TYPES: dict[str, Any] = {"long": pa.int64(), "string": pa.string(), "double": pa.float64(), "integer": pa.int32()}


def schema_json(**columns: str) -> str:
    fields = [{"name": n, "type": t, "nullable": True, "metadata": {}} for n, t in columns.items()]
    return json.dumps({"type": "struct", "fields": fields})


def staged_rows(
    root: Path, rows: Sequence[dict[str, Any]], *, schema: str, partition_by: tuple[str, ...] = (), folder: str = ""
) -> Staged:
    """Writes rows as `stage` would: one file per combination of partition values."""
    place = folder or f"data/{uuid.uuid4().hex}"
    types = column_types(schema)
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[c] for c in partition_by), []).append(row)
    files = []
    for number, (values, members) in enumerate(groups.items()):
        folders = [
            f"{c}={'__HIVE_DEFAULT_PARTITION__' if v is None else v}" for c, v in zip(partition_by, values, strict=True)
        ]
        path = root.joinpath(place, *folders, f"part-{number}.parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = {n: pa.array([m[n] for m in members], _TYPES[t]) for n, t in types.items() if n not in partition_by}
        pq.write_table(pa.table(columns), path)
        files.append(
            StagedFile(
                path=path.relative_to(root).as_posix(),
                size=path.stat().st_size,
                rows=len(members),
                partition_values={c: None if v is None else str(v) for c, v in zip(partition_by, values, strict=True)},
                stats=file_statistics(path, types),
                mtime_ms=int(path.stat().st_mtime * 1000),
            )
        )
    return Staged(str(root), schema, partition_by, tuple(files), sum(f.rows for f in files))
