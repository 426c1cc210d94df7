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


def bad_rows(found: Validated) -> list[str]:
    bad = found.bad_rows()
    assert bad is not None
    return sorted(map(str, bad.collect()))


def test_counts_in_parts_are_the_counts_of_the_whole(spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = judged(spark)
    parts = []
    counted = key_counts._count_in_parts
    monkeypatch.setattr(key_counts, "_count_in_parts", lambda *a, **k: parts.append(k["parts"]) or counted(*a, **k))
    monkeypatch.setattr(key_counts, "_keys_at_once", lambda df: 7)
    found = judged(spark)
    assert set(parts) == {12}
    assert found.gx_result["results"] == whole.gx_result["results"]
    assert (found.result.rules, found.result.quarantined) == (whole.result.rules, whole.result.quarantined)
    assert bad_rows(found) == bad_rows(whole)


def test_keys_that_are_fetched_and_keys_that_are_not_name_the_same_rows(
    spark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = judged(spark)
    rows = bad_rows(fetched)
    for limit in ("_FEW_ROWS", "_FEW_BYTES"):
        with monkeypatch.context() as patched:
            patched.setattr(key_counts, limit, 0)
            found = judged(spark)
            assert (found.result.quarantined, bad_rows(found)) == (fetched.result.quarantined, rows)
    kept = fetched.valid_rows().count()
    assert (len(rows), kept) == (fetched.result.quarantined, len(ROWS) - fetched.result.quarantined)


@pytest.mark.parametrize(
    "kind",
    [
        "timestamp_ntz",
        "timestamp",
        "date",
        "decimal(38,18)",
        "binary",
        "boolean",
        "float",
        "array<int>",
        "struct<a:int>",
    ],
)
def test_repeated_keys_of_any_type_name_their_rows(spark: Any, kind: str) -> None:
    texts = {"array<int>": "array({})", "struct<a:int>": "named_struct('a', {})", "boolean": "{} > 1"}
    texts |= {"date": "date_add(date'2026-01-01', {})", "binary": "encode(cast({} as string), 'utf-8')"}
    texts |= dict.fromkeys(("timestamp", "timestamp_ntz"), "date_add(date'2026-01-01', {})")
    expression = texts.get(kind, "{}").format("cast(id % 3 as int)")
    df = spark.range(4).selectExpr("id", f"cast({expression} as {kind}) AS k")
    found = validate(df, suite=parse_suite({"name": "s", "expectations": [unique("k")]}), threshold=0)
    bad = found.bad_rows()
    assert bad is not None
    assert sorted(row["id"] for row in bad.collect()) == ([0, 1, 3] if kind == "boolean" else [0, 3])


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
