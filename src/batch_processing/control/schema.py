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

schema_version = Table(
    "batch_schema",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
)

runs = Table(
    "batch_runs",
    metadata,
    Column("run", String(32), primary_key=True),
    Column("pipeline", AnyText, nullable=False),
    Column("slice_start", UtcTime, nullable=False),
    Column("slice_end", UtcTime, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("run_id", AnyText, nullable=False),
    Column("engine", AnyText, nullable=False),
    Column("trigger_name", AnyText, nullable=False),
    Column("outcome", String(30), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("error", AnyText, nullable=False, default=""),
    Column("report", AnyText, nullable=False, default=""),
    Column("table_path", AnyText, nullable=False, default=""),
    Column("version", BigInteger),
    Column("warehouse_table", AnyText, nullable=False, default=""),
    Column("warehouse_location", AnyText, nullable=False, default=""),
    Column("rows_read", BigInteger),
    Column("rows_rejected", BigInteger),
    Column("rows_landed", BigInteger),
    Column("rows_quarantined", BigInteger),
    Column("rows_valid", BigInteger),
    Column("rows_staged", BigInteger),
    Column("rows_published", BigInteger),
    Column("rows_loaded", BigInteger),
    Column("host", AnyText),
    Column("pid", BigInteger),
    Column("process_started", AnyText),
    Column("interrupted", Boolean),
    Index("batch_runs_started", "started_at"),
    Index("batch_runs_slice", "pipeline", "slice_start"),
    Index("batch_runs_id", "run_id"),
)

steps = Table(
    "batch_steps",
    metadata,
    Column("run", String(32), primary_key=True),
    Column("step", AnyText, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("outcome", String(30), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("cpu_seconds", Float, nullable=False),
    Column("peak_rss_mb", Float, nullable=False),
    Column("summary", JsonText, nullable=False),
    Column("error", AnyText, nullable=False),
    Column("reused", Boolean, nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("recorded_at", UtcTime, nullable=False),
)

quality = Table(
    "batch_quality",
    metadata,
    Column("run", String(32), primary_key=True),
    Column("dataset", AnyText, primary_key=True),
    Column("suite", AnyText, nullable=False),
    Column("fingerprint", AnyText, nullable=False),
    Column("outcome", String(30), nullable=False),
    Column("score", Float, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("valid", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("rules", JsonText, nullable=False),
    Column("message", AnyText, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
)

sources = Table(
    "batch_sources",
    metadata,
    Column("run", String(32), primary_key=True),
    Column("source", AnyText, primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("read", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("landed", BigInteger, nullable=False),
    Column("inputs", JsonText, nullable=False),
)

quarantine = Table(
    "batch_quarantine",
    metadata,
    Column("run", String(32), primary_key=True),
    Column("source", AnyText, primary_key=True),
    Column("table_path", AnyText, nullable=False),
)

generations = Table(
    "batch_generations",
    metadata,
    Column("pipeline", AnyText, primary_key=True),
    Column("slice_start", UtcTime, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("raised_at", UtcTime, nullable=False),
)

alerts = Table(
    "batch_alerts",
    metadata,
    Column("dedupe_key", AnyText, primary_key=True),
    Column("payload", JsonText, nullable=False),
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", AnyText, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
    Index("batch_alerts_state", "state"),
)
