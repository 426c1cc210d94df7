"""One declaration on every engine: the same table, score and quarantine, and no server left behind."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
from deltalake import DeltaTable

from batch_processing.results import Outcome, RunResult
from batch_processing.settings.models import EngineSpec
from tests.services.project import GOOD_ROWS, TRANSFORM, SmallProject
from tests.services.spark import SparkCluster

BAD_ROWS = [",1,5.0,2026-11-01", "7,1,5.0,2026-11-01", "201,1,-3.0,2026-11-02", "oops,1,2.0,2026-11-01"]

pytestmark = pytest.mark.spark


def _seen(project: SmallProject, result: RunResult) -> dict[str, object]:
    """What a reader sees after a run: rows, quarantine, score, counts."""
    table = DeltaTable(result.table).to_pyarrow_table().to_pylist()
    quarantine = DeltaTable(f"{project.root}/home/quarantine/orders/orders").to_pyarrow_table().to_pylist()
    return {
        "rows": sorted(map(repr, table)),
        "quarantine": sorted((row["_source_row"], sorted(row["_reasons"])) for row in quarantine),
        "score": result.score,
        "counts": result.rows,
    }


def _servers(project: SmallProject) -> list[dict[str, object]]:
    states = Path(f"{project.root}/home/runs").rglob("connect-server.json")
    return [json.loads(state.read_text()) for state in states]


def test_a_standing_server_gives_what_the_embedded_engine_gives(
    project: SmallProject, spark_cluster: SparkCluster
) -> None:
    project.write_orders([*GOOD_ROWS, *BAD_ROWS])
    embedded = project.run()
    seen = _seen(project, embedded)
    project.declaration["target"]["table"] += "_spark"
    project.environ["BATCH_HOME"] = f"{project.root}/home"
    remote = project.run(engine=EngineSpec(name="spark", remote=spark_cluster.remote))
    assert (remote.outcome, remote.engine, remote.error) == (Outcome.PASS_WITH_QUARANTINE, "spark", "")
    assert _seen(project, remote) == seen


def test_a_master_gets_a_server_for_the_run_that_is_gone_after_it(
    project: SmallProject, spark_cluster: SparkCluster
) -> None:
    assert spark_cluster.home.is_dir(), "Spark is installed"
    project.write_orders([*GOOD_ROWS, *BAD_ROWS])
    seen = _seen(project, project.run())
    project.declaration["target"]["table"] += "_master"
    project.declaration["engine"] = {"name": "spark", "master": "local[1]", "config": "small.yml"}
    (project.root / "small.yml").write_text("spark.driver.memory: 1g\nspark.sql.shuffle.partitions: 2\n")
    result = project.run()
    assert (result.outcome, result.error) == (Outcome.PASS_WITH_QUARANTINE, "")
    assert [step.step for step in result.steps if "engine" in step.step] == ["start_engine", "stop_engine"]
    assert _seen(project, result) == seen
    (project.root / "broken_job.py").write_text("def transform(spark, inputs):\n    raise RuntimeError('no')\n")
    project.declaration["transform"] = "broken_job:transform"
    failed = project.run(day="2026-11-03")
    assert failed.outcome is Outcome.ERROR
    assert failed.steps[-1].step == "stop_engine"
    assert not _servers(project), "a state file means a server that nobody stopped"
    left = [" ".join(command) for command in map(_command, psutil.Process().children(recursive=True))]
    assert not [command for command in left if str(project.root) in command]


def test_a_transform_that_sets_another_time_zone_is_told_and_publishes_nothing(
    project: SmallProject, spark_cluster: SparkCluster
) -> None:
    # Apache Spark wrote instants as that zone's clock shows them where they partition the table.
    project.write_orders(GOOD_ROWS)
    zone = 'spark.conf.set("spark.sql.session.timeZone", "America/New_York")'
    project.write_transform(TRANSFORM.replace("    orders, customers", f"    {zone}\n    orders, customers"))
    for engine in (None, EngineSpec(name="spark", remote=spark_cluster.remote)):
        result = project.run(engine=engine)
        assert result.outcome is Outcome.ERROR
        assert "spark.sql.session.timeZone = America/New_York" in result.error
        assert not project.table.exists()


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []  # it has ended


def test_a_remote_that_does_not_answer_is_named(project: SmallProject) -> None:
    result = project.run(engine=EngineSpec(name="spark", remote="sc://127.0.0.1:1"))
    assert (result.outcome, result.exit_code) == (Outcome.ERROR, 3)
    assert "127.0.0.1:1" in result.error
    assert not project.table.exists()
