"""One load: what is to be loaded, and where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from batch_processing.results import LaterWrites, Published, Slice
from batch_processing.settings.models import TargetSpec
from batch_processing.warehouse.columns import Column
from batch_processing.warehouse.files import PublishedFiles
from batch_processing.warehouse.names import TableName


@dataclass(frozen=True)
class Job:
    """What is to be loaded, and where.

    Attributes:
        published: the table version.
        files: its data files.
        columns: its columns.
        target: how it was written (mode, keys, partition columns).
        table: the warehouse table.
        declared: the table's name as the declaration writes it.
        pipeline: with `table` and `slice`, the ledger's key.
        slice: the data interval.
        generation: how often the slice was reprocessed, from 1.
        later: what later publishes wrote, up to a version of the table.
        overridden: what of that is loaded already, and holds against this load's rows.
    """

    published: Published
    files: PublishedFiles
    columns: tuple[Column, ...]
    target: TargetSpec
    table: TableName
    declared: str
    pipeline: str
    slice: Slice
    generation: int
    later: Callable[[int], LaterWrites]
    overridden: LaterWrites = field(default_factory=LaterWrites)

    @property
    def loadable(self) -> PublishedFiles:
        """The files whose rows no later load replaced."""
        gone = self.overridden.replaced
        return replace(self.files, files=tuple(file for file in self.files.files if file.path not in gone))

    @property
    def rows(self) -> int:
        """Rows that the load brings: the published ones, but for those that a later load replaced."""
        return self.published.rows - sum(self.overridden.replaced.values())
