"""NaN is the greatest number for readers that filter; no file's bounds make them skip it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from batch_processing.delta_lake.footers import drop_bounds_of_nan
from batch_processing.delta_lake.publish import publish
from batch_processing.delta_lake.staging import read_staged, stage
from batch_processing.errors import StorageError

SCHEMA = "n long, x double, f float, st struct<y: double, z: int>, many array<double>, word string, price decimal(12,2)"
NAN = float("nan")
ROWS = [
    (1, 1.5, 1.5, (1.5, 1), [1.5], "a", None),
    (2, NAN, NAN, (NAN, 2), [NAN, None], None, None),
    (3, None, None, None, None, "c", None),
]
FILTERS = {
    "x > 100": [2], "x > 1": [1, 2], "x = double('NaN')": [2], "f > 100": [2], "st.y > 100": [2], "x < 100": [1],
    "n > 2": [3], "word = 'c'": [3],
}  # fmt: skip


def published(df: Any, root: Path) -> Any:
    staged = stage(df.coalesce(1), table=root, partition_by=(), folder="data/s/1")
    publish(staged, mode="append", app_id="s", generation=1, metadata={})
    return staged


def test_filters_find_nan_whoever_reads(spark: Any, spark_embedded: Any, tmp_path: Path) -> None:
    df = spark.createDataFrame(ROWS, SCHEMA)
    staged = published(df, tmp_path / "t")

    assert Counter(map(repr, read_staged(spark, staged).collect())) == Counter(map(repr, df.collect()))
    files = DeltaTable(str(tmp_path / "t")).file_uris()
    for reader in (spark, spark_embedded):
        rows = reader.read.parquet(*files)
        found = {text: sorted(row.n for row in rows.where(text).collect()) for text in FILTERS}
        assert found == FILTERS
    for text, numbers in FILTERS.items():
        query = f"SELECT n FROM read_parquet({files}) WHERE {text.replace('double(', '(DOUBLE ')}"
        assert sorted(row[0] for row in duckdb.sql(query).fetchall()) == numbers, text


ODD = (
    "n long, x double, tiny tinyint, small smallint, flag boolean, raw binary, day date, t timestamp, "
    "tn timestamp_ntz, price decimal(38,18), m map<string, double>, "
    "deep array<struct<a: float, b: timestamp>>, nothing string"
)
MOMENT = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def test_every_type_is_as_it_was_in_a_file_that_is_written_again(spark: Any, tmp_path: Path) -> None:
    local, price = MOMENT.replace(tzinfo=None), Decimal("-99999999999999999999.999999999999999999")
    rows = [
        (1, NAN, -128, -32768, True, b"\x00\xff", date(1, 1, 1), MOMENT, local, Decimal("1e-18"), {"k": NAN},
         [(1.5, MOMENT), None], None),
        (2, -0.0, 127, 32767, False, b"", date(9999, 12, 31), MOMENT, local, price, {}, [], None),
        (3, float("-inf"), None, None, None, None, None, None, None, None, None, None, None),
    ]  # fmt: skip
    df = spark.createDataFrame(rows, ODD)
    staged = published(df, tmp_path / "t")

    back = read_staged(spark, staged)

    assert back.schema == df.schema
    assert Counter(map(repr, back.collect())) == Counter(map(repr, df.collect()))
    assert [path.name for path in (tmp_path / "t/data/s/1").iterdir()] == [Path(staged.files[0].path).name]
    table = DeltaTable(str(tmp_path / "t")).to_pyarrow_table().to_pylist()
    assert {row["n"]: row["t"] for row in table} == {1: MOMENT, 2: MOMENT, 3: None}


def test_bounds_stay_where_there_is_no_nan(spark_embedded: Any, tmp_path: Path) -> None:
    staged = published(spark_embedded.createDataFrame(ROWS[:1], SCHEMA), tmp_path / "t")
    footer = pq.read_metadata(tmp_path / "t" / staged.files[0].path).row_group(0)
    bounds = {footer.column(i).path_in_schema: footer.column(i).statistics for i in range(footer.num_columns)}
    assert (bounds["x"].min, bounds["x"].max) == (1.5, 1.5)


def test_bounds_of_other_columns_stay_beside_nan(spark_embedded: Any, tmp_path: Path) -> None:
    staged = published(spark_embedded.createDataFrame(ROWS, SCHEMA), tmp_path / "t")
    footer = pq.read_metadata(tmp_path / "t" / staged.files[0].path).row_group(0)
    bounds = {footer.column(i).path_in_schema: footer.column(i).statistics for i in range(footer.num_columns)}
    assert (bounds["n"].min, bounds["n"].max) == (1, 3)
    assert bounds["x"] is None
    assert bounds["st.y"] is None
    assert staged.files[0].stats["maxValues"]["n"] == 3


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing")
    with pytest.raises(StorageError, match="cannot be read"):
        drop_bounds_of_nan(tmp_path / "a.parquet")
