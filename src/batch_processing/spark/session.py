"""Engines: where a Spark Connect session comes from. Nothing starts at import, nor before a session is asked for."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlparse

from batch_processing.errors import EngineError, SettingError, TransformError
from batch_processing.settings.models import EngineSpec, parse_engine
from batch_processing.settings.session_conf import KEYS_AT_ONCE
from batch_processing.spark.config_file import SESSION_CONF, read_spark_config, shipped_config
from batch_processing.spark.memory import pool_bytes
from batch_processing.spark.server import ServerHandle, start_connect_server, stop_connect_server

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOG = logging.getLogger(__name__)
_BATCH_ROWS = 65_536  # of the embedded engine: eight times its own; writing into partitions costs a quarter less CPU
_REACH_SECONDS = 10.0
_IDLE_SECONDS = 30 * 86_400
"""For how long a session of the embedded engine may do nothing (its own limit is 15 min): it ends with its process."""
EMBEDDED_CONF = {
    # Beyond them a grouped count's table outgrows processor caches: counted in parts, 100 million distinct ids take
    # two thirds of the time and of the memory.
    KEYS_AT_ONCE: "32000000",
    # The client would look for the line that built each column, 0.2 ms a piece; only Apache Spark's server tells it.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
}
"""On every session of the embedded engine, beside SESSION_CONF."""
_QUOTING_LOGGERS = ("DataFrameQueryContextLogger", "SQLQueryContextLogger")
"""PySpark prints each error of a server there, with the values that its text quotes; the error itself is raised."""
_starting = threading.Lock()
_used_in: set[int] = set()
"""Process numbers, of this process or the ones it was forked from, in which an engine was started."""


class Engine:
    """A Spark engine for as long as a run, or one of its steps, needs it.

    A process forked before any engine was used may use one (as under Airflow's LocalExecutor). One forked afterwards
    may not: the threads of gRPC and of Sail do not survive a fork, and a call would hang; it gets an EngineError.
    """

    def __init__(self, spec: EngineSpec, *, remote: str | None, config: Mapping[str, str], workdir: Path) -> None:
        self._spec, self._remote, self._config, self._workdir = spec, remote, config, workdir
        self._pid = 0
        self._session: SparkSession | None = None
        self._sail: Any = None
        self._server: ServerHandle | None = None

    @classmethod
    def open(
        cls, spec: EngineSpec, *, project_root: Path, workdir: Path, remote_from_connection: str | None = None
    ) -> Self:
        """Prepares an engine; what can be checked without starting it is.

        Args:
            spec: with its templates rendered.
            project_root: where `engine.config` and a project's `spark-config.yml` are looked for.
            workdir: folder for a server's log and state.
            remote_from_connection: `sc://...` of the Airflow connection that `spec.connection` names.

        Raises:
            SettingError: a remote that is no `sc://` address, a memory size that is none.
            DeclarationError: a spark-config.yml with problems.
        """
        remote = remote_from_connection or spec.remote
        if spec.connection is not None and remote_from_connection is None:
            raise SettingError(
                "the engine's connection gave no address",
                where=f"connection {spec.connection}",
                fix="set its host and port",
            )
        if remote is not None:
            _address(remote)
        if spec.name == "embedded":
            pool_bytes(spec.memory)
        config = engine_config(spec, project_root=project_root) if spec.master is not None else {}
        return cls(spec, remote=remote, config=config, workdir=workdir)

    @property
    def name(self) -> Literal["embedded", "spark"]:
        return self._spec.name

    @property
    def session(self) -> SparkSession:
        """The session, started at the first call in this process.

        Raises:
            EngineError: the engine did not start or does not answer.
        """
        _refuse_after_fork()
        if self._session is None:
            with _starting:
                self._pid = os.getpid()
                _used_in.add(self._pid)
                self._session = self._connect()
        return self._session

    def describe(self) -> str:
        """For reports and logs: the engine and its address, without credentials."""
        if self.name == "embedded":
            return "embedded (Sail in process)"
        if self._spec.master is not None:
            return f"Apache Spark on {self._spec.master.split('@')[-1]}"
        host, port = _address(self._remote or "")
        return f"Spark Connect at {host}:{port}"

    def close(self) -> None:
        """Ends the session, and the server where this engine started one. A second call is a no-op."""
        if self._pid != os.getpid():
            return
        session, sail, server = self._session, self._sail, self._server
        self._session = self._sail = self._server = None
        atexit.unregister(self.close)
        if session is not None:
            with _logged("end of the session"):
                session.stop()
        if sail is not None:
            with _logged("end of the embedded engine"):
                sail.stop()
        if server is not None:
            stop_connect_server(server.state_file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connect(self) -> SparkSession:
        atexit.register(self.close)
        try:
            if self.name == "embedded":
                return _new_session(self._start_sail(), what=self.describe(), conf=SESSION_CONF | EMBEDDED_CONF)
            if self._spec.master is not None:
                folder = self._workdir / f"spark-{uuid.uuid4().hex[:8]}"
                self._server = start_connect_server(master=self._spec.master, config=self._config, workdir=folder)
                return _new_session(self._server.remote, what=self.describe())
            remote = self._remote or ""
            _check_reachable(remote)
            return _new_session(remote, what=self.describe())
        except BaseException:
            self.close()
            raise

    def _start_sail(self) -> str:
        with _defaults_in_environment(embedded_settings(pool_bytes(self._spec.memory))):
            from pysail.spark import SparkConnectServer

            self._sail = SparkConnectServer(ip="127.0.0.1", port=0)
            self._sail.start(background=True)
        address = self._sail.listening_address
        if address is None:
            raise EngineError("the embedded engine did not start", fix="run again; see its log on standard error")
        return f"sc://127.0.0.1:{address[1]}"


def embedded_settings(pool: int) -> dict[str, str]:
    """What the embedded engine reads from the environment when it starts.

    Args:
        pool: bytes of memory for its operators.
    """
    return {
        "SAIL_RUNTIME__MEMORY_POOL__TYPE": "fair",
        "SAIL_RUNTIME__MEMORY_POOL__FAIR__MAX_SIZE": str(pool),
        "SAIL_EXECUTION__BATCH_SIZE": str(_BATCH_ROWS),
        "SAIL_SPARK__SESSION_TIMEOUT_SECS": str(_IDLE_SECONDS),
        # A file's statistics leave NaN out: with them a column of NaN and one number is read as that number alone.
        "SAIL_EXECUTION__COLLECT_STATISTICS": "false",
        "RUST_LOG": "error",
    }


def check_settings(session: SparkSession, *, after: str) -> None:
    """The session still has the settings that the package's own reading and writing rely on.

    Args:
        session: the engine's.
        after: what ran on it, for the error.

    Raises:
        TransformError: code of the pipeline has set another value, which would bend values without a word.
    """
    others = {key: found for key, wanted in SESSION_CONF.items() if (found := session.conf.get(key)) != wanted}
    if others:
        raise TransformError(
            f"after {after}, settings of the session are others than the package's",
            where=after,
            found=", ".join(f"{key} = {value}" for key, value in others.items()),
            fix="leave them as they are; for another zone, from_utc_timestamp and to_utc_timestamp take its name",
        )


def _refuse_after_fork() -> None:
    if _used_in - {os.getpid()}:
        raise EngineError(
            "this process was forked from one that had used a Spark engine",
            found=f"process {os.getpid()}",
            fix="start the engine after forking, or start the child with multiprocessing's spawn method",
        )


_engines: dict[str, Engine] = {}


def get_spark_session(engine: str | EngineSpec = "embedded", *, workdir: Path | None = None) -> SparkSession:
    """A Spark Connect session; the same one for the same engine in one process, ended when the process ends.

    Args:
        engine: `embedded`, `sc://host:port`, a Spark master as `spark://host:port`, or an EngineSpec.
        workdir: folder for a server's log, for a master; default `.batch/spark`.

    Raises:
        SettingError: not an engine.
        EngineError: it did not start or does not answer.
    """
    try:
        spec = engine if isinstance(engine, EngineSpec) else EngineSpec.model_validate(parse_engine(engine))
    except ValueError as error:
        raise SettingError(
            "unknown engine", found=str(engine).split("@")[-1], fix="use embedded, sc://host:port or a Spark master"
        ) from error
    key = spec.model_dump_json()
    if key not in _engines:
        folder = workdir or Path.cwd() / ".batch" / "spark"
        _engines[key] = Engine.open(spec, project_root=Path.cwd(), workdir=folder)
    return _engines[key].session


def engine_config(spec: EngineSpec, *, project_root: Path) -> dict[str, str]:
    """The Spark properties of an engine with a master: its spark-config.yml, the project's, or the shipped one.

    Raises:
        DeclarationError: a file with problems.
    """
    return read_spark_config(_config_file(spec, project_root))


def _config_file(spec: EngineSpec, root: Path) -> Path:
    if spec.config is not None:
        return root / spec.config
    own = [root / "spark-config.yml", root / "config" / "spark-config.yml"]
    return next((p for p in own if p.is_file()), shipped_config())


def _address(remote: str) -> tuple[str, int]:
    parsed = urlparse(remote)
    try:
        port = parsed.port or 15002
    except ValueError:
        port = 0
    if parsed.scheme != "sc" or not parsed.hostname or not port:
        raise SettingError(
            "not the address of a Spark Connect server", where="engine.remote", fix="write it as sc://host:port"
        )
    return parsed.hostname, port


def _check_reachable(remote: str) -> None:
    host, port = _address(remote)
    try:
        socket.create_connection((host, port), timeout=_REACH_SECONDS).close()
    except OSError as error:
        raise EngineError(
            "the Spark Connect server does not answer",
            where=f"{host}:{port}",
            found=error.strerror or type(error).__name__,
            fix="check that it runs and that this machine may reach it",
        ) from error


def _new_session(remote: str, *, what: str, conf: Mapping[str, str] = SESSION_CONF) -> SparkSession:
    from pyspark.logger import PySparkLogger
    from pyspark.sql import SparkSession

    for name in _QUOTING_LOGGERS:
        PySparkLogger.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        session = SparkSession.builder.remote(remote).create()
        for key, value in conf.items():
            session.conf.set(key, value)
    except Exception as error:  # the client raises many kinds: of grpc, of its own, of the operating system
        raise EngineError(
            "no session on the engine",
            where=what,
            found=type(error).__name__,
            fix="check that the address is a Spark Connect server of 4.1",
        ) from error
    return session


@contextlib.contextmanager
def _defaults_in_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Sail reads its settings from the environment when it starts. What the user set stays; what we set goes again."""
    ours = {k: v for k, v in values.items() if k not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for key in ours:
            os.environ.pop(key, None)


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - at the end of a run the outcome is known; a failing goodbye must not replace it
        _LOG.warning("%s failed: %s", what, type(error).__name__)
