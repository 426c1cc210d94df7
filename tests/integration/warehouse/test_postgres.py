"""What only PostgreSQL can do to a load: rights, NUL, a server that goes away, two loads at once."""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from batch_processing import digests
from batch_processing.digests import file_digests
from batch_processing.errors import BatchError, LedgerError, SettingError, WarehouseError, WarehouseRefused
from batch_processing.results import Loaded
from batch_processing.settings.values import Connection
from batch_processing.warehouse import files
from batch_processing.warehouse import postgres as postgres_session
from batch_processing.warehouse.comparison import Compared
from batch_processing.warehouse.ledger import compare_loaded
from batch_processing.warehouse.names import TableName
from batch_processing.warehouse.postgres import PostgresSession
from tests.integration.warehouse.warehouses import PostgresSchema
from tests.unit.warehouse.publishing import day, delta_table, orders

pytestmark = pytest.mark.postgres


@pytest.fixture
def warehouse(postgres_schema: PostgresSchema) -> PostgresSchema:
    return postgres_schema


def _count(warehouse: PostgresSchema) -> int:
    return int(warehouse.rows("SELECT count(*) FROM orders")[0][0])


def test_a_nul_is_refused_with_its_column_and_without_its_value(warehouse: PostgresSchema, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    rows = pa.table({"id": [1, 2], "the note": ["fine", "secret\x00value"]})
    with pytest.raises(WarehouseRefused, match="NUL") as caught:
        table.load(table.publish(rows), warehouse.connection, slice=day(1))
    assert "column the note" in caught.value.where
    assert "secret" not in str(caught.value)
    assert warehouse.types_or_none("orders") is None


def test_a_nul_inside_a_nested_value_is_refused_with_its_column(warehouse: PostgresSchema, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    with pytest.raises(WarehouseRefused, match="NUL") as caught:
        table.load(table.publish(pa.table({"tags": [["a\x00b"]]})), warehouse.connection, slice=day(1))
    assert "column tags" in caught.value.where


def test_a_text_that_does_not_fit_is_refused_without_its_value(warehouse: PostgresSchema, tmp_path: Path) -> None:
    warehouse.run("CREATE TABLE orders (id bigint, amount double precision, day varchar(3))")
    table = delta_table(tmp_path / "t", mode="append")
    with pytest.raises(WarehouseRefused, match="refused") as caught:
        table.load(table.publish(orders(1)), warehouse.connection, slice=day(1))
    assert "2026-11-01" not in str(caught.value).replace("slice 2026-11-01", "")


def test_wider_columns_made_by_hand_are_taken(warehouse: PostgresSchema, tmp_path: Path) -> None:
    warehouse.run(
        "CREATE TABLE orders (id bigint PRIMARY KEY, amount double precision, day varchar(20), "
        "extra int DEFAULT 7, item json, price numeric)"
    )
    rows = orders(1).append_column("item", pa.array([{"a": 1}]))
    rows = rows.append_column("price", pa.array([Decimal("1.00")], pa.decimal128(20, 2)))
    table = delta_table(tmp_path / "t", mode="append")
    table.load(table.publish(rows), warehouse.connection, slice=day(1))
    assert warehouse.rows("SELECT id, day, extra, item->>'a', price FROM orders") == [
        (1, "2026-11-01", 7, "1", Decimal("1.00"))
    ]


@pytest.mark.parametrize("mode", ["append", "overwrite", "replace_partitions", "merge"])
def test_a_column_that_the_server_numbers_takes_the_outputs_values(
    warehouse: PostgresSchema, tmp_path: Path, mode: str
) -> None:
    warehouse.run(
        "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY, amount double precision, day text, "
        "mine int GENERATED ALWAYS AS IDENTITY (START 100))"
    )
    extra: dict[str, Any] = {"merge": {"keys": ("id",)}, "replace_partitions": {"partition_by": ("day",)}}.get(mode, {})
    table = delta_table(tmp_path / "t", mode=mode, **extra)
    table.load(table.publish(orders(7, 9)), warehouse.connection, slice=day(1))
    assert warehouse.rows("SELECT id, mine FROM orders ORDER BY id") == [(7, 100), (9, 101)]


@pytest.mark.parametrize("mode", ["append", "overwrite", "replace_partitions", "merge"])
def test_a_role_without_ddl_rights_loads_into_tables_that_exist(
    warehouse: PostgresSchema, tmp_path: Path, mode: str
) -> None:
    extra: dict[str, Any] = {"keys": ("id",)} if mode == "merge" else {}
    extra |= {"partition_by": ("day",)} if mode == "replace_partitions" else {}
    table = delta_table(tmp_path / "t", mode=mode, **extra)
    table.load(table.publish(orders(1)), warehouse.connection, slice=day(1))
    poor = _role_without_ddl(warehouse)
    table.load(table.publish(orders(1, 2), mode="append"), poor, slice=day(2))
    assert _count(warehouse) == (3 if mode == "append" else 2)
    with pytest.raises(WarehouseRefused, match="lacks a right"):
        table.load(table.publish(orders(3)), poor, table="other", slice=day(3))


def _role_without_ddl(warehouse: PostgresSchema) -> Connection:
    role = f"poor_{uuid.uuid4().hex[:8]}"
    warehouse.run(f"CREATE ROLE {role} LOGIN PASSWORD 'p w''d'")
    warehouse.run(f"GRANT USAGE ON SCHEMA {warehouse.schema} TO {role}")
    warehouse.run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {warehouse.schema} TO {role}")
    return replace(warehouse.connection, login=role, password="p w'd")


def test_a_server_that_is_down_is_worth_a_retry_and_tells_no_password(
    warehouse: PostgresSchema, tmp_path: Path
) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    nowhere = replace(warehouse.connection, port=1)
    with pytest.raises(WarehouseError) as caught:
        table.load(table.publish(orders(1)), nowhere, slice=day(1))
    assert caught.value.retryable
    _tells_no_password(caught.value, nowhere)


def test_a_wrong_password_is_not_told(warehouse: PostgresSchema, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    wrong = replace(warehouse.connection, password="not-the-password")
    with pytest.raises(WarehouseError, match="password authentication failed") as caught:
        table.load(table.publish(orders(1)), wrong, slice=day(1))
    _tells_no_password(caught.value, wrong)


def _tells_no_password(error: BaseException | None, connection: Connection) -> None:
    while error is not None:
        assert str(connection.password) not in str(error)
        error = error.__cause__


def test_a_connection_without_host_is_a_setting_error(tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    with pytest.raises(SettingError, match="no host"):
        table.load(table.publish(orders(1)), Connection("w", "postgres"), slice=day(1))


@pytest.mark.parametrize("mode", ["append", "overwrite", "merge"])
def test_a_session_that_the_server_ends_in_the_copy_leaves_the_old_rows(
    warehouse: PostgresSchema, tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = delta_table(tmp_path / "t", mode=mode, keys=("id",) if mode == "merge" else ())
    table.load(table.publish(orders(1)), warehouse.connection, slice=day(1))
    published = table.publish(orders(*range(10)))
    with monkeypatch.context() as patched:
        _before_each_batch(patched, lambda: _end_loads(warehouse))
        with pytest.raises(WarehouseError) as caught:
            table.load(published, warehouse.connection, slice=day(2))
    assert caught.value.retryable
    assert _count(warehouse) == 1
    assert table.load(published, warehouse.connection, slice=day(2)).rows == 10
    assert _count(warehouse) == {"append": 11, "overwrite": 10, "merge": 10}[mode]


def _before_each_batch(patched: pytest.MonkeyPatch, action: Any) -> None:
    batches = files._parquet_batches

    def interrupted(path: str, names: Any) -> Any:
        for batch in batches(path, names):
            yield batch
            action()

    patched.setattr(files, "_parquet_batches", interrupted)


def test_no_transaction_waits_for_files_that_take_longer_to_read_than_a_session_may_idle(
    warehouse: PostgresSchema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    published = table.publish(orders(1, 2))
    published = replace(published, digests=tuple(file_digests(published.files).values()))
    read = digests._read
    monkeypatch.setattr(digests, "_read", lambda path: (time.sleep(0.6), read(path))[1])
    monkeypatch.setattr(digests, "_seen", {})
    monkeypatch.setattr(postgres_session, "_IDLE_LIMIT", "200ms")
    assert table.load(published, warehouse.connection, slice=day(1)).rows == 2
    with monkeypatch.context() as patched:
        _before_each_batch(patched, lambda: time.sleep(0.6))
        found = compare_loaded(
            published, connection=warehouse.connection, table="orders", target=table.target,
            schema_json=table.schema_json, slice=day(1), generation=1,
        )  # fmt: skip
    assert found == Compared(equal=2, missing=0, foreign=0)
    # Loaded already: the files are not looked at, and may be gone.
    for path in published.files:
        Path(path).unlink()
    assert table.load(published, warehouse.connection, slice=day(1)).already


def _end_loads(warehouse: PostgresSchema) -> None:
    warehouse.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'batch_processing'")


def test_a_server_stopped_in_the_copy_keeps_the_old_rows(
    warehouse: PostgresSchema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    table.load(table.publish(orders(1)), warehouse.connection, slice=day(1))
    published = table.publish(orders(2, 3))
    try:
        with monkeypatch.context() as patched:
            _before_each_batch(patched, warehouse.server.stop)
            with pytest.raises(WarehouseError) as caught:
                table.load(published, warehouse.connection, slice=day(2))
    finally:
        warehouse.server.start()
    assert caught.value.retryable
    assert _count(warehouse) == 1
    assert table.load(published, warehouse.connection, slice=day(2)).rows == 2


def test_the_same_slice_loaded_twice_at_once_is_there_once(warehouse: PostgresSchema, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    published = table.publish(orders(*range(1000)))
    ends = _at_once(lambda _: table.load(published, warehouse.connection, slice=day(1)), 4)
    assert sorted(end.already for end in ends if isinstance(end, Loaded)) == [False, True, True, True]
    assert _count(warehouse) == 1000


def test_many_slices_at_once_all_arrive(warehouse: PostgresSchema, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    published = [table.publish(orders(number)) for number in range(1, 9)]
    ends = _at_once(lambda n: table.load(published[n], warehouse.connection, slice=day(n + 1)), 8)
    assert all(isinstance(end, Loaded) for end in ends), ends
    assert _count(warehouse) == 8
    assert warehouse.rows("SELECT count(*) FROM _batch_loads") == [(8,)]


def _at_once(load: Any, count: int) -> list[Loaded | BatchError]:
    ends: list[Loaded | BatchError] = []

    def run(number: int) -> None:
        try:
            ends.append(load(number))
        except BatchError as error:
            ends.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return ends


def test_a_load_that_never_ends_is_not_waited_for_for_ever(warehouse: PostgresSchema, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    table.load(table.publish(orders(1)), warehouse.connection, slice=day(1))
    impatient = replace(warehouse.connection, extra={**warehouse.connection.extra, "lock_timeout": 0.3})
    with warehouse.connect() as holder, holder.transaction():
        holder.execute(b"LOCK TABLE orders IN EXCLUSIVE MODE")
        started = time.monotonic()
        with pytest.raises(WarehouseError) as caught:
            table.load(table.publish(orders(2)), impatient, slice=day(2))
        assert time.monotonic() - started < 10
    assert caught.value.retryable


def test_readers_are_not_blocked_and_see_the_old_rows_until_the_end(
    warehouse: PostgresSchema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = delta_table(tmp_path / "t", mode="overwrite")
    table.load(table.publish(orders(1)), warehouse.connection, slice=day(1))
    seen: list[int] = []
    with monkeypatch.context() as patched:
        _before_each_batch(patched, lambda: seen.append(_count(warehouse)))
        table.load(table.publish(orders(2, 3), mode="overwrite"), warehouse.connection, slice=day(2))
    assert seen == [1]
    assert _count(warehouse) == 2


@pytest.mark.parametrize("mode", ["append", "overwrite", "merge"])
def test_a_row_that_the_warehouse_drops_is_noticed(warehouse: PostgresSchema, tmp_path: Path, mode: str) -> None:
    table = delta_table(tmp_path / "t", mode=mode, keys=("id",) if mode == "merge" else ())
    table.load(table.publish(orders(1)), warehouse.connection, slice=day(1))
    warehouse.run(
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.id = 3 THEN RETURN NULL; END IF; RETURN NEW; END $$"
    )
    warehouse.run("CREATE TRIGGER lose BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION lose()")
    with pytest.raises(LedgerError, match="does not hold the rows"):
        table.load(table.publish(orders(2, 3)), warehouse.connection, slice=day(2))
    assert _count(warehouse) == 1


@pytest.mark.parametrize("loads", [1, 2], ids=["into a new table", "into one that is there"])
def test_a_row_that_the_driver_loses_is_noticed(
    warehouse: PostgresSchema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loads: int
) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    for number in range(1, loads):
        table.load(table.publish(orders(number)), warehouse.connection, slice=day(number))
    copy = postgres_session.PostgresSession.copy

    def losing(session: Any, reader: Any, name: Any) -> None:
        batches = list(reader)
        copy(session, pa.RecordBatchReader.from_batches(reader.schema, [batches[0].slice(1), *batches[1:]]), name)

    monkeypatch.setattr(postgres_session.PostgresSession, "copy", losing)
    with pytest.raises(LedgerError, match="does not hold the rows") as caught:
        table.load(table.publish(orders(8, 9)), warehouse.connection, slice=day(9))
    assert "1 rows counted in the warehouse, 2 published" in str(caught.value)


def test_a_table_made_by_a_load_fills_nothing_in_by_itself(warehouse: PostgresSchema, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    table.load(table.publish(orders(1, 2)), warehouse.connection, slice=day(1), generation=3)
    found = warehouse.rows("""SELECT id, _slice AT TIME ZONE 'UTC', _generation FROM orders ORDER BY id""")
    assert found == [(number, day(1).start.replace(tzinfo=None), 3) for number in (1, 2)]
    defaults = "SELECT column_name FROM information_schema.columns WHERE table_name = 'orders' AND column_default <> ''"
    assert warehouse.rows(defaults) == []


@pytest.mark.parametrize("partitioned", [False, True], ids=["plain", "partitioned"])
def test_the_count_is_the_servers_own_where_nothing_can_come_between(
    warehouse: PostgresSchema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partitioned: bool
) -> None:
    columns = '"id" bigint, "_slice" timestamp with time zone, "_generation" integer'
    by = " PARTITION BY RANGE (id)" if partitioned else ""
    warehouse.run(f"CREATE TABLE orders ({columns}){by}")
    if partitioned:
        warehouse.run("CREATE TABLE part PARTITION OF orders DEFAULT")
    asked: list[str] = []
    execute = postgres_session.PostgresSession.execute
    monkeypatch.setattr(
        postgres_session.PostgresSession, "execute", lambda self, sql, *a: asked.append(sql) or execute(self, sql, *a)
    )
    table = delta_table(tmp_path / "t", mode="append")
    table.load(table.publish(pa.table({"id": [1, 2]})), warehouse.connection, slice=day(1))
    assert _count(warehouse) == 2
    assert any(sql.startswith("SELECT count(*)") for sql in asked) is partitioned


def test_names_beyond_the_servers_limit_are_refused(warehouse: PostgresSchema, tmp_path: Path) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    with pytest.raises(WarehouseRefused, match="63 bytes"):
        table.load(table.publish(pa.table({"c" * 64: [1]})), warehouse.connection, slice=day(1))


@pytest.mark.parametrize(("mode", "indexes"), [("append", 1), ("overwrite", 0)])
def test_a_table_that_is_replaced_whole_gets_no_index_of_slices(
    warehouse: PostgresSchema, tmp_path: Path, mode: str, indexes: int
) -> None:
    table = delta_table(tmp_path / "t", mode=mode)
    table.load(table.publish(orders(1)), warehouse.connection, slice=day(1))
    found = warehouse.rows(
        f"SELECT count(*) FROM pg_indexes WHERE tablename = 'orders' AND schemaname = '{warehouse.schema}'"
    )
    assert found == [(indexes,)]


def test_a_load_that_waits_for_another_says_so(
    warehouse: PostgresSchema, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = delta_table(tmp_path / "t", mode="append")
    table.load(table.publish(orders(1)), warehouse.connection, slice=day(1))
    impatient = replace(warehouse.connection, extra={**warehouse.connection.extra, "lock_timeout": 1})
    with closing(PostgresSession(impatient)) as holder:
        holder.lock(holder.name(TableName("orders")))
        with pytest.raises(WarehouseError):
            table.load(table.publish(orders(2)), impatient, slice=day(2))
    (told,) = [record for record in caplog.records if getattr(record, "waiting", False)]
    assert 'another load of "' in told.getMessage()
