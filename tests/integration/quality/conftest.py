"""Fixtures of these tests."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.quality.judging import ORDERS, SCHEMA


@pytest.fixture
def orders(spark: Any) -> Any:
    """Six orders, some of them bad."""
    return spark.createDataFrame(ORDERS, SCHEMA)
