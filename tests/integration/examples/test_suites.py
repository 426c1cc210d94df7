"""The suites that ship are plain Great Expectations JSON: the library itself reads every one of them."""

import json
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[3]
SUITES = sorted(REPO.glob("dags/gx/expectations/*.json")) + sorted(REPO.glob("examples/flights/gx/expectations/*.json"))


@pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")  # a module that the library still imports
@pytest.mark.parametrize("path", SUITES, ids=[path.stem for path in SUITES])
def test_great_expectations_reads_the_suite(path: Path) -> None:
    from great_expectations.core.expectation_suite import ExpectationSuite

    given = json.loads(path.read_text())
    suite = ExpectationSuite(**given)
    assert suite.name == path.stem
    assert [found.expectation_type for found in suite.expectations] == [one["type"] for one in given["expectations"]]
    rules = [found.meta["rule_id"] for found in suite.expectations]
    assert len(set(rules)) == len(rules)


def test_batch_suite_is_the_three_rules_of_the_pipeline() -> None:
    given = json.loads((REPO / "dags/gx/expectations/batch_suite.json").read_text())
    assert [(one["type"], one["kwargs"]) for one in given["expectations"]] == [
        ("expect_column_values_to_not_be_null", {"column": "id"}),
        ("expect_column_values_to_be_unique", {"column": "id"}),
        ("expect_column_values_to_be_between", {"column": "amount", "min_value": 0, "max_value": 1_000_000}),
    ]
