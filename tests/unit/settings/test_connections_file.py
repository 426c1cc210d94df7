import json
from pathlib import Path

import pytest

from batch_processing.errors import SettingError
from batch_processing.settings.connections_file import read_connections_file
from batch_processing.settings.project import project_at
from batch_processing.settings.values import EnvironmentValues


def write(folder: Path, value: object) -> Path:
    path = folder / "connections.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_airflow_s_export_and_uris_are_read(tmp_path: Path) -> None:
    exported = {
        "conn_type": "postgres", "description": None, "login": "me", "password": "pw", "host": "db", "port": 5432,
        "schema": "crm", "extra": "",
    }  # fmt: skip
    found = read_connections_file(write(tmp_path, {"crm": exported, "api": "http://host:8080"}))
    assert (found["crm"].conn_type, found["crm"].host, found["crm"].port, found["crm"].schema) == (
        "postgres",
        "db",
        5432,
        "crm",
    )
    assert (found["api"].conn_type, found["api"].host, found["api"].port) == ("http", "host", 8080)


@pytest.mark.parametrize("conn_type", ["sqlite", "duckdb"])
def test_a_relative_file_is_taken_from_the_file_s_folder(tmp_path: Path, conn_type: str) -> None:
    found = read_connections_file(write(tmp_path, {"w": {"conn_type": conn_type, "host": "data/w.db"}}))
    assert found["w"].host == str(tmp_path / "data" / "w.db")


@pytest.mark.parametrize("host", ["/abs/w.db", ":memory:", "~/w.db"])
def test_other_places_stay_as_written(tmp_path: Path, host: str) -> None:
    found = read_connections_file(write(tmp_path, {"w": {"conn_type": "duckdb", "host": host}}))
    assert found["w"].host == host


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, {"crm": {"conn_type": "sqlite", "host": "/a.db"}})
    values = EnvironmentValues(environ={"AIRFLOW_CONN_CRM": "postgres://db/x"}, connections_file=path)
    assert values.connection("crm").conn_type == "postgres"
    assert EnvironmentValues(environ={}, connections_file=path).connection("crm").host == "/a.db"


def test_a_connection_that_is_set_nowhere_names_the_file_and_near_ids(tmp_path: Path) -> None:
    path = write(tmp_path, {"warehouse": {"conn_type": "duckdb", "host": "/a.db"}})
    with pytest.raises(SettingError) as caught:
        EnvironmentValues(environ={}, connections_file=path).connection("warehose")
    assert str(path) in str(caught.value)
    assert "warehouse" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"a": {"password": "hunter2"', "not JSON"),
        ("[]", "not a JSON object"),
        ({"a": 5}, "instead of an object or a URI"),
        ({"a": {"conn_type": "sqlite", "hots": "hunter2"}}, "unknown keys hots"),
        ({"a": "hunter2"}, "neither a URI"),
    ],
)
def test_a_damaged_file_is_refused_without_its_secrets(tmp_path: Path, content: object, words: str) -> None:
    with pytest.raises(SettingError, match=words) as caught:
        read_connections_file(write(tmp_path, content))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"nowhere\.json"):
        read_connections_file(tmp_path / "nowhere.json")


def test_the_project_finds_its_file_at_the_root_or_in_config(tmp_path: Path) -> None:
    project = project_at(tmp_path / "p", environ={})
    assert project.connections_file() is None
    (tmp_path / "config").mkdir()
    beside = write(tmp_path / "config", {})
    assert project.connections_file() == beside
    (tmp_path / "p").mkdir()
    own = write(tmp_path / "p", {})
    assert project.connections_file() == own
