"""The project's own checks for `batch_processor`, and what they do with nothing."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

DAGS = Path(__file__).resolve().parents[3] / "dags"
EXPORTED = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def checks() -> Iterator[Any]:
    sys.path.insert(0, str(DAGS))
    yield import_module("mychecks")
    sys.path.remove(str(DAGS))


@pytest.mark.parametrize(
    ("ordered", "good"),
    [
        (EXPORTED - timedelta(days=3), True),
        (EXPORTED, True),
        (EXPORTED + timedelta(microseconds=1), False),
        (datetime(2099, 1, 1, tzinfo=UTC), False),
        (None, None),
    ],
)
def test_no_order_is_later_than_its_export(
    spark: Any, checks: Any, ordered: datetime | None, good: bool | None
) -> None:
    frame = spark.createDataFrame([(ordered, EXPORTED)], "ordered_at timestamp, exported_at timestamp")
    (row,) = frame.select(checks.no_future_dates(frame).alias("good")).collect()
    assert row["good"] is good


@pytest.mark.parametrize(("count", "good"), [(0, False), (99, False), (100, True), (101, True)])
def test_an_export_of_few_customers_is_no_export(spark: Any, checks: Any, count: int, good: bool) -> None:
    found = checks.enough_customers(spark.range(count))
    assert (found.success, found.observed) == (good, count)
