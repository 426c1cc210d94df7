"""Rows that are lost, doubled or bent between the files and the table never stay, whoever did it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from batch_processing.errors import LedgerError
from batch_processing.warehouse import postgres as postgres_session
from batch_processing.warehouse.duckdb import DuckDbSession
from batch_processing.warehouse.load import open_session
from batch_processing.warehouse.names import TableName
from batch_processing.warehouse.postgres import PostgresSession
from tests.integration.warehouse.warehouses import PostgresSchema, Warehouse
from tests.unit.warehouse.publishing import Table, day, delta_table, orders

_SESSIONS = {"duckdb": DuckDbSession, "postgres": PostgresSession}
_COLUMNS = "id bigint, amount double precision, day text, _slice timestamptz, _generation int"


@pytest.fixture
def server(postgres: Any) -> Iterator[PostgresSchema]:
    schema = f"t_{uuid.uuid4().hex[:12]}"
    postgres.execute(f"CREATE SCHEMA {schema}")
    yield PostgresSchema(postgres, schema)
    postgres.execute(f"DROP SCHEMA {schema} CASCADE")


def _table(path: Path, mode: str) -> Table:
    return delta_table(path, mode=mode, keys=("id",) if mode == "merge" else ())


@pytest.mark.parametrize("mode", ["append", "overwrite", "merge"])
@pytest.mark.parametrize("times", [0, 2], ids=["lost", "doubled"])
@pytest.mark.parametrize("first", [True, False], ids=["new table", "table that is there"])
def test_a_batch_lost_or_doubled_on_its_way_to_the_warehouse_is_noticed(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, times: int, first: bool
) -> None:
    table = _table(tmp_path / "t", mode)
    if not first:
        table.load(table.publish(orders(1)), warehouse.connection, slice=day(1))
    published = table.publish(orders(2, 3))
    kind = _SESSIONS[warehouse.kind]
    copy = kind.copy

    def bent(session: Any, reader: pa.RecordBatchReader, name: TableName) -> None:
        batches = [batch for batch in reader for _ in range(times)]
        copy(session, pa.RecordBatchReader.from_batches(reader.schema, batches), name)

    with monkeypatch.context() as patched:
        patched.setattr(kind, "copy", bent)
        with pytest.raises(LedgerError, match="does not hold the rows"):
            table.load(published, warehouse.connection, slice=day(2))
    if not first:
        assert warehouse.rows("SELECT id FROM orders") == [(1,)]
    assert table.load(published, warehouse.connection, slice=day(2)).rows == 2


_TRIGGERS = {
    "drops a row": ("BEFORE INSERT", "IF NEW.id = 3 THEN RETURN NULL; END IF; RETURN NEW;"),
    "doubles a row": (
        "AFTER INSERT",
        "IF NEW.id = 3 AND pg_trigger_depth() = 1 THEN INSERT INTO orders SELECT NEW.*; END IF; RETURN NULL;",
    ),
    "takes a row back": ("AFTER INSERT", "DELETE FROM orders WHERE id = 3; RETURN NULL;"),
    "moves a row": ("BEFORE INSERT", "IF NEW.id = 3 THEN NEW._slice := now(); END IF; RETURN NEW;"),
}


def _trigger(server: PostgresSchema, what: str, *, table: str = "orders") -> None:
    moment, body = _TRIGGERS[what]
    server.run(f"CREATE FUNCTION bend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$")
    server.run(f"CREATE TRIGGER bend {moment} ON {table} FOR EACH ROW EXECUTE FUNCTION bend()")


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["append", "overwrite", "merge"])
@pytest.mark.parametrize("what", ["drops a row", "doubles a row", "takes a row back"])
def test_a_trigger_that_bends_a_load_is_noticed(server: PostgresSchema, tmp_path: Path, mode: str, what: str) -> None:
    table = _table(tmp_path / "t", mode)
    table.load(table.publish(orders(1)), server.connection, slice=day(1))
    _trigger(server, what)
    with pytest.raises(LedgerError, match="does not hold the rows"):
        table.load(table.publish(orders(2, 3)), server.connection, slice=day(2))
    assert server.rows("SELECT id FROM orders") == [(1,)]


@pytest.mark.postgres
@pytest.mark.parametrize("off", [False, True], ids=["on", "off"])
def test_only_a_plain_tables_rows_are_taken_on_the_servers_word(
    server: PostgresSchema, tmp_path: Path, off: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the look for triggers off, what the server stored is all that is asked: the load would stand."""
    table = _table(tmp_path / "t", "append")
    table.load(table.publish(orders(1)), server.connection, slice=day(1))
    _trigger(server, "moves a row")
    if off:
        believing = postgres_session._NET_ROWS.replace("AND NOT t.tgisinternal", "AND false")
        assert believing != postgres_session._NET_ROWS
        monkeypatch.setattr(postgres_session, "_NET_ROWS", believing)
    published = table.publish(orders(2, 3))
    if off:
        table.load(published, server.connection, slice=day(2))
        assert server.rows(f"SELECT count(*) FROM orders WHERE _slice = '{day(2).start}'") == [(1,)]
        return
    with pytest.raises(LedgerError, match="does not hold the rows"):
        table.load(published, server.connection, slice=day(2))


