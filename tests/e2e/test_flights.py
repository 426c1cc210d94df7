"""The flights example end to end: the same tables, scores and quarantine on the embedded engine and on Apache Spark.

Planes, airlines and airports come from a real PostgreSQL, weather from an API that fails now and then.
"""

import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from examples.flights.inputs import TABLES, create_statement, data_folder, table_rows
from examples.flights.run import PIPELINES, run_example
from examples.run_summary import run_record
from pyarrow import csv

from batch_processing.control.records import RunRecord
from batch_processing.results import Outcome, RunResult
from batch_processing.settings.models import EngineSpec

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(900)]

KEYS = {
    "flights": ("flight_date", "carrier", "flight", "origin"),
    "flights_daily": ("flight_date", "carrier", "origin"),
}
QUARANTINED = {
    "flights": {"airports": 3, "flights": 4, "weather": 1},
    "flights_daily": {"flights": 4, "weather": 1},
}
RUN_FACTS = ("_run_id",)


@dataclass(frozen=True)
class Example:
    """What one engine made: a result and a record for each pipeline, and the folder it is in."""

    folder: Path
    results: dict[str, RunResult]
    records: dict[str, RunRecord]

    def published(self, pipeline: str) -> pa.Table:
        return _sorted(_arrow(self.folder / "delta" / pipeline), KEYS[pipeline])

    def quarantined(self, pipeline: str, source: str) -> pa.Table:
        table = _arrow(Path(self.records[pipeline].quarantine_tables[source])).drop_columns(list(RUN_FACTS))
        return _sorted(table, ("_source_row",))

    def warehouse(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.folder / "warehouse.duckdb", read_only=True) as session:
            return session.execute(sql).fetchall()


def _arrow(table: Path) -> pa.Table:
    return pa.table(DeltaTable(table).to_pyarrow_table())


def _sorted(table: pa.Table, keys: tuple[str, ...]) -> pa.Table:
    return table.sort_by([(key, "ascending") for key in keys]).combine_chunks()


@pytest.fixture(scope="module")
def aviation(postgres: Any) -> Iterator[str]:
    """The three tables in PostgreSQL; gives the connection in Airflow's JSON form."""
    with psycopg.connect(postgres.uri) as session, session.cursor() as cursor:
        cursor.execute("CREATE SCHEMA aviation; SET search_path TO aviation")
        for table in TABLES:
            cursor.execute(create_statement(table).encode())
            with cursor.copy(f"COPY {table} FROM STDIN".encode()) as sink:
                for row in table_rows(data_folder(), table):
                    sink.write_row(row)
    found = postgres.connection("aviation")
    yield json.dumps(
        {
            "conn_type": found.conn_type,
            "host": found.host,
            "port": found.port,
            "login": found.login,
            "password": found.password,
            "schema": found.schema,
            "extra": {"options": "-c search_path=aviation"},
        }
    )
    postgres.execute("DROP SCHEMA aviation CASCADE")


def _run(folder: Path, engine: EngineSpec, aviation: str) -> Example:
    results = {result.pipeline: result for result in run_example(folder, engine=engine, aviation=aviation)}
    url = f"sqlite:///{folder / 'home' / 'control.db'}"
    return Example(folder, results, {name: run_record(url, result) for name, result in results.items()})


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory, aviation: str) -> Example:
    return _run(tmp_path_factory.mktemp("flights-embedded"), EngineSpec(), aviation)


@pytest.fixture(scope="module")
def on_spark(tmp_path_factory: pytest.TempPathFactory, aviation: str, spark_cluster: Any) -> Example:
    engine = EngineSpec(name="spark", remote=spark_cluster.remote)
    return _run(tmp_path_factory.mktemp("flights-spark"), engine, aviation)


@pytest.fixture(params=["embedded", pytest.param("on_spark", marks=pytest.mark.spark)])
def example(request: pytest.FixtureRequest) -> Example:
    found: Example = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def raw() -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    """Plain SQL on the package's own files: the independent reader."""
    folder = data_folder()
    with duckdb.connect() as session:
        with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
            data = archive.read("flights.csv")
        session.register("flights_csv", _csv(data))
        session.execute("CREATE TABLE flights AS FROM flights_csv")
        yield lambda sql: session.execute(sql).fetchall()


