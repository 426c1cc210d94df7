"""Declarations that the tests of the settings start from."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from batch_processing.errors import DeclarationError, Problem
from batch_processing.settings.loading import LoadedPipeline, load_pipeline

SMALLEST: dict[str, Any] = {
    "pipeline": "orders",
    "sources": {"orders": {"files": {"path": "in/*.csv"}, "schema": {"id": "bigint", "day": "date"}}},
    "transform": "jobs.orders:transform",
    "target": {"table": "out/orders", "partition_by": ["day"]},
}

BEFORE_LIMITS = """\
pipeline: orders
sources:
  orders: {files: {path: "in/*.csv"}, schema: {id: bigint, day: date}}
transform: jobs.orders:transform
target: {table: out/orders, partition_by: [day]}
validate:
  orders:
    suite: orders
    limits:
"""
"""A declaration as text, to be gone on with by the limits of `validate.orders`."""


def declaration(**changes: Any) -> dict[str, Any]:
    """The smallest declaration with top-level keys set, or left out where they are `...`."""
    data = deepcopy(SMALLEST) | changes
    return {key: value for key, value in data.items() if value is not ...}


def write_suite(root: Path, name: str, content: Any = None) -> Path:
    """A suite file of a project."""
    file = root / "gx" / "expectations" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"name": name, "expectations": []} if content is None else content))
    return file


def load_text(folder: Path, text: str | bytes) -> LoadedPipeline:
    """Loads a text as a pipeline file."""
    file = folder / "orders.yml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_pipeline(file, environ={})


def problems_in(folder: Path, text: str | bytes) -> tuple[Problem, ...]:
    """The problems that loading a text reports; none where it loads."""
    try:
        load_text(folder, text)
    except DeclarationError as error:
        return error.problems
    return ()
