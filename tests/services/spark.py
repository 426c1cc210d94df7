"""Real engines for tests: Sail in this process, and Apache Spark as a standalone cluster on this machine.

`spark_embedded` is a session on Sail. `spark_cluster` is a master, two workers of one core each and a Spark Connect
server with Delta Lake, all on 127.0.0.1. `spark` runs a test on both. Each starts when a test first asks for it and
ends with the test session.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batch_processing.spark import guard
from batch_processing.spark.session import embedded_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REPOSITORY = Path(__file__).resolve().parents[2]
DELTA_PACKAGE = "io.delta:delta-spark_4.1_2.13:4.4.0"
SESSION_CONF = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}


@dataclass(frozen=True)
class SparkCluster:
    """A running cluster: `remote` is its Connect server (`sc://...`), `master` its master (`spark://...`)."""

    remote: str
    master: str
    home: Path
    logs: Path


def spark_home() -> Path:
    """Where Apache Spark is: SPARK_HOME, else the pyspark of <repository>/.venv-spark. Fails the test if absent."""
    if given := os.environ.get("SPARK_HOME"):
        homes = [Path(given)]
    else:
        homes = sorted(REPOSITORY.glob(".venv-spark/lib/python3.*/site-packages/pyspark"))
    for home in homes:
        if (home / "bin" / "spark-submit").is_file():
            return home
    pytest.fail(
        "Apache Spark is not here: run `make install`, or "
        "`python3.11 -m venv .venv-spark && .venv-spark/bin/pip install 'pyspark[connect]==4.1.3'`, or set SPARK_HOME",
        pytrace=False,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Processes:
    """Child processes, each in a process group of its own, with its log."""

    def __init__(self, home: Path, logs: Path) -> None:
        self.home, self.logs = home, logs
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, name: str, *command: str) -> None:
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_", "PYSPARK_"))}
        environ |= {"SPARK_HOME": str(self.home), "SPARK_LOCAL_IP": "127.0.0.1", "TZ": "UTC"}
        workers = self.home.parents[3] / "bin" / "python"
        if workers.exists():
            environ["PYSPARK_PYTHON"] = str(workers)
        with (self.logs / f"{name}.log").open("wb") as log:
            # The guard ends them with this process. A preexec_fn would fork, and a fork after gRPC has run may hang.
            me = os.getpid()
            process = subprocess.Popen(
                [sys.executable, guard.__file__, str(me), guard.start_time(me) or "0", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environ,
                cwd=self.logs,
                start_new_session=True,
            )
        self._running.append((name, process))

    def wait_for_port(self, name: str, port: int, *, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        process = dict(self._running)[name]
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.1)
        self.fail(name, f"did not open port {port} in {seconds:.0f} s")

    def wait_for_text(self, name: str, text: str, *, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if text in (self.logs / f"{name}.log").read_text(errors="replace"):
                return
            time.sleep(0.1)
        self.fail(name, f"did not log {text!r} in {seconds:.0f} s")

    def fail(self, name: str, why: str) -> None:
        tail = "\n".join((self.logs / f"{name}.log").read_text(errors="replace").splitlines()[-30:])
        pytest.fail(f"{name} {why}; the end of its log:\n{tail}", pytrace=False)

    def stop(self) -> None:
        for _, process in reversed(self._running):
            for sign in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, sign)
                    process.wait(timeout=10)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue
        self._running.clear()


def _write_properties(path: Path, values: Mapping[str, str]) -> Path:
    path.write_text("".join(f"{key} {value}\n" for key, value in values.items()))
    return path


def _start_cluster(processes: _Processes) -> SparkCluster:
    home, logs = processes.home, processes.logs
    master_port, connect_port = free_port(), free_port()
    master = f"spark://127.0.0.1:{master_port}"
    run = str(home / "bin" / "spark-class")
    processes.start(
        "master", run, "org.apache.spark.deploy.master.Master",
        "--host", "127.0.0.1", "--port", str(master_port), "--webui-port", "0",
    )  # fmt: skip
    processes.wait_for_port("master", master_port, seconds=60)
    for number in (1, 2):
        processes.start(
            f"worker-{number}", run, "org.apache.spark.deploy.worker.Worker",
            "--host", "127.0.0.1", "--cores", "1", "--memory", "2g", "--webui-port", "0",
            "--work-dir", str(logs / f"work-{number}"), master,
        )  # fmt: skip
    properties = _write_properties(
        logs / "connect.conf",
        {
            **SESSION_CONF,
            "spark.master": master,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.memory": "1g",
            "spark.executor.memory": "1g",
            "spark.executor.cores": "1",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "4",
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            "spark.sql.warehouse.dir": str(logs / "warehouse"),
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": str(connect_port),
        },
    )
    processes.start(
        "connect", str(home / "bin" / "spark-submit"),
        "--properties-file", str(properties),
        "--packages", DELTA_PACKAGE,
        "--class", "org.apache.spark.sql.connect.service.SparkConnectServer",
        "spark-internal",
    )  # fmt: skip
    processes.wait_for_port("connect", connect_port, seconds=240)
    for number in (1, 2):
        processes.wait_for_text(f"worker-{number}", "Successfully registered with master", seconds=60)
    return SparkCluster(remote=f"sc://127.0.0.1:{connect_port}", master=master, home=home, logs=logs)


@pytest.fixture(scope="session")
def spark_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    """Apache Spark with Delta Lake: one master, two workers of one core, one Connect server.

    A cluster that runs already is used instead where TEST_SPARK_REMOTE and TEST_SPARK_MASTER name it.
    """
    home = spark_home()
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        pytest.fail("Java is not here: install a Java 17 runtime (Debian: openjdk-17-jre-headless)", pytrace=False)
    processes = _Processes(home, tmp_path_factory.mktemp("spark-cluster"))
    if remote := os.environ.get("TEST_SPARK_REMOTE"):
        yield SparkCluster(remote, os.environ["TEST_SPARK_MASTER"], home, processes.logs)
        return
    try:
        yield _start_cluster(processes)
    finally:
        processes.stop()


@pytest.fixture(scope="session")
def spark_cluster_session(spark_cluster: SparkCluster) -> Iterator[SparkSession]:
    """A session of the tests on the cluster's Connect server."""
    from pyspark.sql import SparkSession

    session = SparkSession.builder.remote(spark_cluster.remote).create()
    for key, value in SESSION_CONF.items():
        session.conf.set(key, value)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def spark_embedded() -> Iterator[SparkSession]:
    """A session on Sail in this process."""
    for name, value in embedded_settings(4 << 30).items():
        os.environ.setdefault(name, value)
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    address = server.listening_address
    if address is None:
        pytest.fail("Sail has no address", pytrace=False)
    session = SparkSession.builder.remote(f"sc://127.0.0.1:{address[1]}").create()
    for key, value in SESSION_CONF.items():
        session.conf.set(key, value)
    yield session
    session.stop()
    server.stop()


@pytest.fixture(params=["embedded", pytest.param("spark", marks=pytest.mark.spark)])
def spark(request: pytest.FixtureRequest) -> Any:
    """Runs the test once on Sail and once on Apache Spark."""
    name = "spark_embedded" if request.param == "embedded" else "spark_cluster_session"
    return request.getfixturevalue(name)
