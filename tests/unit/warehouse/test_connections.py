"""How connections name a warehouse."""

from __future__ import annotations

from pathlib import Path

import duckdb
import psycopg
import pytest

from batch_processing.errors import SettingError, WarehouseError
from batch_processing.settings.values import Connection, parse_connection
from batch_processing.warehouse.duckdb import database_file
from batch_processing.warehouse.postgres import _conninfo
from tests.unit.warehouse.publishing import day, delta_table, orders


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("duckdb:///data/w.duckdb", "/data/w.duckdb"),
        ("duckdb:////data/w.duckdb", "/data/w.duckdb"),
        ('{"conn_type": "duckdb", "host": "/data/w.duckdb"}', "/data/w.duckdb"),
        ('{"conn_type": "duckdb", "schema": "/data/w.duckdb"}', "/data/w.duckdb"),
        ('{"conn_type": "duckdb", "host": "/data", "schema": "w.duckdb"}', "/data/w.duckdb"),
        ('{"conn_type": "duckdb", "host": "file:///data/w.duckdb"}', "/data/w.duckdb"),
    ],
)
def test_duckdb_connections_name_a_file(text: str, file: str) -> None:
    assert database_file(parse_connection("w", text)) == Path(file)


@pytest.mark.parametrize("host", [None, ":memory:"])
def test_duckdb_connections_without_a_file_are_refused(host: str | None) -> None:
    with pytest.raises(SettingError, match="names no file"):
        database_file(Connection("w", "duckdb", host=host))


def test_libpq_reads_back_every_character_of_a_password() -> None:
    connection = Connection("w", "postgres", host="h", login="o'x", password="a\\b'c d=e", schema="d b")
    read = psycopg.conninfo.conninfo_to_dict(_conninfo(connection))
    assert (read["user"], read["password"], read["dbname"], read["port"]) == ("o'x", "a\\b'c d=e", "d b", "5432")


def test_ssl_settings_are_passed_on_and_unknown_ones_are_not() -> None:
    connection = Connection("w", "postgres", host="h", extra={"sslmode": "require", "surprise": 1})
    read = psycopg.conninfo.conninfo_to_dict(_conninfo(connection))
    assert read["sslmode"] == "require"
    assert "surprise" not in read


def test_another_type_of_connection_is_refused(tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    with pytest.raises(SettingError, match="mysql"):
        table.load(table.publish(orders(1)), Connection("w", "mysql", host="h"), slice=day(1))


def test_a_file_that_is_no_duckdb_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "w.duckdb").write_text("not a database " * 1000)
    table = delta_table(tmp_path / "t", mode="append")
    with pytest.raises(WarehouseError, match="warehouse"):
        table.load(table.publish(orders(1)), Connection("w", "duckdb", host=str(tmp_path / "w.duckdb")), slice=day(1))


def test_instants_are_exact_whatever_the_machines_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    file = tmp_path / "w.duckdb"
    table = delta_table(tmp_path / "t", mode="append")
    table.load(table.publish(orders(1)), Connection("w", "duckdb", host=str(file)), slice=day(1))
    with duckdb.connect(str(file), read_only=True) as db:
        assert db.execute("SELECT epoch_us(_slice) FROM orders").fetchall() == [(int(day(1).start.timestamp() * 1e6),)]


def test_a_file_open_for_reading_in_this_process_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "w.duckdb"
    table = delta_table(tmp_path / "t", mode="append")
    published = table.publish(orders(1))
    connection = Connection("w", "duckdb", host=str(file), extra={"lock_timeout": 0.5})
    table.load(published, connection, slice=day(1))
    with duckdb.connect(str(file), read_only=True), pytest.raises(WarehouseError) as caught:
        table.load(published, connection, slice=day(2))
    assert caught.value.retryable
