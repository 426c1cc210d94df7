"""Both warehouses behind one face for the tests: a connection, and plain SQL as an independent reader."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import duckdb
import psycopg

from batch_processing.settings.values import Connection


class Warehouse(Protocol):
    kind: str

    @property
    def connection(self) -> Connection: ...

    def rows(self, sql: str) -> list[tuple[Any, ...]]: ...

    def run(self, sql: str) -> None: ...

    def types(self, table: str) -> dict[str, str]: ...


@dataclass
class DuckDbFile:
    file: Path
    kind: str = "duckdb"

    @property
    def connection(self) -> Connection:
        return Connection("warehouse", "duckdb", host=str(self.file))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Through Arrow: DuckDB's own Python rows need a further library for instants."""
        with duckdb.connect(str(self.file), read_only=True) as db:
            db.execute("SET TimeZone = 'UTC'")
            return [tuple(row.values()) for row in db.sql(sql).to_arrow_table().to_pylist()]

    def run(self, sql: str) -> None:
        with duckdb.connect(str(self.file)) as db:
            db.execute(sql)

    def types(self, table: str) -> dict[str, str]:
        return dict(self.rows(f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{table}'"))


@dataclass
class PostgresSchema:
    server: Any
    schema: str
    kind: str = "postgres"

    @property
    def connection(self) -> Connection:
        options = {"options": f"-csearch_path={self.schema}", "connect_timeout": 5}
        return replace(self.server.connection("warehouse"), extra=options)

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        settings = f"-csearch_path={self.schema} -cTimeZone=UTC"
        return psycopg.connect(self.server.uri, autocommit=True, options=settings)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.connect() as db:
            return db.execute(sql.encode()).fetchall()

    def run(self, sql: str) -> None:
        with self.connect() as db:
            db.execute(sql.encode())

    def types(self, table: str) -> dict[str, str]:
        return dict(
            self.rows(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
                f"WHERE attrelid = '\"{table}\"'::regclass AND attnum > 0"
            )
        )

    def types_or_none(self, table: str) -> dict[str, str] | None:
        return self.types(table) if self.rows(f"SELECT to_regclass('\"{table}\"')")[0][0] else None


def python(code: str, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs code in another process and waits for it."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        timeout=120,
    )