@pytest.mark.postgres
def test_a_rule_that_swallows_merged_rows_is_noticed(server: PostgresSchema, tmp_path: Path) -> None:
    table = _table(tmp_path / "t", "merge")
    table.load(table.publish(orders(1)), server.connection, slice=day(1))
    server.run("CREATE RULE swallow AS ON INSERT TO orders DO INSTEAD NOTHING")
    with pytest.raises(LedgerError, match="does not hold the rows"):
        table.load(table.publish(orders(2, 3)), server.connection, slice=day(2))


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["append", "overwrite", "merge"])
def test_a_partitioned_table_is_loaded_and_its_partitions_triggers_noticed(
    server: PostgresSchema, tmp_path: Path, mode: str
) -> None:
    server.run(f"CREATE TABLE orders ({_COLUMNS}) PARTITION BY LIST (day)")
    server.run("CREATE TABLE part PARTITION OF orders DEFAULT")
    table = _table(tmp_path / "t", mode)
    assert table.load(table.publish(orders(1)), server.connection, slice=day(1)).rows == 1
    _trigger(server, "drops a row", table="part")
    with pytest.raises(LedgerError, match="does not hold the rows"):
        table.load(table.publish(orders(2, 3)), server.connection, slice=day(2))
    assert server.rows("SELECT id FROM orders") == [(1,)]


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["append", "merge"])
def test_a_server_that_keeps_no_counts_is_asked_for_the_rows(server: PostgresSchema, tmp_path: Path, mode: str) -> None:
    options = f"{server.connection.extra['options']} -ctrack_counts=off"
    forgetful = replace(server.connection, extra={**server.connection.extra, "options": options})
    table = _table(tmp_path / "t", mode)
    assert table.load(table.publish(orders(1, 2)), forgetful, slice=day(1)).rows == 2
    assert table.load(table.publish(orders(3)), forgetful, slice=day(2)).rows == 1


@pytest.mark.postgres
def test_the_server_tells_what_this_transaction_stored_in_a_plain_table(server: PostgresSchema) -> None:
    for name in ("plain", "ruled"):
        server.run(f"CREATE TABLE {name} (n int)")
    server.run("INSERT INTO plain SELECT generate_series(1, 10)")
    server.run("CREATE RULE also AS ON INSERT TO ruled DO INSTEAD NOTHING")
    with closing(open_session(server.connection)) as session:
        plain, ruled, absent = (TableName(name, server.schema) for name in ("plain", "ruled", "absent"))
        assert session.net_rows(plain) == 0
        session.execute(f"INSERT INTO {plain.sql} VALUES (1), (2)")
        assert session.net_rows(plain) == 2
        assert (session.net_rows(ruled), session.net_rows(absent)) == (None, None)


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["append", "overwrite", "merge"])
def test_a_first_loads_own_columns_are_filled_and_no_default_stays(
    server: PostgresSchema, tmp_path: Path, mode: str
) -> None:
    table = _table(tmp_path / "t", mode)
    table.load(table.publish(orders(1, 2)), server.connection, slice=day(1), generation=3)
    own = server.rows("SELECT DISTINCT _slice, _generation FROM orders")
    assert own == [(day(1).start, 3)]
    server.run("INSERT INTO orders (id) VALUES (9)")
    assert server.rows("SELECT _slice, _generation FROM orders WHERE id = 9") == [(None, None)]
