"""Which expectations of Great Expectations 1.24's core there are, what each takes, and how each is run here.

`compiled` runs in our scan. `gx` falls back to GX itself on the same DataFrame. `refused` cannot give a verdict on a
Spark DataFrame; `reason` says why. A test holds this table against the installed GX.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

How = Literal["compiled", "gx", "refused"]

_CONDITION = frozenset({"row_condition", "condition_parser"})
_BOUNDS = frozenset({"min_value", "max_value", "strict_min", "strict_max"})
IGNORED_KWARGS = frozenset({"result_format", "catch_exceptions", "include_config", "batch_id"})
"""Keyword arguments that GX takes and that cannot change a verdict."""


@dataclass(frozen=True)
class Entry:
    """What one expectation type takes.

    Attributes:
        how: who evaluates it.
        required: keyword arguments it cannot do without.
        optional: the others it knows.
        reason: why it is not compiled.
    """

    how: How
    required: frozenset[str]
    optional: frozenset[str]
    reason: str = ""

    @property
    def kwargs(self) -> frozenset[str]:
        return self.required | self.optional | IGNORED_KWARGS


def _entry(required: str, optional: str = "", *, how: How = "compiled", reason: str = "") -> Entry:
    return Entry(how, frozenset(required.split()), frozenset(optional.split()), reason)


def _map(required: str = "", optional: str = "", *, how: How = "compiled", reason: str = "") -> Entry:
    base = _entry(f"column {required}", f"mostly {optional}", how=how, reason=reason)
    return Entry(how, base.required, base.optional | _CONDITION, reason)


def _pair(required: str = "", optional: str = "") -> Entry:
    base = _entry(f"column_A column_B {required}", f"mostly ignore_row_if {optional}")
    return Entry("compiled", base.required, base.optional | _CONDITION)


def _multi(required: str = "") -> Entry:
    base = _entry(f"column_list {required}", "mostly ignore_row_if")
    return Entry("compiled", base.required, base.optional | _CONDITION)


def _aggregate(required: str = "", optional: str = "", *, how: How = "compiled", reason: str = "") -> Entry:
    base = _entry(f"column {required}", optional, how=how, reason=reason)
    return Entry(how, base.required, base.optional | _CONDITION, reason)


def _between() -> Entry:
    return Entry("compiled", frozenset({"column"}), _BOUNDS | _CONDITION)


_NEEDS_ORDER = "needs the order of rows, which a DataFrame does not have; GX takes the order the engine gives"
_NEEDS_UDF = "needs a Python function per value"
_NEEDS_DISTRIBUTION = "needs every distinct value with its count, or a histogram, and SciPy's entropy of both"
_NO_SPARK = "GX has no implementation for Spark"

CATALOG: Mapping[str, Entry] = {
    "expect_column_values_to_not_be_null": _map(),
    "expect_column_values_to_be_null": _map(),
    "expect_column_values_to_be_between": _map("", "min_value max_value strict_min strict_max"),
    "expect_column_values_to_be_in_set": _map("value_set"),
    "expect_column_values_to_not_be_in_set": _map("value_set"),
    "expect_column_values_to_be_unique": _map(),
    "expect_column_values_to_match_regex": _map("regex"),
    "expect_column_values_to_not_match_regex": _map("regex"),
    "expect_column_values_to_match_regex_list": _map("regex_list", "match_on"),
    "expect_column_values_to_not_match_regex_list": _map("regex_list"),
    "expect_column_values_to_match_like_pattern": _map("like_pattern", "escape"),
    "expect_column_values_to_not_match_like_pattern": _map("like_pattern", "escape"),
    "expect_column_values_to_match_like_pattern_list": _map("like_pattern_list", "match_on escape"),
    "expect_column_values_to_not_match_like_pattern_list": _map("like_pattern_list", "escape"),
    "expect_column_value_lengths_to_be_between": _map("", "min_value max_value strict_min strict_max"),
    "expect_column_value_lengths_to_equal": _map("value"),
    "expect_column_values_to_be_of_type": _map("type_"),
    "expect_column_values_to_be_in_type_list": _map("type_list"),
    "expect_column_type_to_be": _entry("column type_"),
    "expect_column_pair_values_to_be_equal": _pair(),
    "expect_column_pair_values_a_to_be_greater_than_b": _pair("", "or_equal"),
    "expect_column_pair_values_to_be_in_set": _pair("value_pairs_set"),
    "expect_compound_columns_to_be_unique": _multi(),
    "expect_multicolumn_sum_to_equal": _multi("sum_total"),
    "expect_multicolumn_values_to_be_equal": _multi(),
    "expect_select_column_values_to_be_unique_within_record": _multi(),
    "expect_table_row_count_to_equal": Entry("compiled", frozenset({"value"}), _CONDITION),
    "expect_table_row_count_to_be_between": Entry("compiled", frozenset(), _BOUNDS | _CONDITION),
    "expect_table_column_count_to_equal": _entry("value"),
    "expect_table_column_count_to_be_between": _entry("", "min_value max_value"),
    "expect_table_columns_to_match_set": _entry("column_set", "exact_match"),
    "expect_table_columns_to_match_ordered_list": _entry("column_list"),
    "expect_column_to_exist": _entry("column", "column_index"),
    "expect_column_min_to_be_between": _between(),
    "expect_column_max_to_be_between": _between(),
    "expect_column_mean_to_be_between": _between(),
    "expect_column_sum_to_be_between": _between(),
    "expect_column_stdev_to_be_between": _between(),
    "expect_column_median_to_be_between": _between(),
    "expect_column_distinct_values_to_be_in_set": _aggregate("value_set"),
    "expect_column_distinct_values_to_equal_set": _aggregate("value_set"),
    "expect_column_distinct_values_to_contain_set": _aggregate("value_set"),
    "expect_column_unique_value_count_to_be_between": _between(),
    "expect_column_proportion_of_unique_values_to_be_between": _between(),
    "expect_column_proportion_of_non_null_values_to_be_between": _between(),
    "expect_column_most_common_value_to_be_in_set": _aggregate("value_set", "ties_okay"),
    "expect_column_quantile_values_to_be_between": _aggregate("quantile_ranges", "allow_relative_error"),
    "expect_column_kl_divergence_to_be_less_than": _aggregate(
        "partition_object threshold",
        "internal_weight_holdout tail_weight_holdout bucketize_data min_value max_value",
        how="gx",
        reason=_NEEDS_DISTRIBUTION,
    ),
    "expect_column_values_to_be_increasing": _map("", "strictly", how="gx", reason=_NEEDS_ORDER),
    "expect_column_values_to_be_decreasing": _map("", "strictly", how="gx", reason=_NEEDS_ORDER),
    "expect_column_value_z_scores_to_be_less_than": _map("threshold double_sided"),
    "expect_column_values_to_not_be_outliers": _map("", "method multiplier"),
    "expect_column_values_to_be_json_parseable": _map(how="gx", reason=_NEEDS_UDF),
    "expect_column_values_to_match_json_schema": _map("json_schema", how="gx", reason=_NEEDS_UDF),
    "expect_column_values_to_match_strftime_format": _map("strftime_format", how="gx", reason=_NEEDS_UDF),
    "unexpected_rows_expectation": _entry(
        "unexpected_rows_query", how="gx", reason="free SQL; GX runs it on a temporary view"
    ),
    "expect_column_values_to_be_dateutil_parseable": _map(how="refused", reason=_NO_SPARK),
    "expect_query_results_to_match_comparison": _entry(
        "base_query comparison_data_source_name comparison_query",
        "mostly",
        how="refused",
        reason="needs a second data source of a GX project",
    ),
    "expect_table_row_count_to_equal_other_table": Entry(
        "refused", frozenset({"other_table_name"}), _CONDITION, "GX on Spark does not support a second table"
    ),
}

COLUMN_KWARGS = ("column", "column_A", "column_B")
