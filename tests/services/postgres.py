"""A real PostgreSQL server for tests, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from batch_processing.settings.values import Connection

_PASSWORD = "s3cret/pa:ss@word"


@dataclass
class PostgresServer:
    """A server on localhost; `start` and `stop` may be called any number of times."""

    bin: Path
    folder: Path
    port: int
    host: str = "127.0.0.1"
    user: str = "batch"
    password: str = field(default=_PASSWORD, repr=False)
    dbname: str = "batch"

    @property
    def uri(self) -> str:
        from urllib.parse import quote

        return f"postgresql://{self.user}:{quote(self.password, safe='')}@{self.host}:{self.port}/{self.dbname}"

    def connection(self, conn_id: str = "pg", **changes: Any) -> Connection:
        """The server as an Airflow connection; `changes` replace its fields."""
        fields: dict[str, Any] = {
            "conn_id": conn_id,
            "conn_type": "postgres",
            "host": self.host,
            "port": self.port,
            "login": self.user,
            "password": self.password,
            "schema": self.dbname,
        }
        return Connection(**{**fields, **changes})

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Runs a statement, committed; gives its rows."""
        with psycopg.connect(self.uri, autocommit=True) as session:
            cursor = session.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        if not self._running():
            options = f"-p {self.port} -c listen_addresses={self.host} -c unix_socket_directories='' -c fsync=off"
            self._run("pg_ctl", "-D", "data", "-l", "server.log", "-w", "-t", "60", "-o", options, "start")

    def stop(self) -> None:
        """Stops the server at once."""
        if self._running():
            self._run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    def create(self) -> None:
        """Makes the cluster, its role and its database."""
        (self.folder / "password").write_text(self.password)
        self._own(self.folder)
        self._own(self.folder / "password")
        self._run("initdb", "-D", "data", "-U", self.user, "-A", "scram-sha-256", "--pwfile=password", "-E", "UTF8",
                  "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        self.start()
        with psycopg.connect(self.uri.rsplit("/", 1)[0] + "/postgres", autocommit=True) as session:
            session.execute(f'CREATE DATABASE "{self.dbname}"'.encode())

    def _running(self) -> bool:
        return (self.folder / "data" / "postmaster.pid").exists() and self._run(
            "pg_ctl", "-D", "data", "status", check=False
        ) == 0

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            shutil.chown(path, "postgres", "postgres")

    def _run(self, program: str, *args: str, check: bool = True) -> int:
        # initdb and postgres refuse root. setpriv, not subprocess's user=: that forks, and a fork after gRPC may hang.
        account = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
        as_server = account if os.geteuid() == 0 else []
        with (self.folder / "commands.log").open("a+b") as log:
            done = subprocess.run(
                [*as_server, str(self.bin / program), *args],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False,
            )  # fmt: skip
        if check and done.returncode:
            raise RuntimeError(f"{program} failed: {(self.folder / 'commands.log').read_text()[-2000:]}")
        return done.returncode


def postgres_bin() -> Path | None:
    """The folder of PostgreSQL's server programs, Debian's layout or PATH; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server with one empty database."""
    programs = postgres_bin()
    if programs is None:
        pytest.skip("PostgreSQL's server programs are not installed")
    folder = Path(tempfile.mkdtemp(prefix="batch-postgres-"))
    server = PostgresServer(bin=programs, folder=folder, port=free_port())
    try:
        server.create()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
