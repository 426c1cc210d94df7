"""Answers worked out by hand: eight rows, every compiled expectation that counts or measures, on every engine.

n      1     2     2    3     -      5    -1    2        mean 14/7, deviation sqrt(20/6), 5 distinct of 7
x     0.5   NaN   inf  -inf   -      2.0  2.0   1.0      NaN is greater than every number, as in Spark
id    1 .. 8                                             mean 4.5, deviation sqrt(6) = 2.449, quartiles 2.75, 6.25
s     a     ''    ab    -    日本    a    A%    x_y
u     b     ''    ab    c    日本    -    A%    X
m     1.10  2.20  -    0.00  -1.00  3.30  3.30  9.99     sum 18.89, to the cent
b     T     T     T    F     F      T     F     T
d     2026-01-01 .. 2026-01-08
"""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from batch_processing.quality import parse_suite, validate

NAN, INF = math.nan, math.inf
COLUMNS = "id bigint, n int, x double, s string, u string, m decimal(12,2), b boolean, d date"
ROWS = [
    (1, 1, 0.5, "a", "b", Decimal("1.10"), True, date(2026, 1, 1)),
    (2, 2, NAN, "", "", Decimal("2.20"), True, date(2026, 1, 2)),
    (3, 2, INF, "ab", "ab", None, True, date(2026, 1, 3)),
    (4, 3, -INF, None, "c", Decimal("0.00"), False, date(2026, 1, 4)),
    (5, None, None, "日本", "日本", Decimal("-1.00"), False, date(2026, 1, 5)),
    (6, 5, 2.0, "a", None, Decimal("3.30"), True, date(2026, 1, 6)),
    (7, -1, 2.0, "A%", "A%", Decimal("3.30"), False, date(2026, 1, 7)),
    (8, 2, 1.0, "x_y", "X", Decimal("9.99"), True, date(2026, 1, 8)),
]
VALUES = "expect_column_values_"
EITHER = {"ignore_row_if": "either_value_is_missing"}
ANY = {"ignore_row_if": "any_value_is_missing"}
POSITIVE = {"row_condition": "n > 0", "condition_parser": "spark"}

