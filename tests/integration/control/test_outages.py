"""A control store that cannot be reached is a technical error that tells no password."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from batch_processing.control import database
from batch_processing.control.store import ControlStore
from batch_processing.errors import ControlStoreError

_ON_POSTGRES = pytest.mark.parametrize("url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)


@pytest.mark.postgres
def test_a_wrong_password_is_not_told(postgres: Any) -> None:
    url = f"postgresql://{postgres.user}:hidden-word@{postgres.host}:{postgres.port}/{postgres.dbname}"
    with pytest.raises(ControlStoreError, match="password authentication failed") as caught:
        ControlStore.open(url)
    error: BaseException | None = caught.value
    while error is not None:
        assert "hidden-word" not in str(error)
        error = error.__cause__
    assert caught.value.retryable


@pytest.mark.postgres
def test_a_store_survives_a_restart_of_its_server(postgres: Any) -> None:
    postgres.execute("CREATE SCHEMA restart")
    with ControlStore.open(f"{postgres.uri}?options=-csearch_path%3Drestart") as store:
        store.queue_alert("before", {})
        postgres.stop()
        try:
            with pytest.raises(ControlStoreError) as caught:
                store.queue_alert("during", {})
            assert postgres.password not in str(caught.value)
        finally:
            postgres.start()
        assert store.queue_alert("after", {})
        assert [alert.dedupe_key for alert in store.pending_alerts()] == ["before", "after"]
    postgres.execute("DROP SCHEMA restart CASCADE")


@_ON_POSTGRES
def test_a_server_that_was_started_anew_while_a_step_went_on_is_not_noticed(url: str, postgres: Any) -> None:
    with ControlStore.open(url) as store:
        store.queue_alert("before", {})
        postgres.stop()
        postgres.start()
        time.sleep(database.RESTS_WELL)
        assert store.queue_alert("after", {})


@_ON_POSTGRES
def test_a_table_that_another_session_has_locked_is_not_waited_for_without_end(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 1)
    ControlStore.open(url).close()
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE batch_runs IN ACCESS EXCLUSIVE MODE")
        with ControlStore.open(url) as store, pytest.raises(ControlStoreError, match="end the session that holds"):
            store.history()


@_ON_POSTGRES
def test_a_limit_of_the_users_own_stays(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 3600)
    ControlStore.open(url).close()
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE batch_runs IN ACCESS EXCLUSIVE MODE")
        with (
            ControlStore.open(f"{url}%20-clock_timeout%3D200ms") as store,
            pytest.raises(ControlStoreError, match="end the session that holds"),
        ):
            store.history()


@pytest.mark.postgres
def test_a_role_that_may_only_read_is_told_what_it_lacks(postgres: Any) -> None:
    postgres.execute("CREATE SCHEMA readable")
    ControlStore.open(f"{postgres.uri}?options=-csearch_path%3Dreadable").close()
    postgres.execute(
        "CREATE ROLE looker LOGIN PASSWORD 'looks'; GRANT USAGE ON SCHEMA readable TO looker; "
        "GRANT SELECT ON ALL TABLES IN SCHEMA readable TO looker"
    )
    at = f"{postgres.host}:{postgres.port}/{postgres.dbname}?options=-csearch_path%3Dreadable"
    with ControlStore.open(f"postgresql://looker:looks@{at}") as store:
        assert store.history() == ()
        with pytest.raises(ControlStoreError, match="grant the role SELECT, INSERT, UPDATE and DELETE"):
            store.queue_alert("one", {})
    postgres.execute("DROP SCHEMA readable CASCADE; DROP ROLE looker")


def test_a_file_that_may_only_be_read_is_told_as_such(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/control.db"
    with ControlStore.open(url) as store:
        store.queue_alert("one", {})
        # Root may write all files, so that the connection itself is told not to.
        event.listen(store._database.engine, "begin", lambda c: c.exec_driver_sql("PRAGMA query_only = 1"))
        with pytest.raises(ControlStoreError, match="let this user write the database"):
            store.queue_alert("two", {})


def test_a_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "control.db").write_text("no database, but long enough to be looked at " * 100)
    with pytest.raises(ControlStoreError, match="control store"):
        ControlStore.open(f"sqlite:///{tmp_path}/control.db")


def test_many_processes_make_and_write_one_store(tmp_path: Path) -> None:
    code = """
import sys
from datetime import UTC, datetime
from batch_processing.control.records import RunKey
from batch_processing.control.store import ControlStore
from batch_processing.results import Outcome, Slice, StepResult
day = Slice(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))
with ControlStore.open(sys.argv[1]) as store:
    key = RunKey("shop", day, 1, sys.argv[2])
    store.start_run(key, engine="embedded", trigger="cli")
    for number in range(20):
        store.record_step(key, StepResult(f"step-{number}", Outcome.PASS))
"""
    url = f"sqlite:///{tmp_path}/home/control.db"
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, url, f"run-{n}"], stderr=subprocess.PIPE, text=True
        )
        for n in range(6)
    ]
    ends = [(process.communicate(timeout=120)[1], process.returncode) for process in processes]
    assert ends == [("", 0)] * 6
    with ControlStore.open(url) as store:
        assert [len(run.steps) for run in store.history()] == [20] * 6
