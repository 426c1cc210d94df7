"""Suites are checked when they are loaded, and a problem is named with its place and a near name."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from batch_processing.errors import SuiteError
from batch_processing.quality.kwargs import parse_bound
from batch_processing.quality.suite import load_suite, parse_suite
from batch_processing.results import Severity

NOT_NULL = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}}


def suite(*expectations: Any, **more: Any) -> dict[str, Any]:
    return {"name": "s", "expectations": list(expectations), **more}


def between(**kwargs: Any) -> dict[str, Any]:
    return {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", **kwargs}}


def test_a_suite_keeps_types_severities_and_order() -> None:
    found = parse_suite(suite(NOT_NULL, {**between(min_value=0), "severity": "warning"}, meta={"owner": "me"}))
    assert [e.type for e in found.expectations] == [NOT_NULL["type"], "expect_column_values_to_be_between"]
    assert [e.severity for e in found.expectations] == [Severity.CRITICAL, Severity.WARNING]
    assert found.meta == {"owner": "me"}


def test_rule_ids_are_unique_and_say_what_is_judged() -> None:
    found = parse_suite(
        suite(
            NOT_NULL,
            NOT_NULL,
            {**NOT_NULL, "id": "6d7"},
            {**NOT_NULL, "id": "6d8", "meta": {"rule_id": "mine"}},
            {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 1}},
            {"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": ["a", "b"]}},
        )
    )
    assert found.rule_ids == (
        "expect_column_values_to_not_be_null(id)",
        "expect_column_values_to_not_be_null(id)#2",
        "6d7",
        "mine",
        "expect_table_row_count_to_equal",
        "expect_compound_columns_to_be_unique(a, b)",
    )


def test_the_fingerprint_follows_the_content_and_not_the_layout() -> None:
    one = parse_suite(json.loads(json.dumps(suite(NOT_NULL), indent=4)))
    two = parse_suite({"expectations": [{"kwargs": {"column": "id"}, "type": NOT_NULL["type"]}], "name": "s"})
    other = parse_suite(suite({**NOT_NULL, "severity": "warning"}))
    assert one.fingerprint == two.fingerprint != other.fingerprint
    assert len(one.fingerprint) == 16


def _kwargs(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs}


PROBLEMS: list[tuple[str, Any, str]] = [
    (
        "type",
        _kwargs("expect_column_values_to_not_be_nul", column="id"),
        "did you mean 'expect_column_values_to_not_be_null'",
    ),
    ("kwarg", between(min_vale=1), "no argument 'min_vale'; did you mean 'min_value'?"),
    ("no column", _kwargs("expect_column_values_to_not_be_null"), "needs 'column'"),
    ("severity", {**NOT_NULL, "severity": "critcal"}, "unknown severity 'critcal'; valid: info, warning, critical"),
    ("key", {**NOT_NULL, "severty": "info"}, "unknown key 'severty'; did you mean 'severity'?"),
    ("old key", {"expectation_type": "x", "kwargs": {}}, "'expectation_type' is GX 0.x"),
    ("no object", "x", "an expectation is a JSON object, not str"),
    (
        "mostly",
        {"type": NOT_NULL["type"], "kwargs": {"column": "id", "mostly": 95}},
        "mostly is not a number between 0 and 1",
    ),
    ("no bounds", between(), "min_value and max_value are both missing"),
    ("text bound", between(min_value="soon"), "min_value is not a number, an ISO date or an ISO timestamp"),
    ("crossed bounds", between(min_value=2, max_value=1), "min_value is greater than max_value"),
    ("parameter", between(min_value={"$PARAMETER": "p"}), "suite parameter"),
    ("empty set", _kwargs("expect_column_values_to_be_in_set", column="x", value_set=[]), "at least one value"),
    (
        "null in a set",
        _kwargs("expect_column_values_to_be_in_set", column="x", value_set=["a", None]),
        "value_set has a null, which no value equals; judge nulls by expect_column_values_to_be_null or",
    ),
    (
        "pairs",
        _kwargs("expect_column_pair_values_to_be_in_set", column_A="a", column_B="b", value_pairs_set=[[1]]),
        "pairs",
    ),
    ("length", _kwargs("expect_column_value_lengths_to_be_between", column="x", min_value=1.5), "not a whole number"),
    (
        "ignore",
        _kwargs("expect_column_pair_values_to_be_equal", column_A="a", column_B="b", ignore_row_if="never"),
        "neither",
    ),
    ("no parser", between(min_value=1, row_condition="x > 1"), "needs condition_parser"),
    ("pandas", between(min_value=1, row_condition="x > 1", condition_parser="pandas"), "does not work on Spark"),
    (
        "parameter in a set",
        _kwargs("expect_column_values_to_be_in_set", column="x", value_set=[{"$PARAMETER": "p"}]),
        "value_set is a suite parameter",
    ),
    ("crossed bounds of two kinds", between(min_value=5.5, max_value=3), "min_value is greater than max_value"),
    (
        "crossed timestamps, one with a zone",
        between(min_value="2026-01-02T00:00:00+00:00", max_value="2026-01-01T00:00:00"),
        "min_value is greater than max_value",
    ),
    ("no regex", _kwargs("expect_column_values_to_match_regex", column="x"), "needs 'regex'"),
    ("no types", _kwargs("expect_column_values_to_be_in_type_list", column="x"), "needs 'type_list'"),
    (
        "empty regex",
        _kwargs("expect_column_values_to_match_regex_list", column="x", regex_list=["a", ""]),
        "none of them empty",
    ),
    (
        "null match_on",
        _kwargs("expect_column_values_to_match_regex_list", column="x", regex_list=["a"], match_on=None),
        "match_on is null",
    ),
    (
        "null exact_match",
        _kwargs("expect_table_columns_to_match_set", column_set=["a"], exact_match=None),
        "exact_match is null",
    ),
    (
        "one column",
        _kwargs("expect_select_column_values_to_be_unique_within_record", column_list=["a"]),
        "compared with no other",
    ),
    ("one column", _kwargs("expect_multicolumn_values_to_be_equal", column_list=["a"]), "compared with no other"),
    ("a column twice", _kwargs("expect_multicolumn_values_to_be_equal", column_list=["a", "a"]), "names 'a' twice"),
    ("a pair of one", _kwargs("expect_column_pair_values_to_be_equal", column_A="a", column_B="a"), "the same column"),
    (
        "a fraction as a place",
        _kwargs("expect_column_to_exist", column="a", column_index=1.5),
        "column_index is not a whole number",
    ),
    (
        "no quantile bounds",
        _kwargs(
            "expect_column_quantile_values_to_be_between",
            column="x",
            quantile_ranges={"quantiles": [0.5], "value_ranges": [[None, None]]},
        ),
        "at least one of them",
    ),
    (
        "NaN as a threshold",
        _kwargs("expect_column_value_z_scores_to_be_less_than", column="x", double_sided=True, threshold=float("nan")),
        "threshold is not a number",
    ),
    (
        "no threshold",
        _kwargs(
            "expect_column_kl_divergence_to_be_less_than",
            column="x",
            partition_object={"values": ["a"], "weights": [1.0]},
            threshold=None,
        ),
        "threshold is null",
    ),
    (
        "no partition",
        _kwargs("expect_column_kl_divergence_to_be_less_than", column="x", threshold=0.1),
        "needs 'partition_object'",
    ),
    (
        "a partition without weights",
        _kwargs(
            "expect_column_kl_divergence_to_be_less_than", column="x", threshold=0.1, partition_object={"values": ["a"]}
        ),
        "partition_object is not an object with weights",
    ),
    (
        "weights of 2",
        _kwargs(
            "expect_column_kl_divergence_to_be_less_than",
            column="x",
            threshold=0.1,
            partition_object={"values": ["a", "b"], "weights": [1, 1]},
        ),
        "with the sum 1",
    ),
    (
        "a query of nothing",
        _kwargs("unexpected_rows_expectation", unexpected_rows_query="SELECT 1 WHERE false"),
        "does not read {batch}",
    ),
    ("refused", _kwargs("expect_column_values_to_be_dateutil_parseable", column="x"), "@row_check"),
    ("id twice", {**NOT_NULL, "meta": {"rule_id": "first"}}, "'first' is given twice"),
]


@pytest.mark.parametrize(("expectation", "words"), [case[1:] for case in PROBLEMS], ids=[case[0] for case in PROBLEMS])
def test_a_problem_is_named_with_its_index(expectation: Any, words: str) -> None:
    with pytest.raises(SuiteError) as raised:
        parse_suite(suite({**NOT_NULL, "meta": {"rule_id": "first"}}, expectation), where="orders.json")
    assert words in str(raised.value)
    assert "expectations[1]: " in str(raised.value)
    assert "orders.json" in str(raised.value)


def test_a_pair_of_a_set_may_hold_a_null() -> None:
    pairs = _kwargs("expect_column_pair_values_to_be_in_set", column_A="a", column_B="b", value_pairs_set=[[1, None]])
    assert parse_suite(suite(pairs)).expectations[0].kwargs["value_pairs_set"] == [[1, None]]


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(SuiteError, match="the suite has 3 problems") as raised:
        parse_suite(suite(between(), _kwargs("nope"), naem="x"))
    assert "did you mean 'name'" in str(raised.value)


@pytest.mark.parametrize("data", [None, [], "x", {"name": "s"}, {"expectations": {}}, {"expectation_suite_name": "x"}])
def test_what_is_no_suite_is_refused(data: Any) -> None:
    with pytest.raises(SuiteError):
        parse_suite(data)


def test_a_suite_is_found_by_name_or_path(tmp_path: Path) -> None:
    folder = tmp_path / "gx" / "expectations"
    folder.mkdir(parents=True)
    (folder / "orders.json").write_text(json.dumps(suite(NOT_NULL)))
    (tmp_path / "beside.json").write_text(json.dumps({"expectations": [NOT_NULL]}))
    assert load_suite("orders", suites_dir=folder).name == "s"
    assert load_suite("orders.json", suites_dir=folder).name == "s"
    assert load_suite("beside.json", suites_dir=folder).name == "beside"
    assert load_suite(str(tmp_path / "beside.json"), suites_dir=tmp_path / "none").name == "beside"


def test_a_suite_that_is_not_there_names_near_ones(tmp_path: Path) -> None:
    (tmp_path / "orders.json").write_text("{}")
    with pytest.raises(SuiteError, match="did you mean 'orders'"):
        load_suite("order", suites_dir=tmp_path)
    with pytest.raises(SuiteError, match="no suite in that folder"):
        load_suite("orders", suites_dir=tmp_path / "absent")


@pytest.mark.parametrize("text", ["{", "", '{"name": 1, "name": 2}', "\xff"])
def test_a_file_that_is_not_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(SuiteError, match="cannot be read as JSON"):
        load_suite("s", suites_dir=tmp_path)


@pytest.mark.parametrize(
    ("written", "bound"),
    [
        (5, 5),
        ("5", 5),
        ("1.5", 1.5),
        (2**60, 2**60),
        ("2026-01-02", date(2026, 1, 2)),
        ("2026-01-02T03:00:00", datetime(2026, 1, 2, 3)),  # noqa: DTZ001 -- a bound without zone
        (None, None),
    ],
)
def test_bounds_are_numbers_dates_or_timestamps(written: object, bound: object) -> None:
    assert parse_bound(written) == bound
    assert type(parse_bound(written)) is type(bound)


def test_loading_a_suite_imports_neither_spark_nor_great_expectations() -> None:
    code = (
        "import sys; from batch_processing.quality import parse_suite; parse_suite({'expectations': []});"
        "sys.exit(any(name in sys.modules for name in ('pyspark', 'great_expectations')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
