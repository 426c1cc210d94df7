"""The outbox of alerts: what happened is written down first and sent after, so that no crash loses it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, update

from batch_processing.control import schema
from batch_processing.control.database import Database
from batch_processing.control.records import QueuedAlert

_PENDING, _SENT = "pending", "sent"
_TABLE = schema.alerts


class AlertOutbox:
    """Alerts by dedupe key. Sending is at least once: a crash between sending and `mark` sends again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def queue(self, dedupe_key: str, payload: dict[str, Any]) -> bool:
        row = {
            "dedupe_key": dedupe_key,
            "payload": payload,
            "state": _PENDING,
            "attempts": 0,
            "error": "",
            "created_at": datetime.now(UTC),
        }
        statement = self._database.insert(_TABLE).values(row).on_conflict_do_nothing(index_elements=["dedupe_key"])
        statement = statement.returning(_TABLE.c.dedupe_key)
        with self._database.writing(once=True) as connection:
            return connection.execute(statement).first() is not None

    def pending(self) -> tuple[QueuedAlert, ...]:
        query = select(_TABLE).where(_TABLE.c.state == _PENDING).order_by(_TABLE.c.created_at, _TABLE.c.dedupe_key)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(QueuedAlert(row.dedupe_key, row.payload, row.attempts, row.error, row.created_at) for row in rows)

    def mark(self, dedupe_key: str, *, sent: bool, error: str) -> None:
        change: dict[str, Any] = (
            {"state": _SENT, "sent_at": datetime.now(UTC), "error": ""}
            if sent
            else {"attempts": _TABLE.c.attempts + 1, "error": error}
        )
        with self._database.writing(once=True) as connection:
            connection.execute(update(_TABLE).where(_TABLE.c.dedupe_key == dedupe_key).values(change))
