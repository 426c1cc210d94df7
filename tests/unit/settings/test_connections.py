"""Connections are read as Airflow reads them, and never show what is secret."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_processing.errors import SettingError
from batch_processing.settings.connections import Connection, parse_connection


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "postgresql://u:p%40x@Host:5432/db?sslmode=require&n=3",
            {
                "conn_type": "postgres", "host": "host", "port": 5432, "login": "u", "password": "p@x",
                "schema": "db", "extra": {"sslmode": "require", "n": 3},
            },
        ),
        ("http://https%3A%2F%2Fapi.x.io", {"conn_type": "http", "host": "https://api.x.io"}),
        (
            "http://https://api.x.io:8443/v1",
            {"conn_type": "http", "host": "https://api.x.io", "port": 8443, "schema": "v1"},
        ),
        ("sqlite:////tmp/x.db", {"conn_type": "sqlite", "schema": "/tmp/x.db"}),
        ("duckdb://%2Ftmp%2FX.db", {"conn_type": "duckdb", "host": "/tmp/X.db"}),
        ("postgres://%2Frun%2FPG:5433/x", {"conn_type": "postgres", "host": "/run/PG", "port": 5433, "schema": "x"}),
        ("smtp://h:25?__extra__=%7B%22a%22%3A1%7D", {"conn_type": "smtp", "host": "h", "port": 25, "extra": {"a": 1}}),
        ("spark-connect://h:15002", {"conn_type": "spark_connect", "host": "h", "port": 15002}),
    ],
)  # fmt: skip
def test_a_uri_is_read_as_airflow_reads_it(text: str, expected: dict[str, Any]) -> None:
    assert parse_connection("c", text) == Connection(conn_id="c", **expected)


@pytest.mark.parametrize("extra", [{"a": 1}, '{"a": 1}'])
def test_json_is_read_with_extra_as_object_or_text(extra: object) -> None:
    given_json = {"conn_type": "postgresql", "host": "h", "port": "5432", "login": "u", "password": 7, "extra": extra}
    assert parse_connection("c", json.dumps(given_json)) == Connection(
        conn_id="c", conn_type="postgres", host="h", port=5432, login="u", password="7", extra={"a": 1}
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "://hunter2@h",
        "postgres://u:hunter2@h:port/d",
        "postgres://u:hunter2@h:99999/d",
        "postgres://u:hunter2@[h/d",
        "http://u:hunter2@https://h",
        '{"password": "hunter2"}',
        '{"conn_type": "postgres", "password": "hunter2"',
        '{"conn_type": "postgres", "passwort": "hunter2"}',
        '{"conn_type": "postgres", "password": ["hunter2"]}',
        '{"conn_type": "postgres", "port": "hunter2"}',
        '{"conn_type": "postgres", "port": 0}',
        '{"conn_type": "postgres", "extra": "hunter2"}',
        '{"conn_type": "postgres", "extra": [1]}',
        "{" * 100_000,
    ],
)
def test_what_is_no_connection_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(SettingError, match="connection crm") as caught:
        parse_connection("crm", text)
    chain = [caught.value, caught.value.__cause__]
    assert "hunter2" not in "".join(map(str, chain))


@given(st.text(max_size=40), st.sampled_from(["", "http://", "postgres://u:p@", '{"conn_type":', "{"]))
def test_no_text_breaks_the_reading(text: str, prefix: str) -> None:
    with contextlib.suppress(SettingError):
        parse_connection("c", prefix + text)


def test_the_repr_holds_no_credential() -> None:
    shown = repr(parse_connection("c", "http://hunter:hunter2@h?token=hunter3"))
    assert "hunter" not in shown
