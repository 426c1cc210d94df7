"""Schemas: what a Delta table can hold, and which changes are let through."""

from __future__ import annotations

import json

import pytest
from pyspark.sql import types as st

from batch_processing.delta_lake.schema import delta_schema_json, new_columns, spark_schema
from batch_processing.errors import TableError

from .files import schema_json

INT = st.IntegerType()


def struct(**fields: st.DataType) -> st.StructType:
    return st.StructType([st.StructField(name, kind) for name, kind in fields.items()])


def test_every_field_becomes_nullable_and_loses_its_metadata() -> None:
    nested = st.StructType([st.StructField("x", st.ArrayType(st.IntegerType(), containsNull=False), nullable=False)])
    schema = st.StructType(
        [st.StructField("id", st.LongType(), False, {"comment": "k"}), st.StructField("n", nested, nullable=False)]
    )
    made = spark_schema(delta_schema_json(schema, partition_by=(), where="t"))
    assert all(f.nullable and not f.metadata for f in made.fields)
    inner = made["n"].dataType
    assert isinstance(inner, st.StructType)
    assert inner["x"].nullable
    assert made["id"].dataType == st.LongType()


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (st.StructType([st.StructField("a b", st.LongType())]), "a b"),
        (st.StructType([st.StructField("v", st.NullType())]), "type void"),
        (st.StructType([st.StructField("v", st.DayTimeIntervalType())]), "interval"),
        (st.StructType([st.StructField("v", st.ArrayType(st.NullType()))]), r"v\[\]"),
        (st.StructType([st.StructField("A", st.LongType()), st.StructField("a", st.LongType())]), "twice"),
        (struct(s=struct(x=INT, y=struct(a=INT, A=INT))), r"'s\.y\.A' occurs twice"),
        (struct(s=st.ArrayType(struct(a=INT, A=INT))), r"'s\[\]\.A' occurs twice"),
        (struct(s=st.MapType(INT, struct(**{"a b": INT}))), r"'s\{value\}\.a b' has one of the characters"),
        (st.StructType([]), "no column"),
        (st.StructType([st.StructField("p", st.LongType())]), "every column is a partition column"),
    ],
)
def test_what_delta_cannot_hold_is_refused(schema: st.StructType, text: str) -> None:
    with pytest.raises(TableError, match=text):
        delta_schema_json(schema, partition_by=("p",) if "p" in schema.names else (), where="t")


def test_a_partition_column_must_exist() -> None:
    with pytest.raises(TableError, match="'p' is not a column"):
        delta_schema_json(st.StructType([st.StructField("a", st.LongType())]), partition_by=("p",), where="t")


@pytest.mark.parametrize("name", [".day", ".", ".."])
def test_a_partition_column_whose_folders_engines_hide_is_refused(name: str) -> None:
    schema = st.StructType([st.StructField("id", st.LongType()), st.StructField(name, st.StringType())])
    with pytest.raises(TableError, match=f"partition column '{name}' starts with a dot.*To do: rename"):
        delta_schema_json(schema, partition_by=(name,), where="t")
    assert name in spark_schema(delta_schema_json(schema, partition_by=(), where="t")).names


def test_structs_may_have_fields_of_the_same_name() -> None:
    schema = struct(a=struct(a=INT, b=struct(a=INT)), b=struct(A=INT))
    assert spark_schema(delta_schema_json(schema, partition_by=(), where="t")) == schema


def test_order_and_nullability_do_not_matter() -> None:
    table = json.loads(schema_json(b="string", a="long"))
    table["fields"][0]["nullable"] = False
    assert new_columns(schema_json(a="long", b="string"), json.dumps(table), change="strict", where="t") == ()


def test_strict_shows_all_differences_at_once() -> None:
    with pytest.raises(TableError) as caught:
        new_columns(schema_json(a="long", c="date"), schema_json(a="string", b="long"), change="strict", where="t")
    text = str(caught.value)
    assert "'a' is long, the table has string" in text
    assert "'b' is missing" in text
    assert "'c' (date) is not in the table" in text


def test_additive_lets_new_columns_in() -> None:
    assert new_columns(schema_json(a="long", c="date"), schema_json(a="long"), change="additive", where="t") == ("c",)


@pytest.mark.parametrize(
    ("staged", "text"),
    [
        ({"a": "integer"}, "is integer, the table has long"),
        ({"c": "date"}, "missing"),
        ({"a": "long", "A": "date"}, "only in case"),
    ],
)
def test_additive_refuses_everything_else(staged: dict[str, str], text: str) -> None:
    with pytest.raises(TableError, match=text):
        new_columns(schema_json(**staged), schema_json(a="long"), change="additive", where="t")


def test_a_nested_type_change_is_a_type_change() -> None:
    one = st.StructType([st.StructField("s", st.StructType([st.StructField("x", st.LongType())]))])
    two = st.StructType(
        [st.StructField("s", st.StructType([st.StructField("x", st.LongType()), st.StructField("y", st.LongType())]))]
    )
    staged, table = (delta_schema_json(s, partition_by=(), where="t") for s in (two, one))
    with pytest.raises(TableError, match="struct<x:long,y:long>, the table has struct<x:long>"):
        new_columns(staged, table, change="additive", where="t")
