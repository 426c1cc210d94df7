"""Published tables as independent readers see them: all rows, and no more files than the question needs."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from batch_processing.delta_lake.publish import publish
from batch_processing.delta_lake.staging import stage

DAYS = [dt.date(2026, 1, 1), dt.date(2026, 1, 2), None]
Reader = Callable[[Path, str], "Counter[tuple[Any, ...]]"]


def with_deltalake(root: Path, condition: str) -> Counter[tuple[Any, ...]]:
    import pyarrow as pa
    from deltalake import QueryBuilder

    query = QueryBuilder().register("t", DeltaTable(root))
    table = pa.table(query.execute(f"select id, p, day, seen from t where {condition}").read_all())
    return Counter(tuple(r.values()) for r in table.to_pylist())


def with_duckdb(root: Path, condition: str) -> Counter[tuple[Any, ...]]:
    t = DeltaTable(root).to_pyarrow_dataset()  # noqa: F841 - DuckDB finds it by name
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        found = connection.sql(f"select id, p, day, seen from t where {condition}").to_arrow_table()
    return Counter(tuple(r.values()) for r in found.to_pylist())


def with_engine(session: SparkSession) -> Reader:
    def read(root: Path, condition: str) -> Counter[tuple[Any, ...]]:
        table = session.read.format("delta").load(str(root)).where(condition).select("id", "p", "day", "seen").toArrow()
        return Counter(tuple(r.values()) for r in table.to_pylist())

    return read


@pytest.fixture(params=["deltalake", "duckdb", "sail", pytest.param("spark", marks=pytest.mark.spark)])
def reader(request: pytest.FixtureRequest) -> Reader:
    if request.param == "deltalake":
        return with_deltalake
    if request.param == "duckdb":
        return with_duckdb
    return with_engine(
        request.getfixturevalue("spark_embedded" if request.param == "sail" else "spark_cluster_session")
    )


def make_table(spark: SparkSession, root: Path) -> Counter[tuple[Any, ...]]:
    """Two commits; each day of each has a file of its own."""
    rows = []
    for commit in (0, 1):
        part = [
            (
                commit * 100 + i,
                f"a/{i % 2} ü%",
                DAYS[i % 3],
                dt.datetime(2026, 1, 1 + commit, 0, 0, i, 999_999, tzinfo=dt.UTC),
            )
            for i in range(30)
        ]
        df = spark.createDataFrame(part, "id long, p string, day date, seen timestamp").coalesce(1)
        staged = stage(df, table=root, partition_by=("p", "day"), folder=f"data/{commit}/1")
        publish(staged, mode="append", app_id=f"s{commit}", generation=1, metadata={})
        rows += part
    return Counter(rows)


def test_every_reader_sees_every_row(spark: SparkSession, reader: Reader, tmp_path: Path) -> None:
    rows = make_table(spark, tmp_path)
    assert reader(tmp_path, "true") == rows


def test_partitions_and_statistics_prune(spark: SparkSession, reader: Reader, tmp_path: Path) -> None:
    """The files that a question does not need are taken away: a reader that opened one would fail."""
    rows = make_table(spark, tmp_path)
    wanted = Counter({r: n for r, n in rows.items() if r[2] == DAYS[1] and r[0] >= 100})
    for path in tmp_path.rglob("*.parquet"):
        if "day=2026-01-02" not in str(path) or "/data/0/" in str(path):
            path.unlink()
    assert reader(tmp_path, "day = date '2026-01-02' and id >= 100") == wanted


@pytest.mark.parametrize(
    ("condition", "chosen"),
    [
        ("day is null", lambda r: r[2] is None),
        ("p = 'a/1 ü%'", lambda r: r[1] == "a/1 ü%"),
        ("id between 25 and 104", lambda r: 25 <= r[0] <= 104),
        (
            "seen >= timestamp '2026-01-01 00:00:29.999'",
            lambda r: r[3] >= dt.datetime(2026, 1, 1, 0, 0, 29, 999_000, tzinfo=dt.UTC),
        ),
        (
            "seen > timestamp '2026-01-02 00:00:29.999'",
            lambda r: r[3] > dt.datetime(2026, 1, 2, 0, 0, 29, 999_000, tzinfo=dt.UTC),
        ),
    ],
)
def test_skipping_loses_no_row(
    spark_embedded: SparkSession, reader: Reader, tmp_path: Path, condition: str, chosen: Callable[[Any], bool]
) -> None:
    rows = make_table(spark_embedded, tmp_path)
    text = condition.replace("timestamp '", "timestamptz '") if reader is with_duckdb else condition
    found = reader(tmp_path, text.replace(".999'", ".999+00'") if reader is with_duckdb else text)
    assert found == Counter({r: n for r, n in rows.items() if chosen(r)})


@pytest.mark.spark
def test_a_table_that_spark_made_is_published_into(spark_cluster_session: SparkSession, tmp_path: Path) -> None:
    """Delta's own writer first, ours next, then Delta's MERGE and DELETE on top, read by both."""
    root = tmp_path / "t"
    first = spark_cluster_session.createDataFrame([(1, "a"), (2, "b")], "id long, p string")
    first.write.format("delta").partitionBy("p").save(str(root))
    staged = stage(
        spark_cluster_session.createDataFrame([(3, "a"), (4, "ü/x")], "id long, p string"),
        table=root, partition_by=("p",), folder="data/s/1",
    )  # fmt: skip
    publish(staged, mode="replace_partitions", app_id="s", generation=1, metadata={"run_id": "r"})
    spark_cluster_session.sql(f"delete from delta.`{root}` where id = 2")
    history = spark_cluster_session.sql(f"describe history delta.`{root}`").toArrow().to_pylist()
    assert [h["operation"] for h in history] == ["DELETE", "WRITE", "WRITE"]
    assert '"run_id": "r"' in history[1]["userMetadata"]
    wanted = [(3, "a"), (4, "ü/x")]
    assert sorted(tuple(r) for r in spark_cluster_session.read.format("delta").load(str(root)).collect()) == wanted
    assert (
        sorted(tuple(r.values()) for r in DeltaTable(root).to_pyarrow_table().select(["id", "p"]).to_pylist()) == wanted
    )
