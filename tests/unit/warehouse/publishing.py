"""Publishes tables with deltalake alone, independently of the project's own writer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from batch_processing.delta_lake.later import later_writes
from batch_processing.results import Loaded, Published, Slice
from batch_processing.settings.models import TargetSpec
from batch_processing.settings.values import Connection
from batch_processing.warehouse.load import load

PIPELINE = "shop"


def day(number: int) -> Slice:
    start = datetime(2026, 11, number, 2, tzinfo=UTC)
    return Slice(start, start + timedelta(days=1))


@dataclass
class Table:
    """A Delta table, published to and loaded from in one call each."""

    path: Path
    target: TargetSpec

    def publish(self, rows: pa.Table, *, run_id: str = "run-1", mode: str = "append") -> Published:
        before = set(self._files()) if DeltaTable.is_deltatable(str(self.path)) else set()
        merge = "merge" if self.target.schema_change == "additive" else None
        write_deltalake(
            str(self.path), rows, mode=mode, partition_by=list(self.target.partition_by) or None, schema_mode=merge
        )
        files = self._files()
        new = tuple(file for file in files if file not in before)
        facts = {"pipeline": PIPELINE}
        return Published(str(self.path), self.version, rows.num_rows, new, run_id=run_id, metadata=facts)

    def _files(self) -> list[str]:
        actions = pa.table(DeltaTable(str(self.path)).get_add_actions())
        return [str(self.path / unquote(path)) for path in actions["path"].to_pylist()]

    @property
    def version(self) -> int:
        return DeltaTable(str(self.path)).version()

    @property
    def schema_json(self) -> str:
        return DeltaTable(str(self.path)).schema().to_json()

    def load(
        self, published: Published, connection: Connection, *, table: str = "orders", slice: Slice, generation: int = 1
    ) -> Loaded:
        return load(
            published,
            connection=connection,
            table=table,
            target=self.target,
            schema_json=self.schema_json,
            pipeline=PIPELINE,
            slice=slice,
            generation=generation,
            later=lambda version: later_writes(published, until=version),
        )


def delta_table(path: Path, **target: Any) -> Table:
    return Table(path, TargetSpec(table=str(path), **target))


def orders(*ids: int, day_of: str = "2026-11-01", amount: float = 1.0) -> pa.Table:
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "amount": pa.array([amount] * len(ids), pa.float64()),
            "day": pa.array([day_of] * len(ids), pa.string()),
        }
    )
