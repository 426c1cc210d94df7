"""A Spark Connect server for one run: started by spark-submit on the cluster, ended with the run, however that ends."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from batch_processing.errors import EngineError, SettingError
from batch_processing.spark import guard
from batch_processing.spark.config_file import DELTA_PACKAGE, SERVER_CONF, read_spark_config, with_cores_max
from batch_processing.storage import read_json, write_json

_LOG = logging.getLogger(__name__)
__all__ = ["ServerHandle", "read_spark_config", "start_connect_server", "stop_connect_server"]
START_SECONDS = 300.0
"""How long a server may take to listen: the first start on a machine fetches Delta's jars."""

_CLASS = "org.apache.spark.sql.connect.service.SparkConnectServer"
_TAIL_LINES = 20
_children: dict[int, subprocess.Popen[bytes]] = {}
"""Servers that this process started: it is theirs to reap."""


@dataclass(frozen=True)
class ServerHandle:
    """A running server: its address, the process that guards it, and the file by which it can be stopped."""

    remote: str
    pid: int
    state_file: Path


def start_connect_server(
    *,
    master: str,
    config: Mapping[str, str],
    workdir: Path,
    owner_pid: int | None = None,
    timeout: float = START_SECONDS,
) -> ServerHandle:
    """Starts a Connect server on a cluster and waits until it listens on 127.0.0.1.

    Args:
        master: as spark://host:port, yarn, k8s://..., local[2].
        config: Spark properties; they go through a file that only this user can read, never the command line.
        workdir: gets the server's log, properties and state file; made if absent.
        owner_pid: the process with whose end, even by SIGKILL, the server ends too. None: this process. 0: nobody,
            for a server that another task stops.
        timeout: seconds.

    Raises:
        SettingError: no Java, or no Spark.
        EngineError: the server did not come up; with the end of its log.
    """
    home = spark_home()
    _java(os.environ)
    workdir.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    properties = _write_properties(workdir, master, config, port)
    owner = os.getpid() if owner_pid is None else owner_pid
    submit = [
        str(home / "bin" / "spark-submit"),
        "--properties-file",
        str(properties),
        "--class",
        _CLASS,
        "spark-internal",
    ]
    log = workdir / "connect-server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - a fixed command, no shell
            [sys.executable, str(Path(guard.__file__)), str(owner), guard.start_time(owner) or "0", *submit],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=workdir,
            env=_environment(home),
            start_new_session=True,
        )
    _children[process.pid] = process
    state = workdir / "connect-server.json"
    remote = f"sc://127.0.0.1:{port}"
    write_json(
        state, {"pid": process.pid, "started": guard.start_time(process.pid), "remote": remote, "master": master}
    )
    try:
        _wait(process, port, log, master, timeout)
    except BaseException:
        stop_connect_server(state)
        raise
    finally:
        properties.unlink(missing_ok=True)
    _LOG.info("Spark Connect server of %s listens on port %s", master, port)
    return ServerHandle(remote, process.pid, state)


def stop_connect_server(state_file: Path, *, grace: float = 15.0) -> None:
    """Ends the server that a state file names, with all its processes. Nothing happens where it is gone already.

    The process must have the start time on record, so that a reused process number is never signalled.
    """
    state = read_json(state_file)
    if state is None:
        return
    pid, started = int(state["pid"]), state["started"]
    if started is not None and guard.start_time(pid) == started:
        _end_group(pid, grace)
        _LOG.info("Spark Connect server stopped")
    if (child := _children.pop(pid, None)) is not None:
        child.wait()
    state_file.unlink(missing_ok=True)


def spark_home() -> Path:
    """Apache Spark: SPARK_HOME, else the `.venv-spark` beside this environment, else spark-submit on PATH.

    Raises:
        SettingError: none of them.
    """
    given = os.environ.get("SPARK_HOME")
    if given:
        homes = [Path(given)]
    else:
        homes = sorted(Path(sys.prefix).parent.glob(".venv-spark/lib/python3.*/site-packages/pyspark"))
        submit = shutil.which("spark-submit")
        homes += [Path(submit).resolve().parents[1]] if submit else []
    for home in homes:
        if (home / "bin" / "spark-submit").is_file():
            return home
    raise SettingError(
        "Apache Spark is not installed here",
        where="SPARK_HOME",
        found=f"{given} has no bin/spark-submit" if given else "not set, and no spark-submit on PATH",
        fix="set SPARK_HOME to a Spark 4.1 distribution, or run a standing Connect server and give engine.remote",
    )


def _java(environ: Mapping[str, str]) -> None:
    home = environ.get("JAVA_HOME")
    if (home and (Path(home) / "bin" / "java").is_file()) or (not home and shutil.which("java")):
        return
    raise SettingError(
        "Java is not installed here",
        where="JAVA_HOME",
        found=f"{home} has no bin/java" if home else "not set, and no java on PATH",
        fix="install a Java 17 runtime, or give engine.remote",
    )


def _environment(home: Path) -> dict[str, str]:
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith("PYSPARK_") and k not in ("SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED")
    }
    workers = _worker_python(home)
    return {**kept, "SPARK_HOME": str(home), "TZ": "UTC", **({"PYSPARK_PYTHON": str(workers)} if workers else {})}


def _worker_python(home: Path) -> Path | None:
    """The interpreter beside a pyspark that was installed by pip: it has what Python functions on workers need."""
    if home.parent.name != "site-packages":
        return None
    python = home.parents[3] / "bin" / "python"
    return python if python.exists() else None


def _write_properties(workdir: Path, master: str, config: Mapping[str, str], port: int) -> Path:
    conf = {**SERVER_CONF, **with_cores_max(config, master)}
    if "spark.jars" not in conf and "spark.jars.packages" not in conf:
        conf["spark.jars.packages"] = DELTA_PACKAGE
    if master.startswith("local"):
        conf = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", **conf}
    conf |= {
        "spark.master": master,
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.ui.enabled": conf.get("spark.ui.enabled", "false"),
        "spark.app.name": conf.get("spark.app.name", "batch_processing"),
    }
    path = workdir / f"connect-server-{secrets.token_hex(4)}.conf"
    text = "".join(f"{key}={_escaped(value)}\n" for key, value in sorted(conf.items()))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
    return path


def _escaped(value: str) -> str:
    """A value in Java's properties format, which Spark reads as UTF-8."""
    return value.replace("\\", "\\\\")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, log: Path, master: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise _not_up(f"it ended with code {process.returncode}", log, master)
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise _not_up(f"it did not listen within {timeout:.0f} s", log, master)


def _not_up(why: str, log: Path, master: str) -> EngineError:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
    return EngineError(
        "the Spark Connect server did not start",
        where=master,
        found=f"{why}; the end of {log}:\n" + "\n".join(line[:300] for line in lines),
        fix="check the master's address, spark-config.yml and the log",
    )


def _end_group(pid: int, grace: float) -> None:
    members = _group(pid)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGTERM)
    _, alive = psutil.wait_procs(members, timeout=grace)
    if alive:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        psutil.wait_procs(alive, timeout=grace)


def _group(pid: int) -> list[psutil.Process]:
    try:
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
