"""Numbers at the edges of their types, medians and quantiles, by known answers, on every engine."""

from __future__ import annotations

from typing import Any

from batch_processing.results import Outcome
from tests.integration.quality.judging import e, judge, rule


def test_whole_numbers_beyond_2_to_the_53_are_compared_exactly(spark: Any) -> None:
    limit = 2**53
    df = spark.createDataFrame([(limit,), (limit + 1,)], "id bigint")
    found = judge(df, e("column_values_to_be_between", column="id", max_value=limit), threshold=0)
    assert found.result.quarantined == 1


def test_whole_numbers_beyond_64_bits_are_bounds_and_members(spark: Any) -> None:
    df = spark.createDataFrame([(2**63 - 1,), (1,)], "id bigint")
    rules = [
        e("column_values_to_be_between", column="id", max_value=2**64, rule_id="low"),
        e("column_values_to_be_between", column="id", min_value=-(10**60), max_value=10**60, rule_id="far"),
        e("column_values_to_be_in_set", column="id", value_set=[1, 2**64], rule_id="member"),
        e("column_distinct_values_to_be_in_set", column="id", value_set=[1, 2**63 - 1, 2**64], rule_id="distinct"),
    ]
    found = judge(df, *rules, threshold=0)
    assert [rule.unexpected_count for rule in found.result.rules[:3]] == [0, 0, 1]
    assert all(rule.outcome in ("PASS", "FAIL") for rule in found.result.rules)


def test_smallint_has_a_mean(spark: Any) -> None:
    df = spark.createDataFrame([(1,), (2,)], "n smallint")
    assert judge(df, e("column_mean_to_be_between", column="n", min_value=1.5, max_value=1.5))


def test_a_quantile_of_no_value_fails_and_one_asked_twice_is_one(spark: Any) -> None:
    df = spark.createDataFrame([(None, value) for value in range(10)], "none int, n int")
    twice = {"quantiles": [0.9, 0.9], "value_ranges": [[8, 8], [8, 8]]}
    kind = "column_quantile_values_to_be_between"
    found = judge(df, *(e(kind, column=name, quantile_ranges=twice, rule_id=name) for name in ("none", "n")))
    assert (rule(found, "none").outcome, rule(found, "n").outcome) == (Outcome.FAIL, Outcome.PASS)
    assert rule(found, "none").message == "the quantile 0.9 is None, expected at least 8 and at most 8"


def test_quantiles_of_few_values_among_nulls(spark: Any) -> None:
    df = spark.createDataFrame([(1,), (None,), (12,)], "n int")
    ranges = {"quantiles": [1 / 3, 0.9], "value_ranges": [[1, 1], [12, 12]]}
    assert judge(df, e("column_quantile_values_to_be_between", column="n", quantile_ranges=ranges))


def test_a_field_of_a_struct_has_a_median(spark: Any) -> None:
    df = spark.createDataFrame([((1,),), ((3,),)], "st struct<a: int>")
    assert judge(df, e("column_median_to_be_between", column="st.a", min_value=2, max_value=2))
