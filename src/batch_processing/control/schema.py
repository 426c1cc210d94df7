"""The control store's tables, the same on SQLite and PostgreSQL."""

# ruff: noqa: ARG002 - SQLAlchemy hands the dialect to every TypeDecorator
from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

SCHEMA_VERSION = 2
"""Raised with every change of these tables; `migrations` says what changed. A store with a higher one is left alone."""


class UtcTime(TypeDecorator[datetime]):
    """An aware time, kept in UTC to the microsecond; SQLite's form sorts by time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class AnyText(TypeDecorator[str]):
    """Text that both databases take: NUL and lone surrogates become the replacement character."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


class JsonText(TypeDecorator[Any]):
    """A JSON value kept as text, so that NaN and key order survive on both databases."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return json.dumps(value, default=str)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def storable(text: str) -> str:
    """The text without what PostgreSQL and UTF-8 refuse."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


metadata = MetaData()

# One object for all columns of a type: SQLAlchemy looks each object up in the dialect anew for every engine.
_TEXT, _JSON, _TIME = AnyText(), JsonText(), UtcTime()
_COUNT, _SMALL, _NUMBER, _FLAG = BigInteger(), Integer(), Float(), Boolean()
_DIGEST, _OUTCOME = String(32), String(30)

schema_version = Table(
    "batch_schema",
    metadata,
    Column("id", _SMALL, primary_key=True, autoincrement=False),
    Column("version", _SMALL, nullable=False),
)

runs = Table(
    "batch_runs",
    metadata,
    Column("run", _DIGEST, primary_key=True),
    Column("pipeline", _TEXT, nullable=False),
    Column("slice_start", _TIME, nullable=False),
    Column("slice_end", _TIME, nullable=False),
    Column("generation", _COUNT, nullable=False),
    Column("run_id", _TEXT, nullable=False),
    Column("engine", _TEXT, nullable=False),
    Column("trigger_name", _TEXT, nullable=False),
    Column("outcome", _OUTCOME, nullable=False),
    Column("started_at", _TIME, nullable=False),
    Column("ended_at", _TIME),
    Column("error", _TEXT, nullable=False, default=""),
    Column("report", _TEXT, nullable=False, default=""),
    Column("table_path", _TEXT, nullable=False, default=""),
    Column("version", _COUNT),
    Column("warehouse_table", _TEXT, nullable=False, default=""),
    Column("warehouse_location", _TEXT, nullable=False, default=""),
    Column("rows_read", _COUNT),
    Column("rows_rejected", _COUNT),
    Column("rows_landed", _COUNT),
    Column("rows_quarantined", _COUNT),
    Column("rows_valid", _COUNT),
    Column("rows_staged", _COUNT),
    Column("rows_published", _COUNT),
    Column("rows_loaded", _COUNT),
    Column("host", _TEXT),
    Column("pid", _COUNT),
    Column("process_started", _TEXT),
    Column("interrupted", _FLAG),
    Index("batch_runs_started", "started_at"),
    Index("batch_runs_slice", "pipeline", "slice_start"),
    Index("batch_runs_id", "run_id"),
)

steps = Table(
    "batch_steps",
    metadata,
    Column("run", _DIGEST, primary_key=True),
    Column("step", _TEXT, primary_key=True),
    Column("attempt", _SMALL, primary_key=True, autoincrement=False),
    Column("outcome", _OUTCOME, nullable=False),
    Column("seconds", _NUMBER, nullable=False),
    Column("cpu_seconds", _NUMBER, nullable=False),
    Column("peak_rss_mb", _NUMBER, nullable=False),
    Column("summary", _JSON, nullable=False),
    Column("error", _TEXT, nullable=False),
    Column("reused", _FLAG, nullable=False),
    Column("started_at", _TIME),
    Column("ended_at", _TIME),
    Column("recorded_at", _TIME, nullable=False),
)

quality = Table(
    "batch_quality",
    metadata,
    Column("run", _DIGEST, primary_key=True),
    Column("dataset", _TEXT, primary_key=True),
    Column("suite", _TEXT, nullable=False),
    Column("fingerprint", _TEXT, nullable=False),
    Column("outcome", _OUTCOME, nullable=False),
    Column("score", _NUMBER, nullable=False),
    Column("threshold", _NUMBER, nullable=False),
    Column("rows", _COUNT, nullable=False),
    Column("valid", _COUNT, nullable=False),
    Column("quarantined", _COUNT, nullable=False),
    Column("rules", _JSON, nullable=False),
    Column("message", _TEXT, nullable=False),
    Column("recorded_at", _TIME, nullable=False),
)

sources = Table(
    "batch_sources",
    metadata,
    Column("run", _DIGEST, primary_key=True),
    Column("source", _TEXT, primary_key=True),
    Column("part", _SMALL, primary_key=True, autoincrement=False),
    Column("read", _COUNT, nullable=False),
    Column("rejected", _COUNT, nullable=False),
    Column("landed", _COUNT, nullable=False),
    Column("inputs", _JSON, nullable=False),
)

quarantine = Table(
    "batch_quarantine",
    metadata,
    Column("run", _DIGEST, primary_key=True),
    Column("source", _TEXT, primary_key=True),
    Column("table_path", _TEXT, nullable=False),
)

generations = Table(
    "batch_generations",
    metadata,
    Column("pipeline", _TEXT, primary_key=True),
    Column("slice_start", _TIME, primary_key=True),
    Column("generation", _COUNT, nullable=False),
    Column("raised_at", _TIME, nullable=False),
)

alerts = Table(
    "batch_alerts",
    metadata,
    Column("dedupe_key", _TEXT, primary_key=True),
    Column("payload", _JSON, nullable=False),
    Column("state", String(10), nullable=False),
    Column("attempts", _SMALL, nullable=False),
    Column("error", _TEXT, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("sent_at", _TIME),
    Index("batch_alerts_state", "state"),
)
