"""A drafted suite says what holds by design as critical rules, what one day shows as warnings, and nothing untrue."""

from typing import Any

import pytest

from batch_processing.quality.drafting import ColumnFacts, TableFacts, candidates
from batch_processing.quality.profile import settle
from batch_processing.quality.suite import parse_suite
from batch_processing.results import Outcome, RuleResult

PREFIX = "expect_column_values_to_"
UNIQUE = {"type": f"{PREFIX}be_unique", "kwargs": {"column": "id"}, "severity": "critical", "meta": {}}


def rules_of(*columns: ColumnFacts, rows: int = 100, inferred: bool = False) -> dict[str, dict[str, Any]]:
    facts = TableFacts(rows, columns, tuple(column.name for column in columns))
    found = candidates(facts, types_are_inferred=inferred)
    assert len(parse_suite({"name": "s", "expectations": found}).expectations) == len(found)
    return {rule["type"].removeprefix(PREFIX): rule for rule in found}


def result(*, bad: int, elements: int = 1000, missing: int = 0, outcome: Outcome = Outcome.FAIL) -> RuleResult:
    return RuleResult(
        "r", "row", outcome, element_count=elements, unexpected_count=bad, missing_count=missing, observed=None
    )


def test_a_key_is_unique_and_not_null_and_has_no_range() -> None:
    found = rules_of(ColumnFacts("id", "integer", "LongType", 100, distinct=97, low=1, high=100))
    assert {"be_of_type", "not_be_null", "be_unique"} <= set(found)
    assert "be_between" not in found
    assert found["be_of_type"]["kwargs"]["type_"] == "LongType"
    assert {found[name]["severity"] for name in ("be_of_type", "not_be_null", "be_unique")} == {"critical"}


def test_types_found_in_values_only_warn() -> None:
    found = rules_of(ColumnFacts("id", "integer", "LongType", 100, distinct=50, low=1, high=9), inferred=True)
    assert found["be_of_type"]["severity"] == "warning"


def test_few_values_become_a_set_and_many_a_range() -> None:
    few = ColumnFacts("state", "text", "StringType", 100, distinct=2, low=3, high=4)
    assert few.has_few_values
    found = rules_of(few.with_values(("new", "paid")))
    assert found["be_in_set"]["kwargs"]["value_set"] == ["new", "paid"]
    assert "expect_column_value_lengths_to_be_between" not in found
    assert not ColumnFacts("state", "text", "StringType", 8, distinct=2).has_few_values
    found = rules_of(ColumnFacts("amount", "fraction", "DoubleType", 100, distinct=60, low=-1.5, high=9.0))
    assert found["be_between"]["kwargs"] == {"column": "amount", "min_value": -1.5, "max_value": 9.0}
    assert found["be_between"]["severity"] == "warning"


def test_times_have_no_upper_bound() -> None:
    found = rules_of(ColumnFacts("day", "time", "DateType", 100, distinct=9, low="2026-11-01", high="2026-11-09"))
    assert found["be_between"]["kwargs"] == {"column": "day", "min_value": "2026-11-01"}


def test_a_column_without_values_is_only_known_to_be_there() -> None:
    found = rules_of(ColumnFacts("empty", "text", "StringType", 0))
    assert list(found) == ["expect_table_columns_to_match_set", "expect_table_row_count_to_be_between"]


@pytest.mark.parametrize(("rows", "low", "high"), [(1, 1, 2), (100, 50, 200), (101, 50, 202)])
def test_the_row_count_may_halve_or_double(rows: int, low: int, high: int) -> None:
    found = rules_of(ColumnFacts("a", "other", "MapType", 1), rows=rows)["expect_table_row_count_to_be_between"]
    assert (found["kwargs"], found["severity"]) == ({"min_value": low, "max_value": high}, "warning")


def test_a_rule_that_holds_stays_as_it_is() -> None:
    assert settle(UNIQUE, result(bad=0, outcome=Outcome.PASS)) == {**UNIQUE, "meta": {"failing_share": 0.0}}


def test_a_rule_that_few_rows_break_warns_and_tolerates_just_them() -> None:
    found = settle(UNIQUE, result(bad=3, elements=1000, missing=100))
    assert found is not None
    assert (found["severity"], found["meta"]) == ("warning", {"failing_share": 0.003})
    assert found["kwargs"]["mostly"] == 0.996666
    assert found["kwargs"]["mostly"] <= 897 / 900


def test_a_rule_that_many_rows_break_or_that_could_not_run_is_left_out() -> None:
    assert settle(UNIQUE, result(bad=50)) is not None
    assert settle(UNIQUE, result(bad=51)) is None
    assert settle(UNIQUE, result(bad=0, outcome=Outcome.ERROR)) is None
    assert settle({"type": "x", "kwargs": {}}, RuleResult("r", "table", Outcome.FAIL)) is None


def test_a_share_of_nulls_is_kept_however_large() -> None:
    rule = {"type": f"{PREFIX}not_be_null", "kwargs": {"column": "note"}, "severity": "critical", "meta": {}}
    found = settle(rule, result(bad=600, missing=600))
    assert found is not None
    assert (found["kwargs"]["mostly"], found["meta"]["failing_share"]) == (0.4, 0.6)
