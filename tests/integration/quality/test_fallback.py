"""What is not compiled runs in Great Expectations on the same DataFrame."""

from __future__ import annotations

from typing import Any

import pytest

from batch_processing.quality import parse_suite, validate
from batch_processing.quality.gx import _validate as validate_in_gx
from batch_processing.results import Outcome

pytestmark = pytest.mark.slow
JSON = {"type": "expect_column_values_to_be_json_parseable", "kwargs": {"column": "s"}, "meta": {"rule_id": "json"}}
PRESENT = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}, "meta": {"rule_id": "present"}}
STRFTIME = {
    "type": "expect_column_values_to_match_strftime_format",
    "kwargs": {"column": "s", "strftime_format": "%Y", "mostly": 0},
    "meta": {"rule_id": "day"},
}
ROWS = [(1, '{"a": 1}'), (2, "secret {"), (None, "[]"), (4, None)]


def judge(df: Any, *expectations: dict[str, Any], threshold: float = 0.5) -> Any:
    return validate(df, suite=parse_suite({"name": "s", "expectations": list(expectations)}), threshold=threshold)


@pytest.fixture
def df(spark_embedded: Any) -> Any:
    return spark_embedded.createDataFrame(ROWS, "id int, s string")


def test_compiled_and_fallback_give_one_result_in_the_suites_order(df: Any) -> None:
    found = judge(df, JSON, PRESENT)
    assert [(rule.rule_id, rule.engine, rule.unexpected_count) for rule in found.result.rules] == [
        ("json", "gx", 1),
        ("present", "compiled", 1),
    ]
    types = [result["expectation_config"]["type"] for result in found.gx_result["results"]]
    assert types == [JSON["type"], PRESENT["type"]]
    assert found.gx_result["results"][0]["expectation_config"]["meta"] == {"rule_id": "json"}


def test_a_critical_fallback_that_fails_closes_the_gate_since_its_rows_cannot_be_named(df: Any) -> None:
    found = judge(df, JSON)
    assert found.result.outcome is Outcome.FAIL
    assert found.bad_rows() is None
    assert judge(df, {**JSON, "severity": "warning"}).result.outcome is Outcome.PASS
    assert judge(df, {**JSON, "kwargs": {"column": "s", "mostly": 0.5}}).result.outcome is Outcome.PASS


def test_a_fallback_that_raises_or_has_no_column_is_an_error_without_data(df: Any) -> None:
    strftime = {
        "type": "expect_column_values_to_match_strftime_format",
        "kwargs": {"column": "id", "strftime_format": "%Y"},
    }
    found = judge(df, strftime, {**JSON, "kwargs": {"column": "t"}}, {**PRESENT, "severity": "warning"})
    assert [rule.outcome for rule in found.result.rules] == [Outcome.ERROR, Outcome.ERROR, Outcome.FAIL]
    assert "there is no column 't'" in found.result.rules[1].message
    assert "secret" not in str(found.result) + str(found.gx_result)


def test_one_that_makes_gx_raise_does_not_take_the_others_down(df: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_for_two(frame: Any, expectations: list[Any]) -> list[dict[str, Any]]:
        if any(one.expectation_type == STRFTIME["type"] for one in expectations):
            raise KeyError("what GX raises")
        return validate_in_gx(frame, expectations)

    monkeypatch.setattr("batch_processing.quality.gx._validate", raise_for_two)

    found = judge(df, JSON, STRFTIME, PRESENT)

    outcomes = {rule.rule_id: rule.outcome for rule in found.result.rules}
    assert outcomes == {"json": Outcome.FAIL, "day": Outcome.ERROR, "present": Outcome.FAIL}
    assert "what GX raises" in found.result.rules[1].message
    assert [one["expectation_config"]["meta"] for one in found.gx_result["results"]] == [
        JSON["meta"], STRFTIME["meta"], PRESENT["meta"],
    ]  # fmt: skip


def test_what_mostly_lets_through_is_said_to_be_in_no_quarantine(df: Any) -> None:
    (rule,) = judge(df, {**JSON, "kwargs": {"column": "s", "mostly": 0.5}}).result.rules
    assert (rule.outcome, rule.unexpected_count) == (Outcome.PASS, 1)
    assert "1 of 4 rows broke it, which its mostly allows" in rule.message


def test_great_expectations_prints_nothing(df: Any, capfd: pytest.CaptureFixture[str]) -> None:
    judge(df, JSON, STRFTIME)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "Calculating" not in printed.err


def test_a_query_of_a_column_that_is_not_there_is_an_error_without_rows_too(df: Any) -> None:
    query = {"type": "unexpected_rows_expectation",
             "kwargs": {"unexpected_rows_query": "SELECT * FROM {batch} WHERE nope > 1"}}  # fmt: skip
    suite = parse_suite({"name": "s", "expectations": [query]})
    assert validate(df.where("id > 100"), suite=suite, allow_empty=True).result.outcome is Outcome.ERROR


def test_an_all_null_column_is_no_pass_in_a_fallback_either(df: Any) -> None:
    found = judge(df.where("id = 4"), JSON)
    assert found.result.outcome is Outcome.ERROR
