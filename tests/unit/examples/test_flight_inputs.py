"""The flights example's input: what the package holds, typed, and an API that fails on fixed requests."""

import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from examples.flights import inputs


def test_the_database_holds_every_row_of_the_package_typed(tmp_path: Path) -> None:
    counts = inputs.make_database(tmp_path / "aviation.db", folder=inputs.data_folder())
    assert counts == {"planes": 3_322, "airlines": 16, "airports": 1_458}
    with closing(sqlite3.connect(tmp_path / "aviation.db")) as database:
        assert database.execute("SELECT count(*) FROM planes WHERE year IS NULL").fetchone() == (70,)
        assert database.execute("SELECT typeof(lat), typeof(alt) FROM airports LIMIT 1").fetchone() == (
            "real",
            "integer",
        )


def test_a_second_database_replaces_the_first(tmp_path: Path) -> None:
    first = inputs.make_database(tmp_path / "aviation.db", folder=inputs.data_folder())
    assert inputs.make_database(tmp_path / "aviation.db", folder=inputs.data_folder()) == first


def test_the_weather_comes_in_pages_and_the_trouble_on_fixed_requests() -> None:
    with inputs.weather_api(inputs.data_folder()) as api, httpx.Client(trust_env=False) as client:
        url = f"http://127.0.0.1:{api.port}/weather"
        rows = 0
        page = pages = 1
        while page <= pages:
            answer = client.get(url, params={"year": 2013, "page": page})
            if answer.status_code == httpx.codes.OK:
                pages = answer.json()["pages"]
                rows += len(answer.json()["observations"])
                page += 1
    assert rows == 26_115
    assert [number for number, status in enumerate(api.answers, start=1) if status != httpx.codes.OK] == [6, 10, 12]
    assert set(api.answers) == {200, 429, 503}


def test_a_year_without_weather_is_empty_not_wrong() -> None:
    with inputs.weather_api(inputs.data_folder()) as api, httpx.Client(trust_env=False) as client:
        answer = client.get(f"http://127.0.0.1:{api.port}/weather", params={"year": 1999})
    assert answer.json() == {"page": 1, "pages": 1, "observations": []}


def test_a_missing_package_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "find_spec", lambda _: None)
    with pytest.raises(inputs.DataMissingError, match="make install"):
        inputs.data_folder()
