"""NOT NULL inside of nested columns, in tables that others made: one null there makes a table unreadable."""

from __future__ import annotations

from pathlib import Path

import pytest
from deltalake import DeltaTable, Schema
from pyspark.sql import SparkSession
from pyspark.sql import types as st

from batch_processing.delta_lake.publish import publish
from batch_processing.delta_lake.staging import stage
from batch_processing.errors import TableError

STRICT = "struct<a: int not null, b: int>"
LOOSE_ARRAY = "array<struct<a: int, b: int>>"
COLUMNS = {
    "s": STRICT,
    "r": "struct<deep: struct<a: int not null>>",
    "l": "array<int>",
    "m": "map<string, int>",
    "o": f"array<{STRICT}>",
}
FULL = (
    "named_struct('a', 1, 'b', cast(null as int)) s, named_struct('deep', named_struct('a', 1)) r, array(1, 2) l, "
    "map('k', 1) m, array(named_struct('a', 1, 'b', 2)) o"
)
EMPTY = "named_struct('a', 2, 'b', 3) s, named_struct('deep', named_struct('a', 1)) r, {l} l, {m} m, {o} o"
NULL = "cast(null as {})"
LESS = [
    EMPTY.format(l=NULL.format("array<int>"), m=NULL.format("map<string, int>"), o=NULL.format(LOOSE_ARRAY)),
    EMPTY.format(
        l="cast(array() as array<int>)", m="cast(map() as map<string, int>)", o=f"cast(array() as {LOOSE_ARRAY})"
    ),
]
BAD = [
    ("s.a", "cast(null as struct<a: int, b: int>) s"),
    ("r.deep.a", "named_struct('deep', cast(null as struct<a: int>)) r"),
    ("o[].a", "array(cast(null as struct<a: int, b: int>)) o"),
    ("s.a", "named_struct('a', cast(null as int), 'b', 1) s"),
    ("r.deep.a", "named_struct('deep', named_struct('a', cast(null as int))) r"),
    ("l[]", "array(1, cast(null as int)) l"),
    ("m{value}", "map('k', cast(null as int)) m"),
    ("o[].a", "array(named_struct('a', 1, 'b', 2), named_struct('a', cast(null as int), 'b', 2)) o"),
]


def made_by_another(root: Path) -> None:
    schema = st.StructType.fromDDL(", ".join(f"{name} {kind}" for name, kind in COLUMNS.items()))
    schema["l"].dataType.containsNull = False
    schema["m"].dataType.valueContainsNull = False
    DeltaTable.create(str(root), Schema.from_json(schema.json()))


def append(spark: SparkSession, root: Path, query: str) -> None:
    staged = stage(spark.sql(query), table=root, partition_by=(), folder=f"data/s/{len(list(root.rglob('*')))}")
    publish(staged, mode="append", app_id=query, generation=1, metadata={})


def test_a_null_where_a_nested_field_is_not_null_is_refused_by_its_path(spark: SparkSession, tmp_path: Path) -> None:
    made_by_another(tmp_path)
    append(spark, tmp_path, f"select {FULL} union all select {' union all select '.join(LESS)}")
    for path, value in BAD:
        name = value.rsplit(" ", 1)[-1]
        others = ", ".join(other if other != name else value for other in COLUMNS)
        with pytest.raises(TableError, match="declares NOT NULL") as caught:
            append(spark, tmp_path, f"select {others} from (select {FULL}) union all select {FULL}")
        assert f"column {path}]" in str(caught.value)
    assert DeltaTable(tmp_path).to_pyarrow_table().num_rows == 3
    assert spark.read.format("delta").load(str(tmp_path)).count() == 3


def test_a_nested_column_that_is_itself_not_null_takes_rows_that_have_it(
    spark_embedded: SparkSession, tmp_path: Path
) -> None:
    schema = st.StructType([st.StructField("s", st.StructType.fromDDL("a int"), nullable=False)])
    DeltaTable.create(str(tmp_path), Schema.from_json(schema.json()))
    append(spark_embedded, tmp_path, "select named_struct('a', cast(null as int)) s")
    with pytest.raises(TableError, match="column s]"):
        append(spark_embedded, tmp_path, "select cast(null as struct<a: int>) s")
    assert DeltaTable(tmp_path).to_pyarrow_table().num_rows == 1
