"""The pipelines that ship: their declarations are right, and say what the documentation says."""

from datetime import timedelta
from pathlib import Path

import pytest

from batch_processing.settings.loading import load_pipeline

REPO = Path(__file__).resolve().parents[3]
FILES = (
    "dags/pipelines/batch_processor.yml",
    "examples/flights/flights.yml",
    "examples/flights/flights_daily.yml",
)


@pytest.mark.parametrize("file", FILES)
def test_the_declaration_has_no_problem(file: str) -> None:
    loaded = load_pipeline(REPO / file)
    assert loaded.spec.pipeline == Path(file).stem
    assert loaded.project.suites_dir.is_dir()


@pytest.mark.parametrize("file", FILES)
def test_every_source_is_validated(file: str) -> None:
    spec = load_pipeline(REPO / file).spec
    assert set(spec.validations) == set(spec.sources)


def test_batch_processor_has_the_schedule_owner_retries_and_alerts_it_promises() -> None:
    spec = load_pipeline(REPO / FILES[0]).spec
    assert (spec.schedule, spec.catchup, spec.owner) == ("0 2 * * *", False, "data_engineer")
    assert (spec.retries, spec.retry_delay) == (3, timedelta(minutes=5))
    assert (spec.alerts.email, spec.alerts.on) == (("alert@company.com",), ("failure",))
    assert spec.validations["orders"].threshold == "{{ var.value.validation_threshold }}"
    assert (spec.target.mode, spec.target.partition_by) == ("replace_partitions", ("batch_date",))


def test_the_transform_of_orders_and_of_flights_must_not_lose_rows() -> None:
    assert load_pipeline(REPO / FILES[0]).spec.transform.preserves_rows
    assert load_pipeline(REPO / FILES[1]).spec.transform.preserves_rows
