"""The generations of slices that were deliberately reprocessed."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import case

from batch_processing.control import schema, statements
from batch_processing.control.database import Database
from batch_processing.results import Slice

_TABLE = schema.generations


class Generations:
    """One number for each pipeline and slice; it only rises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self, pipeline: str, slice: Slice) -> int:
        asked = {"pipeline": pipeline, "slice_start": slice.start}
        with self._database.reading() as connection:
            return connection.execute(statements.generation(), asked).scalar() or 1

    def put(self, pipeline: str, slice: Slice, *, above: int, raised_by: int) -> int:
        """Sets the larger of what is known and `above`, and `raised_by` more; put at once by several, each counts."""
        row = {
            "pipeline": pipeline,
            "slice_start": slice.start,
            "generation": max(above, 1) + raised_by,
            "raised_at": datetime.now(UTC),
        }
        known = case((_TABLE.c.generation < above, above), else_=_TABLE.c.generation)
        statement = self._database.insert(_TABLE).values(row)
        statement = statement.on_conflict_do_update(
            index_elements=["pipeline", "slice_start"],
            set_={"generation": known + raised_by, "raised_at": row["raised_at"]},
        ).returning(_TABLE.c.generation)
        with self._database.writing(once=True) as connection:
            return int(connection.execute(statement).scalar_one())
