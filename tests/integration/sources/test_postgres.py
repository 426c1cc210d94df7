"""A real PostgreSQL server as a source."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from batch_processing.errors import BatchError, SettingError, SourceSchemaError, SourceUnavailable
from batch_processing.results import Landed
from batch_processing.settings.models import SourceSpec
from batch_processing.settings.values import Connection
from batch_processing.sources.database import extract_database
from tests.services.postgres import PostgresServer

pytestmark = pytest.mark.postgres

KINDS = """CREATE TABLE shop."order" (
    id bigint, small smallint, mid int, ok boolean, price numeric(20,4), free numeric, x double precision, r real,
    d date, z timestamptz, n timestamp, t text, u uuid, j jsonb, a int[], i interval)"""
ROW = """(9223372036854775807, -32768, 2147483647, true, 1234567890123456.7891, 0.1, 'NaN', 1.5, '2024-02-29',
    '2026-11-01 02:00:00.123456+02', '2026-11-01 02:00:00', 'é "x"', '00000000-0000-0000-0000-000000000001', '{"k": 1}',
    '{1,2}', '1 day')"""


@pytest.fixture(scope="module")
def server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    postgres.execute("CREATE SCHEMA shop")
    postgres.execute(KINDS)
    postgres.execute(f'INSERT INTO shop."order" VALUES {ROW}')
    postgres.execute('INSERT INTO shop."order" (id) VALUES (2)')
    yield postgres
    postgres.start()
    postgres.execute("DROP SCHEMA shop CASCADE")


def extract(connection: Connection, folder: Path, columns: dict[str, str] | None = None, **database: Any) -> Landed:
    spec = SourceSpec.model_validate({"database": {"connection": "pg", **database}, "schema": columns or {}})
    return extract_database(spec, source="s", connection=connection, query=database.get("query"), folder=folder)


def test_every_kind_of_value_lands_exactly(server: PostgresServer, tmp_path: Path) -> None:
    columns = {
        "n": "timestamp_ntz", "id": "bigint", "small": "smallint", "mid": "int", "ok": "boolean",
        "price": "decimal(20,4)", "free": "decimal(10,3)", "r": "float", "d": "date", "z": "timestamp",
        "t": "string", "u": "string", "j": "string", "a": "string", "i": "string",
    }  # fmt: skip
    landed = extract(server.connection(), tmp_path, columns, table="shop.order")
    table = pq.read_table(landed.files[0]).sort_by([("id", "descending")])
    assert list(table.to_pylist()[0].values()) == [
        datetime(2026, 11, 1, 2, tzinfo=UTC).replace(tzinfo=None), 9223372036854775807, -32768, 2147483647, True,
        Decimal("1234567890123456.7891"), Decimal("0.100"), 1.5, date(2024, 2, 29),
        datetime(2026, 11, 1, 0, 0, 0, 123456, tzinfo=UTC), 'é "x"', "00000000-0000-0000-0000-000000000001",
        '{"k": 1}', "{1,2}", "1 day", "pg:shop.order", 1,
    ]  # fmt: skip
    assert table.column("z").type.tz == "UTC"
    assert table.column("n").type.tz is None
    assert set(table.to_pylist()[1].values()) == {None, 2, "pg:shop.order"}


def test_without_a_schema_the_database_says_the_types(server: PostgresServer, tmp_path: Path) -> None:
    landed = extract(server.connection(), tmp_path, query='SELECT id, price, z, n, d, x, u FROM shop."order";')
    types = [str(field.type) for field in pq.read_schema(landed.files[0])][:7]
    assert types == [
        "int64", "decimal128(20, 4)", "timestamp[us, tz=UTC]", "timestamp[us]", "date32[day]", "double", "string",
    ]  # fmt: skip
    assert pq.read_table(landed.files[0]).column("_source_file")[0].as_py() == "pg:query"
    with pytest.raises(SourceSchemaError, match="full type for column free"):
        extract(server.connection(), tmp_path, table="shop.order")


def test_values_that_do_not_fit_are_rejects(server: PostgresServer, tmp_path: Path) -> None:
    query = (
        "SELECT i AS id, CASE WHEN i % 2 = 0 THEN 'NaN'::numeric ELSE i + 0.5 END AS m FROM generate_series(1, 99) i"
    )
    landed = extract(server.connection(), tmp_path, {"id": "smallint", "m": "decimal(4,1)"}, query=query)
    assert (landed.read, landed.landed, landed.rejected) == (99, 50, 49)
    reject = pq.read_table(landed.reject_files[0]).to_pylist()[0]
    assert (reject["_source_row"], reject["column"], reject["error"]) == (2, "m", "m: not a valid decimal(4,1)")


def test_a_big_table_streams_in_flat_memory(server: PostgresServer, tmp_path: Path) -> None:
    def export(rows: int) -> int:
        query = f"SELECT i::bigint AS id, repeat('x', 100) || i AS t FROM generate_series(1, {rows}) i"
        assert extract(server.connection(), tmp_path / str(rows), query=query).landed == rows
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    small = export(500_000)
    assert export(3_000_000) - small < 200
    numbers = pq.read_table(tmp_path / "3000000", columns=["_source_row"]).column(0)
    assert numbers.to_pylist() == list(range(1, 3_000_001))


@pytest.mark.parametrize(
    ("columns", "database", "said"),
    [
        ({"id": "int"}, {"table": "shop.orders"}, r"no such table: shop.orders \(did you mean shop.order\?\)"),
        ({"idd": "int"}, {"table": "shop.order"}, r"idd \(did you mean id\?\)"),
        ({"id": "int"}, {"query": "SELECT nope FROM shop.order"}, "refused the query"),
        ({"id": "int"}, {"query": "SELECT 1 AS id, 2 AS id"}, "named id"),
        ({"id": "int"}, {"query": "SELECT 'geheim-value'::text::int AS id"}, "failed on a value"),
    ],
)
def test_what_does_not_fit_the_declaration_is_named(
    server: PostgresServer, tmp_path: Path, columns: dict[str, str], database: dict[str, str], said: str
) -> None:
    with pytest.raises(SourceSchemaError, match=said) as caught:
        extract(server.connection(), tmp_path, columns, **database)
    assert "geheim" not in str(caught.value)


def test_wrong_credentials_and_missing_rights_are_settings(server: PostgresServer, tmp_path: Path) -> None:
    server.execute("CREATE ROLE reader LOGIN PASSWORD 'p'")
    try:
        cases = (
            (server.connection(password="wrong-secret"), "login"),
            (server.connection(schema="nodb"), "login|no such database"),
            (server.connection(login="reader", password="p"), "no right"),
        )
        for connection, said in cases:
            with pytest.raises(SettingError, match=said) as caught:
                extract(connection, tmp_path, {"id": "int"}, table="shop.order")
            assert "wrong-secret" not in _chain(caught.value)
    finally:
        server.execute("DROP ROLE reader")


def test_a_server_that_is_down_is_unavailable_and_then_answers(server: PostgresServer, tmp_path: Path) -> None:
    server.stop()
    with pytest.raises(SourceUnavailable) as caught:
        extract(server.connection(), tmp_path, {"id": "bigint"}, table="shop.order")
    assert caught.value.retryable
    assert server.password not in _chain(caught.value)
    server.start()
    assert extract(server.connection(), tmp_path, {"id": "bigint"}, table="shop.order").landed == 2


def test_other_drivers_go_through_sqlalchemy(server: PostgresServer, tmp_path: Path) -> None:
    connection = server.connection(conn_type="generic", extra={"drivername": "postgresql+psycopg"})
    columns = {
        "id": "bigint",
        "price": "decimal(20,4)",
        "z": "timestamp",
        "n": "timestamp_ntz",
        "d": "date",
        "t": "string",
    }
    landed = extract(connection, tmp_path, columns, table="shop.order")
    row = pq.read_table(landed.files[0]).to_pylist()[0]
    assert list(row.values())[:5] == [
        9223372036854775807, Decimal("1234567890123456.7891"), datetime(2026, 11, 1, 0, 0, 0, 123456, tzinfo=UTC),
        datetime(2026, 11, 1, 2, tzinfo=UTC).replace(tzinfo=None), date(2024, 2, 29),
    ]  # fmt: skip
    query = "SELECT i AS id, 'a:b' AS t FROM generate_series(1, 5) i"
    assert extract(connection, tmp_path, {"id": "bigint", "t": "string"}, query=query, fetch_rows=2).landed == 5
    with pytest.raises(SourceSchemaError, match="did you mean order"):
        extract(connection, tmp_path, columns, table="shop.orders")
    down = server.connection(conn_type="generic", extra={"drivername": "postgresql+psycopg"}, port=1)
    with pytest.raises(SourceUnavailable):
        extract(down, tmp_path, columns, table="shop.order")


def _chain(error: BaseException | None) -> str:
    text = ""
    while error is not None:
        text += str(error) + (repr(error) if isinstance(error, BatchError) else "")
        error = error.__cause__
    return text
