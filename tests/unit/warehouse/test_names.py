"""Names of tables and columns in SQL."""

from __future__ import annotations

import pytest

from batch_processing.errors import WarehouseRefused
from batch_processing.warehouse.names import TableName, parse_table, quoted


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("orders", TableName("orders")),
        ("sales.orders", TableName("orders", "sales")),
        ("Order Lines", TableName("Order Lines")),
        ('"a.b"', TableName("a.b")),
        ('"a.b"."c""d"', TableName('c"d', "a.b")),
        ('sales."c.d"', TableName("c.d", "sales")),
        ("a; drop table b", TableName("a; drop table b")),
    ],
)
def test_table_names_are_read_with_and_without_schema(text: str, name: TableName) -> None:
    assert parse_table(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a.",
        ".a",
        "a.b.c",
        'a"b',
        '"a',
        '""',
        '"a"b',
        "_batch_loads",
        "x._batch_incoming",
        "_BATCH_LATER",
        "a. b",
        "a\x00",
        '" "',
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(WarehouseRefused):
        parse_table(text)


def test_quotes_in_names_are_doubled() -> None:
    assert quoted('a"; DROP TABLE b; --') == '"a""; DROP TABLE b; --"'
    assert TableName("t", "s").sql == '"s"."t"'