BAD_ROWS: list[tuple[str, dict[str, Any], int]] = [
    (VALUES + "to_not_be_null", {"column": "n"}, 1),
    (VALUES + "to_be_null", {"column": "n"}, 7),
    (VALUES + "to_be_unique", {"column": "n"}, 3),
    (VALUES + "to_be_unique", {"column": "x"}, 2),
    (VALUES + "to_be_unique", {"column": "s"}, 2),
    (VALUES + "to_be_between", {"column": "n", "min_value": 1, "max_value": 3}, 2),
    (VALUES + "to_be_between", {"column": "n", "min_value": 1, "max_value": 3, "strict_min": True}, 3),
    (VALUES + "to_be_between", {"column": "n", "min_value": 1, "max_value": 3, "strict_max": True}, 3),
    (VALUES + "to_be_between", {"column": "n", "min_value": 2, "max_value": 2, **POSITIVE}, 3),
    (VALUES + "to_be_between", {"column": "x", "min_value": 0, "max_value": 2}, 3),
    (VALUES + "to_be_between", {"column": "x", "min_value": 0}, 1),
    (VALUES + "to_be_between", {"column": "x", "max_value": 2}, 2),
    (VALUES + "to_be_between", {"column": "m", "min_value": 0, "max_value": 3.3}, 2),
    (VALUES + "to_be_between", {"column": "m", "min_value": 0, "max_value": 3.3, "strict_max": True}, 4),
    (VALUES + "to_be_between", {"column": "d", "min_value": "2026-01-02", "max_value": "2026-01-03"}, 6),
    (VALUES + "to_be_in_set", {"column": "s", "value_set": ["a", "ab"]}, 4),
    (VALUES + "to_be_in_set", {"column": "n", "value_set": [2, 99]}, 4),
    (VALUES + "to_not_be_in_set", {"column": "s", "value_set": ["a"]}, 2),
    (VALUES + "to_match_regex", {"column": "s", "regex": "^[a-z]*$"}, 3),
    (VALUES + "to_not_match_regex", {"column": "s", "regex": "a"}, 3),
    (VALUES + "to_match_regex_list", {"column": "s", "regex_list": ["^a$", "_"]}, 4),
    (VALUES + "to_match_regex_list", {"column": "s", "regex_list": ["a", "b"], "match_on": "all"}, 6),
    (VALUES + "to_not_match_regex_list", {"column": "s", "regex_list": ["^a$", "_"]}, 3),
    (VALUES + "to_match_like_pattern", {"column": "s", "like_pattern": "a%"}, 4),
    (VALUES + "to_match_like_pattern", {"column": "s", "like_pattern": "_"}, 5),
    (VALUES + "to_match_like_pattern", {"column": "s", "like_pattern": "A\\%"}, 6),
    (VALUES + "to_not_match_like_pattern", {"column": "s", "like_pattern": "a%"}, 3),
    (VALUES + "to_match_like_pattern_list", {"column": "s", "like_pattern_list": ["a", "__"]}, 2),
    (VALUES + "to_not_match_like_pattern_list", {"column": "s", "like_pattern_list": ["a", "__"]}, 5),
    ("expect_column_value_lengths_to_be_between", {"column": "s", "min_value": 1, "max_value": 2}, 2),
    ("expect_column_value_lengths_to_equal", {"column": "s", "value": 2}, 4),
    ("expect_column_value_z_scores_to_be_less_than", {"column": "id", "threshold": 1, "double_sided": True}, 4),
    ("expect_column_value_z_scores_to_be_less_than", {"column": "id", "threshold": 1, "double_sided": False}, 2),
    (VALUES + "to_not_be_outliers", {"column": "id"}, 0),
    (VALUES + "to_not_be_outliers", {"column": "id", "multiplier": 0.25}, 2),
    (VALUES + "to_not_be_outliers", {"column": "id", "method": "std", "multiplier": 1}, 4),
    (VALUES + "to_not_be_outliers", {"column": "x"}, 3),  # quartiles 0.625 and 2, NaN left out: it is an outlier itself
    ("expect_column_pair_values_to_be_equal", {"column_A": "s", "column_B": "u", **EITHER}, 2),
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "id", "column_B": "n", **EITHER}, 2),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "id", "column_B": "n", "or_equal": True, **EITHER},
        0,
    ),
    (
        "expect_column_pair_values_to_be_in_set",
        {"column_A": "n", "column_B": "id", "value_pairs_set": [[1, 1], [2, 2], [2, 3]], **EITHER},
        4,
    ),
    ("expect_compound_columns_to_be_unique", {"column_list": ["b", "n"], "ignore_row_if": "never"}, 3),
    ("expect_multicolumn_sum_to_equal", {"column_list": ["id", "n"], "sum_total": 4, **ANY}, 6),
    ("expect_multicolumn_values_to_be_equal", {"column_list": ["s", "u"], **ANY}, 2),
    ("expect_select_column_values_to_be_unique_within_record", {"column_list": ["id", "n"], **ANY}, 2),
]

