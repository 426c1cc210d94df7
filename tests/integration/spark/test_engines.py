"""Engines that really start, and really end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from batch_processing.errors import EngineError
from batch_processing.settings.models import EngineSpec
from batch_processing.spark import session as module
from batch_processing.spark.guard import start_time
from batch_processing.spark.server import start_connect_server, stop_connect_server
from batch_processing.spark.session import Engine, get_spark_session
from tests.services.spark import SparkCluster, free_port


def engine(folder: Path, **options: object) -> Engine:
    return Engine.open(EngineSpec.model_validate(options), project_root=folder, workdir=folder / "work")


def test_the_embedded_engine_counts_in_utc_and_ends(tmp_path: Path) -> None:
    os.environ.setdefault("SPARK_CONNECT_MODE_ENABLED", "1")  # the client sets it once and for all
    before = dict(os.environ)
    with engine(tmp_path, memory="256m") as opened:
        session = opened.session
        assert session is opened.session
        assert session.range(1000).count() == 1000
        assert session.conf.get("spark.sql.session.timeZone") == "UTC"
    opened.close()
    assert dict(os.environ) == before


def test_an_engine_that_was_closed_starts_again_when_asked(tmp_path: Path) -> None:
    opened = engine(tmp_path)
    for _ in range(2):
        assert opened.session.range(3).count() == 3
        opened.close()


@pytest.mark.filterwarnings("ignore:The 'warn' method:DeprecationWarning")  # told as a session ends that is gone
@pytest.mark.parametrize("rested_too_long", [False, True])
def test_a_session_that_rests_while_other_code_runs_is_there_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rested_too_long: bool
) -> None:
    if rested_too_long:  # the engine's own limit is 15 minutes: it is the setting that keeps a session
        monkeypatch.setattr(module, "_IDLE_SECONDS", 1)
        monkeypatch.delenv("SAIL_SPARK__SESSION_TIMEOUT_SECS", raising=False)  # the suite's own engine has set it
    with engine(tmp_path) as opened:
        frame = opened.session.range(3)
        time.sleep(2.5)
        if rested_too_long:
            with pytest.raises(Exception, match="is not running"):
                frame.count()
        else:
            assert frame.count() == 3
            assert int(module.embedded_settings(1)["SAIL_SPARK__SESSION_TIMEOUT_SECS"]) > 7 * 86_400


FORKING = """
    import os
    from pathlib import Path
    from batch_processing.errors import EngineError
    from batch_processing.settings.models import EngineSpec
    from batch_processing.spark.session import Engine
    root = Path(ROOT)
    opened = Engine.open(EngineSpec(), project_root=root, workdir=root)
    if USED:
        assert opened.session.range(5).count() == 5
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if opened.session.range(7).count() == 7 else 1)
        except EngineError as error:
            os._exit(3 if "forked" in str(error) else 2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == EXPECTED
    assert opened.session.range(6).count() == 6
    opened.close()
"""


@pytest.mark.parametrize(("used", "expected"), [(False, 0), (True, 3)])
def test_a_forked_child_uses_an_engine_unless_its_parent_did(tmp_path: Path, used: bool, expected: int) -> None:
    """As under Airflow's LocalExecutor. After the parent's use a call would hang, so it is refused."""
    code = textwrap.dedent(FORKING).replace("ROOT", repr(str(tmp_path)))
    code = code.replace("USED", str(used)).replace("EXPECTED", str(expected))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_get_spark_session_gives_one_session_per_engine() -> None:
    first = get_spark_session()
    assert first.range(2).count() == 2
    assert get_spark_session("embedded") is first


def test_an_address_that_nobody_listens_at_is_an_engine_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="does not answer"):
        _ = engine(tmp_path, name="spark", remote=f"sc://127.0.0.1:{free_port()}").session


@pytest.mark.spark
def test_a_standing_server_is_used_and_left_running(spark_cluster: SparkCluster, tmp_path: Path) -> None:
    for _ in range(2):
        with engine(tmp_path, name="spark", remote=spark_cluster.remote) as opened:
            assert opened.session.range(10).count() == 10
            assert opened.session.conf.get("spark.sql.parquet.outputTimestampType") == "TIMESTAMP_MICROS"


SMALL = "spark.driver.memory: 1g\nspark.executor.memory: 512m\nspark.executor.cores: 1\nspark.executor.instances: 1\n"


@pytest.mark.spark
@pytest.mark.slow
def test_a_server_is_started_for_the_run_and_ended_with_it(spark_cluster: SparkCluster, tmp_path: Path) -> None:
    (tmp_path / "spark-config.yml").write_text(SMALL)
    with engine(tmp_path, name="spark", master="local[1]") as opened:
        session = opened.session
        session.range(3).write.format("delta").save(str(tmp_path / "t"))
        assert session.conf.get("spark.sql.session.timeZone") == "UTC"
        states = list(tmp_path.rglob("connect-server.json"))
        assert len(states) == 1
        assert opened.describe() == "Apache Spark on local[1]"
    assert not list(tmp_path.rglob("connect-server.json"))
    assert not list(tmp_path.rglob("*.conf"))
    assert not _processes_in(tmp_path)


@pytest.mark.spark
@pytest.mark.slow
def test_a_server_ends_when_its_owner_is_killed(spark_cluster: SparkCluster, tmp_path: Path) -> None:
    code = f"""
        import time
        from pathlib import Path
        from batch_processing.spark.server import start_connect_server
        start_connect_server(master="local[1]", config={{"spark.driver.memory": "1g"}}, workdir=Path({str(tmp_path)!r}))
        print("up", flush=True)
        time.sleep(600)
    """
    owner = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline().strip() == "up"
    assert _processes_in(tmp_path)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    deadline = time.monotonic() + 60
    while _processes_in(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not _processes_in(tmp_path)


@pytest.mark.spark
@pytest.mark.slow
def test_a_server_that_another_task_stops(spark_cluster: SparkCluster, tmp_path: Path) -> None:
    handle = start_connect_server(
        master=spark_cluster.master,
        config={"spark.executor.memory": "512m", "spark.driver.memory": "1g", "spark.cores.max": "1"},
        workdir=tmp_path,
        owner_pid=0,
    )
    assert start_time(handle.pid) is not None
    with engine(tmp_path, name="spark", remote=handle.remote) as opened:
        assert opened.session.version.startswith("4.1")
    stop_connect_server(handle.state_file)
    stop_connect_server(handle.state_file)
    assert not _processes_in(tmp_path)


@pytest.mark.spark
@pytest.mark.slow
def test_a_master_that_is_not_there_is_an_engine_error_with_the_log(
    spark_cluster: SparkCluster, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match="did not start") as caught:
        start_connect_server(master="nonsense", config={}, workdir=tmp_path)
    assert "Could not parse Master URL" in str(caught.value) or "Master must" in str(caught.value)
    assert not _processes_in(tmp_path)


def _processes_in(folder: Path) -> list[str]:
    """Commands of processes whose working folder is inside, which are those that a server there is made of."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink().is_relative_to(folder):
                    found.append((entry / "cmdline").read_text().replace("\0", " ")[:200])
            except OSError:
                continue
    return found
