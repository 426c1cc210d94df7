"""The DAG files: they import cleanly and lightly, and yield exactly the plan."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from batch_processing.pipeline.plan import build_plan
from batch_processing.settings.document import read_document
from batch_processing.settings.loading import load_pipeline
from tests.services.airflow import ROOT, isolated_environ

pytestmark = [pytest.mark.airflow]

DAGS = ROOT / "dags"
HEAVY = ("adbc_driver_manager", "deltalake", "duckdb", "grpc", "great_expectations", "numpy", "pandas", "pyarrow",
         "pysail", "pyspark", "batch_processing.control.store", "batch_processing.pipeline.steps")  # fmt: skip


def _probe(folder: Path, home: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "probe.py"), str(folder)],
        env=isolated_environ(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow_home")


@pytest.fixture(scope="module")
def probed(home: Path) -> dict[str, Any]:
    return _probe(DAGS, home)


@pytest.fixture(scope="module")
def dag(probed: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = probed["dags"]["batch_processor"]
    return found


def test_the_folder_is_read_in_safe_mode_without_an_error(probed: dict[str, Any]) -> None:
    assert probed["errors"] == {}
    assert sorted(probed["dags"]) == ["batch_maintenance", "batch_processor"]


def test_reading_it_loads_no_engine_and_no_library_of_the_boxes(probed: dict[str, Any]) -> None:
    assert [name for name in probed["modules"] if name.startswith(HEAVY)] == []


def test_reading_it_asks_no_metadata(probed: dict[str, Any], home: Path) -> None:
    # Neither is there a Variable or connection set: looking one up would have failed.
    assert not (home / "airflow.db").exists()


def test_the_dag_has_exactly_these_tasks(dag: dict[str, Any]) -> None:
    assert {name: (task["operator"], task["upstream"]) for name, task in dag["tasks"].items()} == {
        "wait_for_orders": ("FilesSensor", []),
        "extract_orders": ("ExtractOperator", ["wait_for_orders"]),
        "extract_customers": ("ExtractOperator", []),
        "extract_rates": ("ExtractOperator", []),
        "validate": ("ValidateOperator", ["extract_customers", "extract_orders", "extract_rates"]),
        "custom_validation": ("CustomValidationOperator", ["validate"]),
        "transform": ("TransformOperator", ["custom_validation"]),
        "validate_output": ("ValidateOutputOperator", ["transform"]),
        "quality_metrics": ("QualityMetricsOperator", ["validate_output"]),
        "publish": ("PublishOperator", ["quality_metrics"]),
        "load_warehouse": ("LoadWarehouseOperator", ["publish"]),
    }
    assert [name for name, task in dag["tasks"].items() if task["mapped"]] == ["extract_orders"]
    assert {name: task["outlets"] for name, task in dag["tasks"].items() if task["outlets"]} == {
        "publish": ["batch_processor"]
    }


def test_the_dag_runs_as_declared(dag: dict[str, Any]) -> None:
    assert dag["schedule"] == ["CronDataIntervalTimetable", "0 2 * * *"]
    assert (dag["catchup"], dag["max_active_runs"]) == (False, 1)
    assert dag["start_date"].startswith("2024-02-21")
    for task in dag["tasks"].values():
        assert (task["owner"], task["retries"], task["retry_delay"]) == ("data_engineer", 3, 300.0)
        assert task["depends_on_past"] is False
        assert task["retry_policy"] == "ErrorTreeRetryPolicy"
        assert task["callbacks"]["on_failure_callback"] == 1
        assert task["callbacks"]["on_retry_callback"] == 0


def test_the_serialized_dag_holds_the_declaration_by_name_only(dag: dict[str, Any]) -> None:
    assert len(dag["serialized"]) < 30_000
    assert "pipeline batch_processor" in dag["serialized"]
    assert "PipelineSpec" not in dag["serialized"]


def _project(folder: Path, **changes: Any) -> Path:
    """A copy of the DAG folder with another declaration."""
    shutil.copytree(DAGS, folder / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "dags" / "pipelines" / "batch_processor.yml"
    # Not yaml's own loader: to it the key `on` is the value true.
    declaration = {**read_document(file).data, **changes}
    file.write_text(yaml.safe_dump({k: v for k, v in declaration.items() if v is not None}, sort_keys=False))
    return folder / "dags"


@pytest.mark.parametrize(
    "changes",
    [
        {"engine": "spark://cluster:7077"},
        {"warehouse": None, "validate_output": None, "schedule": "@midnight"},
        {"schedule": None, "engine": "local[2]", "warehouse": None},
    ],
    ids=["own-spark", "no-warehouse", "no-schedule"],
)
def test_the_dag_is_the_plan(changes: dict[str, Any], tmp_path: Path, home: Path) -> None:
    dags = _project(tmp_path, **changes)
    plan = build_plan(load_pipeline(dags / "pipelines" / "batch_processor.yml").spec)

    tasks = _probe(dags, home)["dags"]["batch_processor"]["tasks"]

    # Airflow adds the edge from a setup to its teardown.
    expected = {s.id: {*s.upstreams, *([s.teardown_of] if s.teardown_of else [])} for s in plan.steps}
    assert {name: set(task["upstream"]) for name, task in tasks.items()} == expected
    assert {name for name, task in tasks.items() if task["mapped"]} == {s.id for s in plan.steps if s.mapped_over}
    assert {name for name, task in tasks.items() if task["teardown"]} == {s.id for s in plan.steps if s.teardown_of}
    assert {name for name, task in tasks.items() if task["setup"]} == {
        s.teardown_of for s in plan.steps if s.teardown_of
    }


def test_retry_mails_and_success_mails_are_there_only_where_they_are_asked_for(tmp_path: Path, home: Path) -> None:
    dags = _project(tmp_path, alerts={"email": ["a@company.com"], "on": ["retry"]})

    tasks = _probe(dags, home)["dags"]["batch_processor"]["tasks"]

    assert {tuple(task["callbacks"].values()) for name, task in tasks.items() if name != "load_warehouse"} == {
        (0, 1, 0)
    }
    # The last task sends what is left in the outbox.
    assert tuple(tasks["load_warehouse"]["callbacks"].values()) == (0, 1, 1)


def test_a_wrong_declaration_is_an_import_error_that_says_what_is_wrong(tmp_path: Path, home: Path) -> None:
    dags = _project(tmp_path, retrys=3, schedule="every day")

    found = _probe(dags, home)

    (text,) = found["errors"].values()
    assert "batch_processor" not in found["dags"]
    assert "2 problems" in text
    assert "did you mean retries" in text.replace('"', "").replace("'", "")
    assert "schedule" in text
    assert "batch_processor.yml" in text


def test_the_upkeep_is_one_mapped_task_per_table_and_names_no_table(probed: dict[str, Any]) -> None:
    upkeep = probed["dags"]["batch_maintenance"]

    assert {name: (task["operator"], task["upstream"], task["mapped"]) for name, task in upkeep["tasks"].items()} == {
        "list_tables": ("ListTablesOperator", [], False),
        "maintain": ("MaintainTableOperator", ["list_tables"], True),
    }
    assert upkeep["schedule"] == ["CronTriggerTimetable", "0 4 * * 0"]
    assert (upkeep["catchup"], upkeep["max_active_runs"]) == (False, 1)
    assert "batch_processor" not in upkeep["serialized"].replace("batch_processor_dag", "")
    for task in upkeep["tasks"].values():
        assert (task["retries"], task["retry_policy"]) == (3, "ErrorTreeRetryPolicy")
        assert task["callbacks"]["on_failure_callback"] == 1


def test_the_upkeep_is_there_also_where_a_declaration_is_wrong(tmp_path: Path, home: Path) -> None:
    found = _probe(_project(tmp_path, retrys=3), home)

    assert list(found["dags"]) == ["batch_maintenance"]


@pytest.mark.parametrize("file", sorted(DAGS.glob("*_dag.py")), ids=lambda file: str(file.name))
def test_a_dag_file_is_short(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 25
