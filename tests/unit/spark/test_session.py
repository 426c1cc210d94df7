"""Engines: what is wrong is said before anything starts, and no secret is shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from batch_processing.errors import BatchError, DeclarationError, EngineError, SettingError
from batch_processing.settings.models import EngineSpec
from batch_processing.spark import server
from batch_processing.spark.server import start_connect_server, stop_connect_server
from batch_processing.spark.session import Engine, get_spark_session


def opened(folder: Path, **options: Any) -> Engine:
    remote = options.pop("remote_from_connection", None)
    spec = EngineSpec.model_validate(options)
    return Engine.open(spec, project_root=folder, workdir=folder / "work", remote_from_connection=remote)


def test_opening_starts_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as engine:
        assert engine.name == "embedded"
        assert engine.describe() == "embedded (Sail in process)"
    assert list(tmp_path.iterdir()) == []


def test_importing_the_engines_loads_no_engine() -> None:
    code = (
        "import sys, batch_processing.spark.session; "
        "print([m for m in ('pysail', 'pyspark', 'grpc') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("remote", ["localhost:15002", "http://h:1", "sc://", "sc://h:port"])
def test_a_remote_that_is_no_connect_address_is_refused(tmp_path: Path, remote: str) -> None:
    with pytest.raises(SettingError, match="sc://host:port"):
        opened(tmp_path, name="spark", remote=remote)


def test_credentials_of_a_remote_are_never_shown(tmp_path: Path) -> None:
    engine = opened(tmp_path, name="spark", remote="sc://127.0.0.1:1/;token=hunter2;use_ssl=true")
    assert engine.describe() == "Spark Connect at 127.0.0.1:1"
    with pytest.raises(EngineError) as caught:
        _ = engine.session
    assert "hunter2" not in str(caught.value)


def test_a_remote_that_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"does not answer \[127\.0\.0\.1:1\]") as caught:
        _ = opened(tmp_path, name="spark", remote="sc://127.0.0.1:1").session
    assert caught.value.retryable


def test_a_connection_without_address_is_a_setting_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="connection my_spark"):
        opened(tmp_path, name="spark", connection="my_spark")
    engine = opened(tmp_path, name="spark", connection="my_spark", remote_from_connection="sc://h")
    assert engine.describe() == "Spark Connect at h:15002"


def test_a_bad_memory_size_is_found_when_opened(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"engine\.memory"):
        opened(tmp_path, memory="much")


def test_a_bad_spark_config_is_found_when_opened(tmp_path: Path) -> None:
    (tmp_path / "spark-config.yml").write_text("spark.excutor.cores: 1\n")
    with pytest.raises(DeclarationError, match="excutor"):
        opened(tmp_path, name="spark", master="local[1]")
    (tmp_path / "other.yml").write_text("spark.executor.cores: 1\n")
    opened(tmp_path, name="spark", master="local[1]", config="other.yml")


def test_an_unknown_engine_is_a_setting_error() -> None:
    with pytest.raises(SettingError, match="unknown engine"):
        get_spark_session("flink")


def test_without_spark_the_error_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    with pytest.raises(SettingError, match="SPARK_HOME"):
        start_connect_server(master="local[1]", config={}, workdir=tmp_path)


def test_without_java_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/spark-submit").write_text("")
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nojava"))
    with pytest.raises(SettingError, match="Java 17"):
        start_connect_server(master="local[1]", config={}, workdir=tmp_path)


def fake_spark(folder: Path, script: str) -> Path:
    submit = folder / "spark" / "bin" / "spark-submit"
    submit.parent.mkdir(parents=True)
    submit.write_text(f"#!/bin/sh\n{script}\n")
    submit.chmod(0o755)
    return folder / "spark"


def test_a_server_that_dies_shows_the_end_of_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", str(fake_spark(tmp_path, "echo no such master; exit 3")))
    monkeypatch.setattr(server, "_java", lambda environ: None)
    with pytest.raises(EngineError, match="no such master") as caught:
        start_connect_server(master="spark://gone:7077", config={"spark.secret": "x"}, workdir=tmp_path / "w")
    assert "ended with code 3" in str(caught.value)
    assert caught.value.retryable
    assert sorted(p.name for p in (tmp_path / "w").iterdir()) == ["connect-server.log"]


def test_a_server_that_never_listens_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid_file = tmp_path / "pid"
    monkeypatch.setenv("SPARK_HOME", str(fake_spark(tmp_path, f"echo $$ > {pid_file}; exec sleep 60")))
    monkeypatch.setattr(server, "_java", lambda environ: None)
    with pytest.raises(EngineError, match="did not listen within 1 s"):
        start_connect_server(master="local[1]", config={}, workdir=tmp_path / "w", timeout=1.0)
    assert not Path(f"/proc/{pid_file.read_text().strip()}").exists()


def test_properties_are_not_on_the_command_line_and_are_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_HOME", str(fake_spark(tmp_path, 'echo "$@"; stat -c %a "$2"; cat "$2"; exit 1')))
    monkeypatch.setattr(server, "_java", lambda environ: None)
    with pytest.raises(EngineError) as caught:
        start_connect_server(master="local[1]", config={"spark.hadoop.key": "p\\w"}, workdir=tmp_path / "w")
    lines = (tmp_path / "w/connect-server.log").read_text().splitlines()
    assert "hadoop" not in lines[0]
    assert lines[1] == "600"
    assert r"spark.hadoop.key=p\\w" in lines
    assert isinstance(caught.value, BatchError)


def test_stopping_what_is_gone_does_nothing(tmp_path: Path) -> None:
    stop_connect_server(tmp_path / "none.json")
    (tmp_path / "state.json").write_text('{"pid": 1, "started": "not-that-one"}')
    stop_connect_server(tmp_path / "state.json")
    assert not (tmp_path / "state.json").exists()
