"""SQLite: dynamic values are held against the declared types."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from batch_processing.errors import SettingError, SourceSchemaError, SourceUnavailable, SourceUnreadable
from batch_processing.results import Landed
from batch_processing.settings.models import SourceSpec
from batch_processing.settings.values import Connection
from batch_processing.sources.database import extract_database

from .landed import rejected, values


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "shop ?.db"
    session = sqlite3.connect(path)
    session.execute('CREATE TABLE "order" (id INTEGER, name TEXT, price DECIMAL(6,2), ok BOOLEAN, at TIMESTAMP)')
    session.executemany(
        'INSERT INTO "order" VALUES (?, ?, ?, ?, ?)',
        [(1, "é", 1.5, 1, "2026-11-01 10:00:00"), (2, None, 2, 0, None), ("x", b"\xff", 1.234, 7, "soon")],
    )
    session.commit()
    session.close()
    return path


def extract(path: Path, columns: dict[str, str], **database: Any) -> Landed:
    spec = SourceSpec.model_validate({"database": {"connection": "lite", **database}, "schema": columns})
    connection = Connection(conn_id="lite", conn_type="sqlite", host=str(path))
    return extract_database(
        spec, source="s", connection=connection, query=database.get("query"), folder=path.parent / "landed"
    )


def test_values_are_typed_as_declared_and_misfits_rejected(database: Path) -> None:
    columns = {"price": "decimal(6,2)", "id": "bigint", "name": "string", "ok": "boolean", "at": "timestamp_ntz"}
    landed = extract(database, columns, table="order", fetch_rows=2)
    assert [v[:5] for v in values(landed)] == [(1, Decimal("1.50"), 1, "é", True), (2, Decimal("2.00"), 2, None, False)]
    assert [r[:2] for r in rejected(landed)] == [(3, "price, id, name, ok, at")]
    assert '"name": "\\\\xff"' in rejected(landed)[0][2]


def test_without_a_schema_the_tables_own_types_count(database: Path) -> None:
    assert extract(database, {}, table="order").read == 3
    with pytest.raises(SourceSchemaError, match="full type"):
        extract(database, {}, query='SELECT id FROM "order"')


def test_a_query_lands(database: Path) -> None:
    landed = extract(database, {"n": "bigint"}, query='SELECT count(*) AS n, 1 AS other FROM "order" ;')
    assert values(landed) == [(1, 3)]


def test_what_is_not_there_is_named(database: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceSchemaError, match="did you mean order"):
        extract(database, {"id": "int"}, table="orders")
    with pytest.raises(SourceSchemaError, match=r"nam \(did you mean name\?\)"):
        extract(database, {"nam": "string"}, table="order")
    with pytest.raises(SourceSchemaError, match="refused the query"):
        extract(database, {"id": "int"}, query="SELEKT 1")
    with pytest.raises(SourceUnavailable):
        extract(tmp_path / "none.db", {"id": "int"}, table="t")
    (tmp_path / "text.db").write_text("not a database, but long enough to look at" * 20)
    with pytest.raises(SourceUnreadable):
        extract(tmp_path / "text.db", {"id": "int"}, table="t")


def test_the_database_is_never_written(database: Path) -> None:
    before = database.read_bytes()
    with pytest.raises((SourceSchemaError, SettingError)):
        extract(database, {"id": "int"}, query='DELETE FROM "order"')
    assert database.read_bytes() == before


def test_a_driver_that_is_not_installed_is_named(tmp_path: Path) -> None:
    spec = SourceSpec.model_validate({"database": {"connection": "c", "table": "t"}, "schema": {"id": "int"}})
    for kind in ("oracle", "nosuchdb", "no such"):
        connection = Connection(conn_id="c", conn_type=kind, host="h", password="geheim")
        with pytest.raises(SettingError) as caught:
            extract_database(spec, source="s", connection=connection, query=None, folder=tmp_path / "l")
        assert "geheim" not in str(caught.value)