OBSERVED: list[tuple[str, dict[str, Any], Any]] = [
    ("expect_table_row_count_to_equal", {"value": 8}, 8),
    ("expect_table_row_count_to_be_between", {"min_value": 9, **POSITIVE}, 6),
    ("expect_table_column_count_to_equal", {"value": 8}, 8),
    ("expect_column_min_to_be_between", {"column": "n", "min_value": -1}, -1),
    ("expect_column_max_to_be_between", {"column": "n", "max_value": 5}, 5),
    ("expect_column_max_to_be_between", {"column": "m", "max_value": 9.99}, 9.99),
    ("expect_column_max_to_be_between", {"column": "x", "max_value": 5}, None),  # NaN, which JSON lacks
    ("expect_column_min_to_be_between", {"column": "x", "min_value": 0}, -INF),
    ("expect_column_mean_to_be_between", {"column": "n", "min_value": 2, "max_value": 2}, 2.0),
    ("expect_column_mean_to_be_between", {"column": "n", "min_value": 2, "max_value": 2, **POSITIVE}, 2.5),
    ("expect_column_sum_to_be_between", {"column": "n", "min_value": 14, "max_value": 14}, 14),
    ("expect_column_sum_to_be_between", {"column": "m", "min_value": 18.89, "max_value": 18.89}, 18.89),
    ("expect_column_stdev_to_be_between", {"column": "n", "min_value": 1.8, "max_value": 1.9}, math.sqrt(20 / 6)),
    ("expect_column_median_to_be_between", {"column": "n", "min_value": 2, "max_value": 2}, 2),
    ("expect_column_median_to_be_between", {"column": "id", "min_value": 4.5, "max_value": 4.5}, 4.5),
    (
        "expect_column_quantile_values_to_be_between",
        {
            "column": "id",
            "quantile_ranges": {"quantiles": [0.25, 0.3, 0.5, 1], "value_ranges": [[2, 2], [3, 3], [4, 4], [8, 8]]},
        },
        {"quantiles": [0.25, 0.3, 0.5, 1], "values": [2, 3, 4, 8]},
    ),
    ("expect_column_unique_value_count_to_be_between", {"column": "n", "min_value": 5, "max_value": 5}, 5),
    ("expect_column_proportion_of_unique_values_to_be_between", {"column": "n", "max_value": 0.8}, 5 / 7),
    ("expect_column_proportion_of_non_null_values_to_be_between", {"column": "n", "max_value": 0.9}, 7 / 8),
    ("expect_column_most_common_value_to_be_in_set", {"column": "n", "value_set": [2]}, [2]),
    ("expect_column_most_common_value_to_be_in_set", {"column": "s", "value_set": ["a"]}, ["a"]),
]  # fmt: skip


@pytest.fixture
def eight(spark: Any) -> Any:
    return spark.createDataFrame(ROWS, COLUMNS)


def results(df: Any, cases: list[tuple[str, dict[str, Any], Any]]) -> list[dict[str, Any]]:
    suite = parse_suite({"name": "s", "expectations": [{"type": kind, "kwargs": kwargs} for kind, kwargs, _ in cases]})
    found: list[dict[str, Any]] = validate(df, suite=suite).gx_result["results"]
    return found


def test_bad_rows_are_those_counted_by_hand(eight: Any) -> None:
    found = results(eight, BAD_ROWS)
    counts = [result["result"].get("unexpected_count") for result in found]
    wrong = [(*case, count) for case, count in zip(BAD_ROWS, counts, strict=True) if case[2] != count]
    assert wrong == []
    assert [result["success"] for result in found] == [count == 0 for *_, count in BAD_ROWS]


def test_what_is_measured_is_what_was_worked_out_by_hand(eight: Any) -> None:
    found = results(eight, OBSERVED)
    seen = [result["result"].get("observed_value") for result in found]
    wrong = [(*case, value) for case, value in zip(OBSERVED, seen, strict=True) if not _same(case[2], value)]
    assert wrong == []
    failing = [case[:2] for case, result in zip(OBSERVED, found, strict=True) if not result["success"]]
    assert failing == [OBSERVED[1][:2], OBSERVED[6][:2], OBSERVED[7][:2], OBSERVED[9][:2]]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("expect_column_value_z_scores_to_be_less_than", {"threshold": 3, "double_sided": True}),
        ("expect_column_values_to_not_be_outliers", {"method": "std"}),
    ],
)
def test_no_row_passes_where_nan_leaves_no_score_to_compare(spark_embedded: Any, kind: str, more: Any) -> None:
    """GX passes every row here, having judged none."""
    df = spark_embedded.createDataFrame(ROWS, COLUMNS)
    suite = parse_suite({"name": "s", "expectations": [{"type": kind, "kwargs": {"column": "x", **more}}]})
    found = validate(df, suite=suite).result
    assert found.outcome == "ERROR"
    assert "there is no finite mean, deviation or quartile of column 'x'" in found.message


def _same(known: Any, seen: Any) -> bool:
    if isinstance(known, int | float) and isinstance(seen, int | float):
        return math.isclose(known, seen, rel_tol=1e-12) or (known != known and seen != seen)
    return bool(known == seen)
