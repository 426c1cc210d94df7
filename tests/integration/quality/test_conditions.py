"""Row conditions on both engines: the rows they name, in every way of writing them, and what is no condition."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from batch_processing.quality import parse_suite, validate
from batch_processing.results import Outcome

DAY = dt.date(2026, 1, 2)
SCHEMA = "id int, s string, code string, x double, day date, t timestamp, target string"
INFINITE = float("inf")
ROWS = [
    (1, "a", "5", 1.5, dt.date(2026, 1, 1), dt.datetime(2026, 1, 1, 5, tzinfo=dt.UTC), None),
    (2, 'it\'s \\ "q"', "10", 2.5, DAY, dt.datetime(2026, 1, 2, 5, tzinfo=dt.UTC), None),
    (3, None, None, None, None, None, None),
    (4, None, None, INFINITE, None, None, None),
]


@pytest.fixture
def df(spark: Any) -> Any:
    return spark.createDataFrame(ROWS, SCHEMA)


def judge(df: Any, condition: Any, parser: str | None = "great_expectations", **kwargs: Any) -> Any:
    """A rule that every row in the condition breaks."""
    written = {"row_condition": condition, **({"condition_parser": parser} if parser else {}), **kwargs}
    rule = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "target", **written}}
    return validate(df, suite=parse_suite({"name": "s", "expectations": [rule]}), threshold=0)


def comparing(column: str, operator: str, parameter: Any) -> dict[str, Any]:
    return {"type": "comparison", "column": {"name": column}, "operator": operator, "parameter": parameter}


@pytest.mark.parametrize(
    ("condition", "parser", "ids"),
    [
        ('col("id") > 1', "great_expectations", [2, 3, 4]),
        ('col("id") >= "2"', "great_expectations", [2, 3, 4]),
        ('col("code") == "5"', "great_expectations", [1]),
        ('col("s").notNull()', "great_expectations", [1, 2]),
        ('col("x") <= 1.5', "great_expectations", [1]),
        ('col("day") == date("2026-01-02")', "great_expectations", [2]),
        ('col("t") < date("2026-01-02")', "great_expectations", [1]),
        (comparing("s", "==", "it's \\ \"q\""), None, [2]),
        (comparing("id", "IN", [1, 3]), None, [1, 3]),
        (comparing("id", "<", 2**70), None, [1, 2, 3, 4]),
        (comparing("x", "!=", 1.5), None, [2, 4]),
        (comparing("x", "NOT_IN", [1.5, 7]), None, [2, 4]),
        (comparing("day", ">=", DAY), None, [2]),
        ({"type": "or", "conditions": [comparing("id", "==", 1), {"type": "nullity", "column": {"name": "s"},
                                                                   "is_null": True}]}, None, [1, 3, 4]),
        ({"type": "and", "conditions": [comparing("id", ">", 1), comparing("x", ">", 1.5)]}, None, [2, 4]),
        ({"type": "pass_through", "pass_through_filter": "id > 1 -- and more"}, None, [2, 3, 4]),
    ],
)  # fmt: skip
def test_the_rows_of_a_condition_are_judged_and_quarantined(
    df: Any, condition: Any, parser: str | None, ids: list[int]
) -> None:
    found = judge(df, condition, parser)
    assert [(rule.engine, rule.unexpected_count) for rule in found.result.rules] == [("compiled", len(ids))]
    assert sorted(row.id for row in found.bad_rows().collect()) == ids


def test_what_mostly_allows_is_quarantined_under_a_condition_too(df: Any) -> None:
    found = judge(df, 'col("id") > 1', mostly=0)
    assert (found.result.outcome, found.result.quarantined) == (Outcome.PASS_WITH_QUARANTINE, 3)


@pytest.mark.parametrize(
    ("condition", "parser", "words"),
    [
        ("id + 1", "spark", "its row_condition is int, expected boolean"),
        ("code", "spark", "its row_condition is string, expected boolean"),
        ('col("idd") > 1', "great_expectations", "there is no column 'idd'; near names: id"),
        (comparing("nope", ">", 1), None, "there is no column 'nope'"),
    ],
)
def test_what_is_no_condition_is_an_error(df: Any, condition: Any, parser: str | None, words: str) -> None:
    found = judge(df, condition, parser)
    assert found.result.outcome is Outcome.ERROR
    assert words in found.result.rules[0].message


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("expect_column_distinct_values_to_be_in_set", {"value_set": ["a"]}),
        ("expect_column_unique_value_count_to_be_between", {"min_value": 0, "max_value": 5}),
        ("expect_column_proportion_of_unique_values_to_be_between", {"min_value": 0, "max_value": 1}),
    ],
)
def test_a_column_without_a_value_is_no_pass_under_a_condition(df: Any, kind: str, kwargs: dict[str, Any]) -> None:
    condition = {"row_condition": 'col("id") > 0', "condition_parser": "great_expectations"}
    rule = {"type": kind, "kwargs": {"column": "target", **kwargs, **condition}}
    found = validate(df, suite=parse_suite({"name": "s", "expectations": [rule]}))
    assert found.result.outcome is Outcome.ERROR


@pytest.mark.parametrize("kind", ["expect_column_median_to_be_between", "expect_column_quantile_values_to_be_between"])
def test_a_median_of_the_rows_of_a_condition(df: Any, kind: str) -> None:
    bounds: dict[str, Any] = {"min_value": 2.5, "max_value": 2.5}
    if "quantile" in kind:
        bounds = {"quantile_ranges": {"quantiles": [0.5], "value_ranges": [[2.5, 2.5]]}}
    condition = {"row_condition": comparing("id", "IN", [2, 3])}
    rule = {"type": kind, "kwargs": {"column": "x", **bounds, **condition}}
    assert validate(df, suite=parse_suite({"name": "s", "expectations": [rule]})).result.outcome is Outcome.PASS
