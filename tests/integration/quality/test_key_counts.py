"""Keys counted in parts, where an engine says how many it shall hold at once."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import pytest

from batch_processing.quality import Validated, key_counts, parse_suite, validate
from batch_processing.settings.session_conf import KEYS_AT_ONCE
from batch_processing.spark.session import get_spark_session

CHANCE = random.Random(20261126)
ROWS = [
    (
        CHANCE.choice([None, *range(40)]),
        CHANCE.choice([None, "", "a", "ä", *map(str, range(20))]),
        CHANCE.choice([None, 0.0, -0.0, math.nan, math.inf, *map(float, range(30))]),
        number,
    )
    for number in range(80)
]
COLUMNS = "n bigint, word string, x double, alone bigint"


def unique(column: str, **more: Any) -> dict[str, Any]:
    return {"type": "expect_column_values_to_be_unique", "kwargs": {"column": column, **more}}


SUITE = parse_suite(
    {
        "name": "keys",
        "expectations": [
            unique("n"),
            unique("word"),
            unique("x"),
            unique("alone"),
            unique("n", row_condition="alone < 60", condition_parser="spark"),
            {"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": ["n", "word"]}},
            {
                "type": "expect_column_proportion_of_unique_values_to_be_between",
                "kwargs": {"column": "n", "min_value": 0.99},
            },
            {"type": "expect_column_unique_value_count_to_be_between", "kwargs": {"column": "x", "max_value": 5}},
        ],
    }
)


@pytest.fixture
def few_keys_at_once(spark: Any) -> Iterator[Any]:
    spark.conf.set(KEYS_AT_ONCE, "7")
    yield spark
    spark.conf.unset(KEYS_AT_ONCE)


def judged(spark: Any) -> Validated:
    return validate(spark.createDataFrame(ROWS, COLUMNS), suite=SUITE, threshold=0)


def test_counts_in_parts_are_the_counts_of_the_whole(spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = judged(spark)
    parts = []
    counted = key_counts._count_in_parts
    monkeypatch.setattr(key_counts, "_count_in_parts", lambda *a, **k: parts.append(k["parts"]) or counted(*a, **k))
    spark.conf.set(KEYS_AT_ONCE, "7")
    try:
        found = judged(spark)
    finally:
        spark.conf.unset(KEYS_AT_ONCE)
    assert parts
    assert set(parts) == {12}
    assert found.gx_result["results"] == whole.gx_result["results"]
    assert (found.result.rules, found.result.quarantined) == (whole.result.rules, whole.result.quarantined)


def test_where_keys_are_few_the_rest_is_one_count(few_keys_at_once: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = []
    collect = key_counts.collect
    monkeypatch.setattr(key_counts, "collect", lambda *a: queries.append(1) or collect(*a))
    df = few_keys_at_once.createDataFrame([(number % 2,) for number in range(100)], "n bigint")
    found = validate(df, suite=parse_suite({"name": "s", "expectations": [unique("n")]}), threshold=0)
    assert found.result.rules[0].unexpected_count == 100
    assert len(queries) <= 4, "15 parts were counted one by one"


def test_the_embedded_engine_counts_many_keys_in_parts() -> None:
    assert int(get_spark_session().conf.get(KEYS_AT_ONCE, "0")) > 1_000_000
