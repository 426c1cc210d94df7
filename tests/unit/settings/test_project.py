"""A pipeline file finds its project."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from batch_processing.results import Slice
from batch_processing.settings.project import Project, find_project, safe_name

DAY = Slice(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))


def test_the_root_is_the_nearest_folder_that_holds_gx(tmp_path: Path) -> None:
    (tmp_path / "dags" / "gx").mkdir(parents=True)
    (tmp_path / "gx").mkdir()
    found = find_project(tmp_path / "dags" / "pipelines" / "deep" / "orders.yml", environ={})
    assert found.root == tmp_path / "dags"
    assert found.suites_dir == tmp_path / "dags" / "gx" / "expectations"


def test_without_gx_the_root_is_the_files_folder(tmp_path: Path) -> None:
    assert find_project(tmp_path / "a" / "orders.yml", environ={}).root == tmp_path / "a"


def test_home_and_control_store_follow_the_environment(tmp_path: Path) -> None:
    plain = find_project(tmp_path / "p.yml", environ={})
    assert plain.home == tmp_path / ".batch"
    assert plain.control_url == f"sqlite:///{tmp_path}/.batch/control.db"
    environ = {"BATCH_HOME": str(tmp_path / "h"), "BATCH_CONTROL_STORE": "postgresql://u:hunter2@h/d"}
    told = find_project(tmp_path / "p.yml", environ=environ)
    assert told.home == tmp_path / "h"
    assert told.control_url == environ["BATCH_CONTROL_STORE"]
    assert "hunter2" not in repr(told)


def test_a_run_has_its_own_folder(tmp_path: Path) -> None:
    project = Project(root=tmp_path, home=tmp_path / "h", control_url="")
    folder = project.run_folder("orders", DAY, 2, "manual-1")
    assert folder == tmp_path / "h" / "runs" / "orders" / "2026-11-01T000000Z" / "g2" / "manual-1"
    airflow = project.run_folder("orders", DAY, 2, "scheduled__2026-11-01T00:00:00+00:00")
    assert airflow.parent == folder.parent
    assert not set(airflow.name) & set(":+/")


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_run_id_of_any_text_is_one_safe_name(one: str, other: str) -> None:
    name = safe_name(one)
    assert name not in ("", ".", "..")
    assert "/" not in name
    assert len(name) < 200
    assert name.isascii()
    assert (safe_name(other) == name) == (one == other)


def test_the_settings_file_is_the_first_that_is_there(tmp_path: Path) -> None:
    root = tmp_path / "dags"
    for folder in (root / "config", root / "gx", tmp_path / "config"):
        folder.mkdir(parents=True)
    file = root / "pipelines" / "p.yml"
    assert find_project(file, environ={}).settings_file() is None
    for place in (tmp_path / "config", root / "config", root):
        (place / "variables.json").write_text("{}")
        assert find_project(file, environ={}).settings_file() == place / "variables.json"
    named = find_project(file, environ={"BATCH_SETTINGS": str(tmp_path / "other.json")})
    assert named.settings_file() == tmp_path / "other.json"
