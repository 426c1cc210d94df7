"""Limits in a declaration: what is wrong with one is told with its line, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_processing.settings.limits import LimitSpec
from tests.unit.settings.declarations import BEFORE_LIMITS, load_text, problems_in, write_suite


@pytest.fixture(autouse=True)
def _suite(tmp_path: Path) -> None:
    write_suite(tmp_path, "orders")


def test_limits_are_read_by_rule_id_whatever_signs_it_holds(tmp_path: Path) -> None:
    written = BEFORE_LIMITS + (
        "      id_unique: {share: 0.01, count: 5}\n"
        "      expect_column_values_to_not_be_null(id): {count: 0}\n"
        "      score: {worse_by: 0.02, last: 5, at_least: 2}\n"
    )
    limits = load_text(tmp_path, written).spec.validations["orders"].limits
    assert limits == {
        "id_unique": LimitSpec(share=0.01, count=5),
        "expect_column_values_to_not_be_null(id)": LimitSpec(count=0),
        "score": LimitSpec(worse_by=0.02, last=5, at_least=2),
    }


@pytest.mark.parametrize(
    ("limit", "key", "words"),
    [
        ("{}", "", "limits nothing: give share, count or worse_by"),
        ("{worse_by: }", "", "limits nothing"),
        ("{last: 3}", "", "limits nothing"),
        ("{share: 0.1, last: 3}", ".last", "last belongs to worse_by"),
        ("{share: 1.5}", ".share", "must be at most 1.0, found '1.5'"),
        ("{share: -0.1}", ".share", "must be at least 0.0"),
        ("{share: .nan}", ".share", "found"),
        ("{share: 1%}", ".share", "must be a number, found '1%'"),
        ("{share: true}", ".share", "must be a number"),
        ("{share: true, last: 3}", ".share", "must be a number"),
        ("{count: -1}", ".count", "must be at least 0"),
        ("{count: 1.5}", ".count", "must be a whole number"),
        ("{count: no}", ".count", "must be a number"),
        ("{worse_by: 2}", ".worse_by", "must be at most 1.0"),
        ("{worse_by: 0.1, last: 2, at_least: 3}", ".at_least", "asks for 3 earlier slices, and last looks at 2"),
        ("{worse_by: 0.1, last: 0}", ".last", "must be at least 1"),
        ("{shar: 0.1, count: 1}", ".shar", "unknown key, did you mean 'share'?"),
        ("0.1", "", "must be a mapping of keys to values, found '0.1'"),
    ],
)
def test_a_wrong_limit_is_told_with_its_line_and_key(tmp_path: Path, limit: str, key: str, words: str) -> None:
    problems = problems_in(tmp_path, f"{BEFORE_LIMITS}      fine: {{count: 0}}\n      id_unique: {limit}\n")
    found = [one for one in problems if one.key == f"validate.orders.limits.id_unique{key}" and words in one.message]
    assert [one.line for one in found] == [11], [str(one) for one in problems]


@pytest.mark.parametrize("block", ["", "      []\n", "      - id_unique\n"])
def test_limits_that_are_no_mapping_are_told(tmp_path: Path, block: str) -> None:
    (problem,) = problems_in(tmp_path, BEFORE_LIMITS + block)
    assert (problem.key, problem.file.endswith("orders.yml")) == ("validate.orders.limits", True)
    assert "must be a mapping of keys to values" in problem.message
