"""`validate_data(df, suite)`: whatever the caller has as a suite."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from batch_processing.errors import SuiteError
from batch_processing.quality import parse_suite, validate_data
from tests.integration.quality.judging import UNIQUE

WRITTEN = {"name": "mine", "expectations": [UNIQUE]}


def test_a_suite_is_given_by_name_path_object_or_value(orders: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(WRITTEN))
    for suite in ("mine", str(file), file, WRITTEN, parse_suite(WRITTEN)):
        found = validate_data(orders, suite, suites_dir=tmp_path)
        assert found.result.suite == "mine"
        assert not found


@pytest.mark.slow
def test_great_expectations_own_suite_is_one_too(orders: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx
        from great_expectations.expectations import ExpectColumnMeanToBeBetween, ExpectColumnValuesToNotBeNull
        from great_expectations.expectations.row_conditions import Column

        positive = Column("amount") > 0
        suite = gx.ExpectationSuite(
            name="theirs",
            expectations=[
                ExpectColumnValuesToNotBeNull(column="id", mostly=0.5, severity="warning", row_condition=positive),
                ExpectColumnMeanToBeBetween(column="amount", min_value=-1e6, max_value=1e6, meta={"rule_id": "mean"}),
            ],
        )
    found = validate_data(orders, suite)
    assert found.result.suite == "theirs"
    assert [(rule.rule_id, rule.severity.value, rule.engine) for rule in found.result.rules] == [
        (suite.expectations[0].id or "expect_column_values_to_not_be_null(id)", "warning", "compiled"),
        ("mean", "critical", "compiled"),
    ]
    assert found


@pytest.mark.parametrize("suite", [None, 5, ["expect_column_to_exist"]])
def test_what_is_no_suite_is_told(orders: Any, suite: Any) -> None:
    with pytest.raises(SuiteError, match="give a suite's name, its path, its JSON object, or an ExpectationSuite"):
        validate_data(orders, suite)
