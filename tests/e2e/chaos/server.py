"""Loads into PostgreSQL: the server stops amid one, or the run that loads is killed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.chaos.points import POSTGRES_POINTS
from tests.e2e.chaos.state import state_of
from tests.e2e.chaos.trials import Scene, Trials
from tests.e2e.chaos.world import SECOND_DAY, copy_world, serve_from
from tests.services.postgres import PostgresServer
from tests.services.project import SmallProject


def stop_amid_load(trials: Trials, postgres: PostgresServer, point: str) -> list[str]:
    """Stops the server while a run stands at the point, starts it again and runs again; gives what differs."""
    with _worlds(trials, postgres, point) as (world, clean):
        standing = trials.chaos.freeze_at(world, point)
        try:
            postgres.stop()
            standing.strike(signal.SIGCONT)
            ended = standing.wait()
        finally:
            postgres.start()
        if point != "postgres: after its commit":
            assert ended.result.get("outcome") == "ERROR", (ended.result, ended.log)
            assert "To do: " in ended.result["error"], ended.result["error"]
        trials.chaos.pass_(world)
        return state_of(world).differences(state_of(clean))


def kill_amid_load(trials: Trials, postgres: PostgresServer, point: str) -> list[str]:
    """Kills a run at a point of its load into the server, and runs again; gives what differs."""
    with _worlds(trials, postgres, point) as (world, clean):
        trials.chaos.kill_at(world, point)
        trials.chaos.pass_(world)
        return state_of(world).differences(state_of(clean))


@contextmanager
def _worlds(trials: Trials, postgres: PostgresServer, point: str) -> Iterator[tuple[SmallProject, SmallProject]]:
    """A world that is served from the server, and one of which a clean run has been made."""
    world = trials.copy(Scene())
    schema = f"chaos_{list(POSTGRES_POINTS).index(point)}"
    connection = {
        "conn_type": "postgres", "host": postgres.host, "port": postgres.port, "login": postgres.user,
        "password": postgres.password, "schema": postgres.dbname,
    }  # fmt: skip
    postgres.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    serve_from(world, connection, f"{schema}.orders")
    clean = copy_world(world, world.root.with_name(f"{world.root.name}.clean"))
    serve_from(clean, connection, f"{schema}_clean.orders")
    trials.chaos.pass_(clean, day=SECOND_DAY)
    yield world, clean
    postgres.execute(f"DROP SCHEMA {schema} CASCADE")
    postgres.execute(f"DROP SCHEMA {schema}_clean CASCADE")
