"""Staging on both engines: what was written is what is read back, value for value."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as sf
from pyspark.sql import types as st

from batch_processing.delta_lake.publish import publish
from batch_processing.delta_lake.staging import discard, read_staged, stage
from batch_processing.errors import DataError, StorageError, TableError, TransformError, UsageError

TEXTS = [
    "plain", "a b", " lead", "trail ", "a/b", "a\\b",
    "a:b", "50%", "a%2Fb", "ünï€😀", "q'x\"", "a=b", "#?&+[]{}^*", "\n\t",
    ".", "..", "null", "NULL", "2026-01-01", None,
]  # fmt: skip


def rows_of(df: Any) -> Counter[str]:
    return Counter(repr(tuple(row)) for row in df.collect())


def test_partition_texts_come_back_as_they_were(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(i, t, dt.date(2026, 1, 1 + i % 3) if i % 4 else None) for i, t in enumerate(TEXTS)]
    df = spark.createDataFrame(rows, "id long, p string, d date")
    staged = stage(df, table=tmp_path, partition_by=("p", "d"), folder="data/s/1")
    assert (staged.rows, len(staged.files)) == (len(rows), len(rows))
    wanted = {(p, None if d is None else d.isoformat()) for _, p, d in rows}
    assert {(f.partition_values["p"], f.partition_values["d"]) for f in staged.files} == wanted
    back = read_staged(spark, staged)
    assert back.schema == df.schema
    assert rows_of(back) == rows_of(df)


PARTITION_VALUES: list[tuple[str, list[Any], list[str]]] = [
    ("int", [-7, 0], ["-7", "0"]),
    ("boolean", [True, False], ["true", "false"]),
    ("decimal(20,3)", [Decimal("-1.500"), Decimal("0.000")], ["-1.500", "0.000"]),
    ("date", [dt.date(1969, 2, 3), dt.date(9999, 12, 31)], ["1969-02-03", "9999-12-31"]),
    (
        "timestamp",
        [dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC), dt.datetime(2026, 6, 1, tzinfo=dt.UTC)],
        ["2026-01-02T03:04:05.678901Z", "2026-06-01T00:00:00.000000Z"],
    ),
]


def test_partition_values_of_every_type_come_back_as_they_were(spark: SparkSession, tmp_path: Path) -> None:
    fields = [f"p{i} {kind}" for i, (kind, _, _) in enumerate(PARTITION_VALUES)]
    rows = [(n, *(values[n] for _, values, _ in PARTITION_VALUES)) for n in (0, 1)]
    rows.append((2, *(None for _ in PARTITION_VALUES)))
    df = spark.createDataFrame(rows, ", ".join(["id long", *fields]))
    columns = tuple(f"p{i}" for i in range(len(PARTITION_VALUES)))
    staged = stage(df, table=tmp_path, partition_by=columns, folder="data/s/1")
    texts = {tuple(f.partition_values.values()) for f in staged.files}
    assert texts == {tuple(t[n] for _, _, t in PARTITION_VALUES) for n in (0, 1)} | {(None,) * len(columns)}
    assert rows_of(read_staged(spark, staged)) == rows_of(df)


DAYS = ["0001-01-01", "1969-12-31", "1970-01-01", "2026-11-26", "9999-12-31"]


def test_folders_of_dates_are_named_by_their_dates(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(i, "x", dt.date.fromisoformat(day)) for i, day in enumerate(DAYS)] + [(9, "x", None), (10, None, None)]
    df = spark.createDataFrame(rows, "id long, p string, d date")
    staged = stage(df, table=tmp_path, partition_by=("d", "p"), folder="data/s/1")
    null = "__HIVE_DEFAULT_PARTITION__"
    wanted = {f"data/s/1/d={day}/p=x" for day in [*DAYS, null]} | {f"data/s/1/d={null}/p={null}"}
    assert {str(Path(f.path).parent) for f in staged.files} == wanted
    assert {p.name for p in (tmp_path / "data/s/1").iterdir()} == {f"d={day}" for day in [*DAYS, null]}
    assert rows_of(read_staged(spark, staged)) == rows_of(df)


@pytest.mark.parametrize("days", [1, 17_327_205])
def test_dates_outside_the_calendar_are_refused(spark: SparkSession, tmp_path: Path, days: int) -> None:
    late = sf.date_add(sf.lit(dt.date(9999, 12, 31)), sf.lit(days).cast("int"))
    df = spark.range(3).withColumn("d", sf.when(sf.col("id") == 1, late).otherwise(sf.lit(dt.date(2026, 1, 1))))
    with pytest.raises(DataError, match="not a date between"):
        stage(df, table=tmp_path, partition_by=("d",), folder="data/s/1")
    assert list(tmp_path.iterdir()) == []


def test_values_that_hardly_repeat_take_no_more_than_their_own_bytes(
    spark_embedded: SparkSession, tmp_path: Path
) -> None:
    """A dictionary that is given up late holds them all, and every row a number for its value besides."""
    rows = 400_000
    df = spark_embedded.range(rows).select(sf.xxhash64("id").alias("key"), (sf.col("id") % 100).alias("often"))
    staged = stage(df, table=tmp_path, partition_by=(), folder="data/s/1")
    footers = [pq.read_metadata(tmp_path / f.path) for f in staged.files]
    groups = [footer.row_group(g) for footer in footers for g in range(footer.num_row_groups)]
    key, often = (sum(group.column(c).total_compressed_size for group in groups) for c in (0, 1))
    assert key < 9 * rows
    assert often < 1.1 * rows


def test_all_column_types_come_back_as_they_were(spark: SparkSession, tmp_path: Path) -> None:
    kinds = (
        "b boolean, t tinyint, s smallint, i int, l long, f float, d double, c decimal(38,10), x string, y binary, "
        "j date, z timestamp, n timestamp_ntz, a array<int>, m map<string,double>, "
        "r struct<u: long, v: array<struct<w: string>>>"
    )
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC)
    full = (
        True, 1, 2, 3, 2**62, 1.5, float("nan"), Decimal("12345678901234567890.0123456789"),
        "ü", b"\x00\xff", dt.date(1900, 1, 1),
        moment, moment.replace(tzinfo=None), [1, None], {"k": 1.5}, (1, [("w",)]),
    )  # fmt: skip
    df = spark.createDataFrame([full, (None,) * len(full)], kinds)
    staged = stage(df, table=tmp_path, partition_by=(), folder="data/s/1")
    back = read_staged(spark, staged)
    assert [f.dataType.simpleString() for f in back.schema] == [f.dataType.simpleString() for f in df.schema]
    assert rows_of(back) == rows_of(df)
    publish(staged, mode="append", app_id="a", generation=1, metadata={})
    assert rows_of(spark.read.format("delta").load(str(tmp_path))) == rows_of(df)


def test_no_rows_leave_no_files_and_can_be_read_and_published(spark: SparkSession, tmp_path: Path) -> None:
    for number, parts in enumerate([(), ("p",)]):
        df = spark.createDataFrame([], "id long, p string")
        staged = stage(df, table=tmp_path / str(number), partition_by=parts, folder="data/s/1")
        assert (staged.files, staged.rows) == ((), 0)
        assert not (tmp_path / str(number) / "data").exists()
        assert read_staged(spark, staged).count() == 0
        assert read_staged(spark, staged).schema == df.schema
        made = publish(staged, mode="append", app_id="a", generation=1, metadata={})
        assert (made.rows, made.version) == (0, 0)
        assert spark.read.format("delta").load(str(tmp_path / str(number))).count() == 0


@pytest.mark.parametrize("value", ["", "__HIVE_DEFAULT_PARTITION__"])
def test_partition_values_that_delta_cannot_hold_are_refused(spark: SparkSession, tmp_path: Path, value: str) -> None:
    df = spark.createDataFrame([(1, value), (2, "ok")], "id long, p string")
    with pytest.raises(DataError, match="empty string"):
        stage(df, table=tmp_path, partition_by=("p",), folder="data/s/1")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_row_is_the_transforms_fault_and_leaves_nothing(spark: SparkSession, tmp_path: Path) -> None:
    # One partition: with more, Apache Spark's other tasks go on for as long as the machine lets them.
    df = spark.range(0, 10, 1, 1).select(sf.raise_error(sf.lit("secret value")).cast("long").alias("id"))
    with pytest.raises(TransformError) as caught:
        stage(df, table=tmp_path, partition_by=(), folder="data/s/1")
    assert "secret value" not in str(caught.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("value", ["a" * 254, "/" * 90])
def test_a_partition_value_too_long_for_a_folder_is_told(spark: SparkSession, tmp_path: Path, value: str) -> None:
    df = spark.createDataFrame([(1, value)], "id long, p string")
    with pytest.raises(DataError, match="too long for the name of its folder"):
        stage(df, table=tmp_path, partition_by=("p",), folder="data/s/1")
    assert not (tmp_path / "data").exists()


def test_letters_beyond_ascii_count_as_the_embedded_engine_escapes_them(
    spark_embedded: SparkSession, tmp_path: Path
) -> None:
    df = spark_embedded.createDataFrame([(1, "ü" * 60)], "id long, p string")
    with pytest.raises(DataError, match="too long for the name of its folder"):
        stage(df, table=tmp_path, partition_by=("p",), folder="data/s/1")
    assert not (tmp_path / "data").exists()


def test_what_other_tasks_of_a_failed_write_still_write_is_removed(
    spark_embedded: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = tmp_path / "data/s/1/_temporary/task"
    stragglers = []

    def fail_while_a_task_goes_on(*_: object) -> None:
        def write() -> None:
            for _ in range(3):
                time.sleep(0.05)
                with contextlib.suppress(OSError):  # the folder is being removed, which a task would meet too
                    late.mkdir(parents=True, exist_ok=True)
                    (late / "part-1.parquet").write_bytes(b"x")

        stragglers.append(threading.Thread(target=write))
        stragglers[0].start()
        raise RuntimeError("the write failed")

    monkeypatch.setattr("batch_processing.delta_lake.staging.with_plain_partitions", fail_while_a_task_goes_on)

    with pytest.raises(RuntimeError, match="the write failed"):
        stage(spark_embedded.range(3), table=tmp_path, partition_by=(), folder="data/s/1")

    assert not stragglers[0].is_alive()
    assert not (tmp_path / "data").exists()


def test_a_folder_is_used_once(spark: SparkSession, tmp_path: Path) -> None:
    df = spark.range(3)
    staged = stage(df, table=tmp_path, partition_by=(), folder="data/s/1")
    with pytest.raises(StorageError, match="exists already"):
        stage(df, table=tmp_path, partition_by=(), folder="data/s/1")
    other = stage(df, table=tmp_path, partition_by=(), folder="data/s/2")
    discard(staged)
    assert read_staged(spark, other).count() == 3
    assert sorted(p.name for p in (tmp_path / "data/s").iterdir()) == ["2"]


def test_a_foreign_file_in_the_folder_is_noticed(spark: SparkSession, tmp_path: Path) -> None:
    staged = stage(spark.range(3), table=tmp_path, partition_by=(), folder="data/s/1")
    first = tmp_path / staged.files[0].path
    first.with_name("late.parquet").write_bytes(first.read_bytes())
    with pytest.raises(StorageError, match="not those"):
        read_staged(spark, staged)


@pytest.mark.parametrize("folder", ["", "/abs", "../out", "_hidden/x", "data/.x"])
def test_a_folder_outside_or_hidden_is_refused(spark_embedded: SparkSession, tmp_path: Path, folder: str) -> None:
    with pytest.raises(UsageError, match="staging folder"):
        stage(spark_embedded.range(3), table=tmp_path, partition_by=(), folder=folder)


def test_columns_that_cannot_partition_are_refused(spark_embedded: SparkSession, tmp_path: Path) -> None:
    df = spark_embedded.range(3).withColumn("p", sf.lit(1.5))
    with pytest.raises(TableError, match="p: double"):
        stage(df, table=tmp_path, partition_by=("p",), folder="data/s/1")


def test_unusual_column_names_are_kept(spark: SparkSession, tmp_path: Path) -> None:
    fields = [
        st.StructField("a.b", st.LongType()),
        st.StructField("ü`x", st.StringType()),
        st.StructField("p.q", st.StringType()),
    ]
    df = spark.createDataFrame([(1, "x", "y")], st.StructType(fields))
    staged = stage(df, table=tmp_path, partition_by=("p.q",), folder="data/s/1")
    assert rows_of(read_staged(spark, staged)) == rows_of(df)


def test_a_plan_that_cannot_be_is_the_transforms_fault_and_is_explained(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(TransformError, match="nope"):
        stage(spark.range(3).select("nope"), table=tmp_path, partition_by=(), folder="data/s/1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a%20b", "a*", "a?b", "a[b]", "a{b}", "a#b", "a\\b"])
def test_a_table_path_that_readers_would_misread_is_refused(
    spark_embedded: SparkSession, tmp_path: Path, name: str
) -> None:
    with pytest.raises(UsageError, match="table's path"):
        stage(spark_embedded.range(3), table=tmp_path / name, partition_by=(), folder="data/s/1")
