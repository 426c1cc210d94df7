"""Row conditions: what is refused when a suite is loaded, and the Spark SQL that the others become."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from batch_processing.quality.conditions import condition_problems, condition_sql

FLOATS = ("x",)
N_ABOVE_1 = {"type": "comparison", "column": {"name": "n"}, "operator": ">", "parameter": 1}


def names(name: str) -> tuple[str, bool]:
    return f"`{name}`", name in FLOATS


def in_gx_words(text: str) -> dict[str, Any]:
    return {"row_condition": text, "condition_parser": "great_expectations"}


def comparing(operator: str, parameter: Any) -> dict[str, Any]:
    return {"type": "comparison", "column": {"name": "s"}, "operator": operator, "parameter": parameter}


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ('col("n") > 1', "`n` > 1"),
        (' col("n")<=-2 ', "`n` <= -2"),
        ('col("x") >= 1.5e1', "`x` >= CAST('15.0' AS DOUBLE)"),
        ('col("s") == "a b"', "`s` == 'a b'"),
        ("col(\"s\") != 'a'", "`s` != 'a'"),
        ('col("s") == "5"', "`s` == '5'"),
        ('col("m") > -1.5', "`m` > -1.5"),
        ('col("d") < date("2026-01-02")', "`d` < '2026-01-02'"),
        ('col("a name").notNull()', "`a name` IS NOT NULL"),
        ('col("s").NOTNULL()', "`s` IS NOT NULL"),
        ('col("s") == "it\'s"', "`s` == 'it\\'s'"),
    ],
)
def test_a_comparison_in_gx_words(text: str, sql: str) -> None:
    assert not list(condition_problems(in_gx_words(text)))
    assert condition_sql(in_gx_words(text), names) == sql


@pytest.mark.parametrize(
    ("condition", "sql"),
    [
        (N_ABOVE_1, "`n` > 1"),
        (comparing("==", "a\\b"), "`s` == 'a\\\\b'"),
        (comparing("<", 1.5), "`s` < 1.5"),
        ({**N_ABOVE_1, "column": {"name": "x"}, "parameter": 1.5}, "`x` > CAST('1.5' AS DOUBLE)"),
        (comparing("==", True), "`s` == true"),
        (comparing(">", date(2026, 1, 2)), "`s` > DATE '2026-01-02'"),
        (comparing(">", datetime(2026, 1, 2, 3, tzinfo=UTC)), "`s` > TIMESTAMP '2026-01-02T03:00:00+00:00'"),
        (comparing("IN", ["a", "b"]), "`s` IN ('a', 'b')"),
        (comparing("NOT_IN", [1, 2.5]), "`s` NOT IN (1, 2.5)"),
        ({"type": "nullity", "column": {"name": "s"}, "is_null": True}, "`s` IS NULL"),
        ({"type": "or", "conditions": [N_ABOVE_1, N_ABOVE_1]}, "(\n`n` > 1\n)\nOR (\n`n` > 1\n)"),
        ({"type": "pass_through", "pass_through_filter": "n > 1"}, "n > 1"),
    ],
)
def test_an_object(condition: dict[str, Any], sql: str) -> None:
    assert not list(condition_problems({"row_condition": condition}))
    assert condition_sql({"row_condition": condition}, names) == sql


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        (in_gx_words("n > 1"), 'as col("x") > 1'),
        (in_gx_words('col("n")'), "is not a comparison"),
        (in_gx_words('col("n") ~ 1'), "is not a comparison"),
        (
            in_gx_words('col("n") > 1 and col("x") > 2'),
            "goes on with 'and col(\"x\") > 2', which great_expectations would",
        ),
        (in_gx_words('col("n") > 5abc'), "goes on with 'abc'"),
        ({"row_condition": 5, "condition_parser": "spark"}, "not text and not an object"),
        ({"row_condition": {"type": "xor"}}, "unknown type 'xor'; valid: comparison"),
        ({"row_condition": {}}, "unknown type None"),
        ({"row_condition": {"type": "or", "conditions": []}}, "'or' without a list of conditions"),
        ({"row_condition": {"type": "and"}}, "'and' without a list of conditions"),
        ({"row_condition": {"type": "and", "conditions": ["n > 1"]}}, "'and' without a list of conditions"),
        (
            {"row_condition": {"type": "and", "conditions": [{"type": "or", "conditions": [N_ABOVE_1]}]}},
            "'or' inside an 'and'",
        ),
        ({"row_condition": {"type": "and", "conditions": [N_ABOVE_1] * 101}}, "more than 100 conditions"),
        ({"row_condition": {"type": "comparison", "operator": ">", "parameter": 1}}, "without a column's name"),
        ({"row_condition": {"type": "nullity", "column": {"name": "s"}}}, "without is_null"),
        ({"row_condition": comparing("=", 1)}, "unknown operator '='; valid: ==, !="),
        ({"row_condition": comparing("==", None)}, "null, which nothing equals"),
        ({"row_condition": comparing("==", [1])}, "not a number, a text or a date"),
        ({"row_condition": comparing("==", float("nan"))}, "not a number, a text or a date"),
        ({"row_condition": comparing("IN", [])}, "IN without a list of values"),
        ({"row_condition": comparing("IN", "ab")}, "IN without a list of values"),
        ({"row_condition": comparing("IN", [1, "a"])}, "not all numbers or all texts"),
        ({"row_condition": {"type": "pass_through", "pass_through_filter": " "}}, "pass_through_filter"),
    ],
)
def test_what_would_judge_other_rows_than_written_is_refused(kwargs: dict[str, Any], words: str) -> None:
    (problem,) = condition_problems(kwargs)
    assert words in problem
