"""What a test reads back from a landing, with plain pyarrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from batch_processing.results import Landed
from batch_processing.settings.models import SourceSpec
from batch_processing.sources.files import extract_files, file_facts


def source(columns: dict[str, str], *, max_rejected: float = 1.0, **files: Any) -> SourceSpec:
    return SourceSpec.model_validate(
        {"files": {"path": "x", "ready": "exists", **files}, "schema": columns, "max_rejected": max_rejected}
    )


def extract(path: Path, spec: SourceSpec) -> Landed:
    return extract_files(file_facts([str(path)]), source="s", spec=spec, folder=path.parent / "landed")


def land(folder: Path, content: bytes, columns: dict[str, str], *, name: str = "in.csv", **options: Any) -> Landed:
    path = folder / name
    path.write_bytes(content)
    return extract(path, source(columns, **options))


def rows(landed: Landed) -> list[dict[str, Any]]:
    return [row for file in landed.files for row in pq.read_table(file).to_pylist()]


def values(landed: Landed) -> list[tuple[Any, ...]]:
    """Each landed row: its number, then its declared columns."""
    return [(r["_source_row"], *(v for k, v in r.items() if not k.startswith("_source_"))) for r in rows(landed)]


def rejects(landed: Landed) -> list[dict[str, Any]]:
    return [row for file in landed.reject_files for row in pq.read_table(file).to_pylist()]


def rejected(landed: Landed) -> list[tuple[int, str | None, str]]:
    """Each reject: its number, its column, its raw text."""
    return [(r["_source_row"], r["column"], r["raw"]) for r in rejects(landed)]
