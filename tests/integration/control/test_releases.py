"""A store is made once, and brought up to date from an earlier release, whoever opens it first."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from batch_processing.control import schema
from batch_processing.control.process import this_process
from batch_processing.control.store import ControlStore
from batch_processing.errors import ControlStoreError
from batch_processing.results import Outcome
from tests.integration.control.runs import in_threads, key, started


def test_a_store_is_made_once_by_many_at_once(url: str) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with ControlStore.open(url) as store:
                started(store, key(uuid.uuid4().hex))
        except BaseException as error:  # noqa: BLE001 - reported below
            failures.append(error)

    in_threads(work, 8)
    assert failures == []
    with ControlStore.open(url) as store:
        assert len(store.history()) == 8


@pytest.mark.parametrize(("version", "words"), [(99, "newer release"), (0, "of no release")])
def test_a_store_of_another_release_is_left_alone(url: str, version: int, words: str) -> None:
    ControlStore.open(url).close()
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg") if "postgres" in url else url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE batch_schema SET version = {version}"))
    engine.dispose()
    with pytest.raises(ControlStoreError, match=words) as caught:
        ControlStore.open(url)
    assert str(version) in caught.value.found


def _made_by_version_1(url: str) -> Engine:
    """A store with one run, as the first release left it."""
    with ControlStore.open(url) as store:
        started(store, key("old"))
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg") if "postgres" in url else url)
    with engine.begin() as connection:
        for column in ("host", "pid", "process_started", "interrupted"):
            connection.execute(text(f"ALTER TABLE batch_runs DROP COLUMN {column}"))
        connection.execute(text("UPDATE batch_schema SET version = 1"))
    return engine


@pytest.mark.parametrize("url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_a_role_that_may_not_change_tables_is_told_who_can_bring_the_store_up_to_date(url: str) -> None:
    engine, role = _made_by_version_1(url), f"reader_{uuid.uuid4().hex[:8]}"
    place = url.partition("search_path%3D")[2]
    with engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'secret-word'"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA {place} TO {role}"))
        connection.execute(text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {place} TO {role}"))
    theirs = make_url(url).set(username=role, password="secret-word").render_as_string(hide_password=False)
    try:
        with pytest.raises(ControlStoreError, match="could not be brought up to date") as caught:
            ControlStore.open(theirs)
        assert "must be owner of table batch_runs" in caught.value.found
        assert "version 1" in caught.value.found
        assert "owner" in caught.value.fix
        assert "secret-word" not in str(caught.value)
        with ControlStore.open(url) as store:
            assert store.run("old").outcome is Outcome.RUNNING
        with ControlStore.open(theirs) as store:
            started(store, key("new"))
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))
        engine.dispose()


def test_a_store_of_an_earlier_release_is_brought_up_to_date_once(url: str) -> None:
    engine = _made_by_version_1(url)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with ControlStore.open(url) as store:
                store.start_run(key(uuid.uuid4().hex), engine="embedded", trigger="cli", process=this_process())
        except BaseException as error:  # noqa: BLE001 - reported below
            failures.append(error)

    in_threads(work, 8)
    assert failures == []
    with ControlStore.open(url) as store:
        assert len(store.history()) == 9
        assert store.run("old").process is None
        assert {run.process for run in store.history()} == {None, this_process()}
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version FROM batch_schema")).scalar() == schema.SCHEMA_VERSION
    engine.dispose()
