"""Airflow's processes on one machine: API server, scheduler, DAG processor and triggerer, ended together.

For a developer's machine and for tests; in production each of them is a service of its own.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from batch_processing.errors import TechnicalError, UsageError
from batch_processing.storage import read_json, write_json

_LOG = logging.getLogger(__name__)

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
HEALTHY = ("metadatabase", "scheduler", "triggerer", "dag_processor")
USER = "admin"
_PATIENCE = 15.0
"""Seconds a process has to end by itself."""


@dataclass
class LocalAirflow:
    """Airflow on this machine while the `with` block lasts.

    Attributes:
        home: `AIRFLOW_HOME`: metadata (SQLite), logs, secrets made at the first start.
        dags: the folder of DAG files.
        port: of UI and API, on `host`; 0 for a free one.
        host: address to listen on.
        config: an `airflow.cfg`, or None for Airflow's defaults.
        environ: what the processes get beside this process's environment.
        startup: seconds until all must be healthy.
    """

    home: Path
    dags: Path
    port: int = 0
    host: str = "127.0.0.1"
    config: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    startup: float = 180.0
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict, repr=False)
    _token: str = field(default="", repr=False)

    def __enter__(self) -> Self:
        self.port = self.port or free_port()
        self.check_port()
        with ExitStack() as undo:
            undo.callback(self.stop)
            self._migrate()
            for component in COMPONENTS:
                self._start(component)
            self._wait_until_healthy()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Address of UI and API."""
        return f"http://{'localhost' if self.host == '127.0.0.1' else self.host}:{self.port}"

    @property
    def password(self) -> str:
        """The password of the user `admin`, made at the first start and kept in `home`."""
        return str(self._secrets()["password"])

    def environment(self) -> dict[str, str]:
        """The environment of Airflow's processes, this process's own included."""
        kept = self._secrets()
        settings = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": kept["fernet"],
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self._passwords_file),
            "AIRFLOW__API__HOST": self.host,
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__SECRET_KEY": kept["api"],
            "AIRFLOW__API_AUTH__JWT_SECRET": kept["jwt"],
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home}/airflow.db",
            "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.home / "logs"),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(kept["worker_log_port"]),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(kept["trigger_log_port"]),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        }
        if self.config is not None:
            settings["AIRFLOW_CONFIG"] = str(self.config)
        return {**os.environ, **settings, **self.environ}

    def api(self, method: str, path: str, body: object = None) -> Any:
        """One call of Airflow's public API, as the user `admin`; the answer's JSON.

        Args:
            method: `GET`, `POST`, `PATCH`, ...
            path: as `dags/batch_processor`.
            body: sent as JSON.

        Raises:
            TechnicalError: it refused or did not answer.
        """
        if not self._token:
            login = {"username": USER, "password": self.password}
            self._token = self._call("POST", f"{self._base}/auth/token", login, token="")["access_token"]
        return self._call(method, f"{self._base}/api/v2/{path}", body, token=self._token)

    def stop(self) -> None:
        """Ends all processes, each with its process group; twice does no harm."""
        for process in self._processes.values():
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + _PATIENCE
        for process in self._processes.values():
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _LOG.info("process %s does not end by itself", process.pid)
            # Also after an orderly end: task processes may be left in the group.
            _signal(process, signal.SIGKILL)
            process.wait()
        self._processes.clear()

    def running(self) -> bool:
        """True while no process has ended."""
        return bool(self._processes) and all(process.poll() is None for process in self._processes.values())

    def log(self, component: str) -> Path:
        """The file that holds a process's output."""
        return self.home / "logs" / f"{component}.log"

    @property
    def _base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def _passwords_file(self) -> Path:
        return self.home / "passwords.json"

    def _secrets(self) -> dict[str, Any]:
        """What must be the same for all processes and between starts; readable by its owner only."""
        place = self.home / "secrets.json"
        kept: dict[str, Any] | None = read_json(place)
        if kept is None:
            self.home.mkdir(parents=True, exist_ok=True)
            self.home.chmod(0o700)
            kept = {
                "password": secrets.token_urlsafe(9),
                "fernet": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "api": secrets.token_urlsafe(24),
                "jwt": secrets.token_urlsafe(48),
                "worker_log_port": free_port(),
                "trigger_log_port": free_port(),
            }
            write_json(place, kept)
            write_json(self._passwords_file, {USER: kept["password"]})
        return kept

    def check_port(self) -> None:
        """Raises UsageError where the port is taken."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.port))
            except OSError as error:
                raise UsageError(
                    f"port {self.port} on {self.host} cannot be used",
                    found=error.strerror or str(error),
                    fix="stop what uses it, or choose another port with BATCH_UI_PORT",
                ) from error

    def _migrate(self) -> None:
        (self.home / "logs").mkdir(parents=True, exist_ok=True)
        log = self.log("migrate")
        with log.open("wb") as sink:
            done = subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                stdout=sink, stderr=sink, env=self.environment(), check=False,
            )  # fmt: skip
        if done.returncode:
            raise TechnicalError("Airflow's metadata could not be made", where=str(log), fix="read that log")

    def _start(self, component: str) -> None:
        with self.log(component).open("ab") as sink:
            self._processes[component] = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-m", "airflow", component],
                stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=self.environment(), start_new_session=True,
            )  # fmt: skip

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + self.startup
        while True:
            if ended := [name for name, process in self._processes.items() if process.poll() is not None]:
                raise TechnicalError(
                    f"Airflow's {ended[0]} ended at its start", where=str(self.log(ended[0])), fix="read that log"
                )
            health = self._health()
            if all(health.get(name, {}).get("status") == "healthy" for name in HEALTHY):
                return
            if time.monotonic() > deadline:
                raise TechnicalError(
                    f"Airflow is not healthy after {self.startup:.0f} s",
                    where=str(self.home / "logs"),
                    found=", ".join(f"{name} {health.get(name, {}).get('status', 'unknown')}" for name in HEALTHY),
                    fix="read the logs there",
                )
            time.sleep(0.5)

    def _health(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"{self._base}/api/v2/monitor/health", timeout=5) as answer:  # noqa: S310 - http to loopback
                return dict(json.load(answer))
        except (OSError, ValueError):
            return {}

    def _call(self, method: str, url: str, body: object, *, token: str) -> Any:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - http to loopback
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                found = f"{error.code} {error.read(500).decode(errors='replace')}"
            raise TechnicalError(f"Airflow's API refused {method} {url}", found=found) from error
        except OSError as error:
            raise TechnicalError(f"Airflow's API does not answer {method} {url}", found=str(error)) from error
        return json.loads(text) if text else None


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        _LOG.debug("process group %s has ended", process.pid)