def _csv(data: bytes) -> pa.Table:

    return csv.read_csv(
        pa.BufferReader(data), convert_options=csv.ConvertOptions(null_values=["NA"], strings_can_be_null=True)
    )


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_every_row_is_accounted_for_from_source_to_warehouse(example: Example, pipeline: str) -> None:
    result, rows = example.results[pipeline], example.results[pipeline].rows
    assert result.error == ""
    assert result.outcome is Outcome.PASS_WITH_QUARANTINE
    assert rows.rejected == 0
    assert rows.quarantined == sum(QUARANTINED[pipeline].values())
    assert rows.read == rows.landed == (rows.quarantined or 0) + (rows.valid or 0)
    assert rows.staged == rows.published == rows.loaded == example.published(pipeline).num_rows
    assert example.warehouse(f"SELECT count(*) FROM {pipeline}") == [(rows.loaded,)]
    assert Path(result.report).is_file()


@pytest.mark.parametrize(("pipeline", "source"), [(p, s) for p, sources in QUARANTINED.items() for s in sources])
def test_only_what_cannot_be_is_quarantined(example: Example, pipeline: str, source: str) -> None:
    assert example.quarantined(pipeline, source).num_rows == QUARANTINED[pipeline][source]


def test_cancelled_flights_are_published_not_quarantined(
    example: Example, raw: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    ((cancelled,),) = raw("SELECT count(*) FROM flights WHERE dep_time IS NULL")
    statuses = example.published("flights").group_by("status").aggregate([([], "count_all")]).to_pylist()
    assert {row["status"]: row["count_all"] for row in statuses} == {
        "flown": 327_342,
        "diverted": 1_175,
        "cancelled": cancelled,
    }


def test_the_daily_table_is_what_plain_sql_gives(example: Example, raw: Callable[[str], list[tuple[Any, ...]]]) -> None:
    expected = raw("""
        SELECT make_date(year, month, day), carrier, origin, count(*), count(dep_time),
               count(*) FILTER (dep_delay >= 15), count(*) FILTER (arr_delay >= 15), sum(dep_delay), sum(arr_delay),
               max(arr_delay), floor(sum(dep_delay) * 10 / count(dep_delay) + 0.5) / 10
        FROM flights WHERE air_time IS NULL OR distance * 60 <= air_time * 600
        GROUP BY ALL ORDER BY 1, 2, 3
    """)
    table = example.published("flights_daily")
    columns = ["flight_date", "carrier", "origin", "flights", "departures", "departed_late", "arrived_late"]
    columns += ["dep_delay_minutes", "arr_delay_minutes", "max_arr_delay", "mean_dep_delay"]
    counted = table.append_column("departures", pc.subtract(table["flights"], table["cancelled"]))
    found = list(zip(*(counted[name].to_pylist() for name in columns), strict=True))
    assert found == expected


def test_the_warehouse_serves_what_the_table_holds(example: Example) -> None:
    table = example.published("flights")
    sums = [pc.sum(table[name]).as_py() for name in ("dep_delay", "distance", "speed_mph")]
    assert example.warehouse("SELECT sum(dep_delay), sum(distance), sum(speed_mph) FROM flights") == [tuple(sums)]


@pytest.mark.spark
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_both_engines_publish_the_same_rows(embedded: Example, on_spark: Example, pipeline: str) -> None:
    first, second = embedded.published(pipeline), on_spark.published(pipeline)
    assert first.schema == second.schema
    assert first.num_rows == second.num_rows
    different = [name for name in first.column_names if not first[name].equals(second[name])]
    assert different == []


@pytest.mark.spark
@pytest.mark.parametrize(("pipeline", "source"), [(p, s) for p, sources in QUARANTINED.items() for s in sources])
def test_both_engines_quarantine_the_same_rows(
    embedded: Example, on_spark: Example, pipeline: str, source: str
) -> None:
    first, second = embedded.quarantined(pipeline, source), on_spark.quarantined(pipeline, source)
    assert first.to_pylist() == second.to_pylist()


@pytest.mark.spark
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_both_engines_come_to_the_same_verdicts(embedded: Example, on_spark: Example, pipeline: str) -> None:
    first, second = embedded.records[pipeline], on_spark.records[pipeline]
    assert (first.engine, second.engine) == ("embedded", "spark")
    assert first.score == second.score
    assert first.rows == second.rows
    assert first.quality == second.quality
