"""Which tables this writer may write: those whose every feature in use it honours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deltalake import DeltaTable

from batch_processing.errors import TableError

_HONOURED = frozenset(("appendOnly", "invariants", "timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"))
_UNUSED_IS_FINE = frozenset(
    (
        "checkConstraints",
        "generatedColumns",
        "identityColumns",
        "allowColumnDefaults",
        "columnMapping",
        "changeDataFeed",
    )
)
"""Features whose use shows in the properties or the schema, where it is looked for."""

_REFUSED_PROPERTIES = (
    "delta.enableChangeDataFeed",
    "delta.enableDeletionVectors",
    "delta.enableIcebergCompatV1",
    "delta.enableIcebergCompatV2",
    "delta.enableInCommitTimestamps",
    "delta.enableRowTracking",
    "delta.enableTypeWidening",
)
_REFUSED_FIELD_KEYS = ("delta.generationExpression", "delta.invariants", "CURRENT_DEFAULT", "delta.columnMapping.id")


def check_writable(table: DeltaTable, *, partition_by: tuple[str, ...], where: str) -> None:
    """Refuses a table with a feature this writer does not honour, or partitioned otherwise than the output.

    Raises:
        TableError: with the features, or both partitionings, shown.
    """
    protocol, metadata = table.protocol(), table.metadata()
    problems = [f"table feature {f}" for f in sorted(set(protocol.writer_features or ()) - _HONOURED - _UNUSED_IS_FINE)]
    problems += _property_problems(metadata.configuration)
    problems += _field_problems(json.loads(table.schema().to_json()))
    if protocol.min_writer_version > 7 or protocol.min_reader_version > 3:
        problems.append(f"protocol {protocol.min_reader_version}/{protocol.min_writer_version}")
    if problems:
        raise TableError(
            "the table uses Delta features that this writer does not honour",
            where=where,
            found="; ".join(problems),
            fix="drop the feature from the table (ALTER TABLE ... DROP FEATURE), or publish to a new table",
        )
    found = tuple(metadata.partition_columns)
    if found != partition_by:
        raise TableError(
            "the table is partitioned otherwise than the output",
            where=where,
            found=f"table: {', '.join(found) or 'none'}; output: {', '.join(partition_by) or 'none'}",
            fix="give the table's partition columns in the same order, or publish to a new table",
        )


def is_append_only(table: DeltaTable) -> bool:
    """Whether the table forbids removing files."""
    return str(table.metadata().configuration.get("delta.appendOnly", "")).lower() == "true"


def _property_problems(properties: Mapping[str, Any]) -> list[str]:
    problems = [f"property {k}" for k in _REFUSED_PROPERTIES if str(properties.get(k, "")).lower() == "true"]
    problems += [
        f"constraint {k.removeprefix('delta.constraints.')}" for k in properties if k.startswith("delta.constraints.")
    ]
    mapping = str(properties.get("delta.columnMapping.mode", "none")).lower()
    return problems + ([f"column mapping by {mapping}"] if mapping != "none" else [])


def _field_problems(schema: Mapping[str, Any]) -> list[str]:
    return [
        f"column {f['name']} with {key}"
        for f in schema["fields"]
        for key in f.get("metadata", {})
        if key in _REFUSED_FIELD_KEYS or key.startswith("delta.identity.")
    ]
