"""Limits are checked against the rules that are there, with the place of each that has none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from batch_processing.pipeline.limits import limit_problems
from tests.unit.settings.declarations import BEFORE_LIMITS, load_text, write_suite

RULES: dict[str, Any] = {
    "name": "orders",
    "expectations": [
        {
            "type": "expect_column_values_to_not_be_null",
            "kwargs": {"column": "id"},
            "meta": {"rule_id": "id_given"},
        },
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}, "meta": {"rule_id": "filled"}},
    ],
}
TEXT = (
    BEFORE_LIMITS
    + """\
      id_given: {count: 0}
      SOURCE
validate_output:
  suite: orders
  limits:
    score: {worse_by: 0.1}
    OUTPUT
"""
)


def problems(folder: Path, *, source: str = "", output: str = "", checks: str = "") -> list[tuple[str, int, str]]:
    write_suite(folder, "orders", RULES)
    text = TEXT.replace("SOURCE", source).replace("OUTPUT", output)
    text = text.replace("    suite: orders\n", f"    suite: orders\n    checks: [{checks}]\n", 1) if checks else text
    return [(one.key, one.line or 0, one.message) for one in limit_problems(load_text(folder, text))]


def test_limits_of_rules_that_are_there_are_no_problem(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


def test_every_limit_without_a_rule_to_count_is_named_with_its_line(tmp_path: Path) -> None:
    found = problems(tmp_path, source="id_gvien: {count: 0}", output="filled: {share: 0.1}")
    assert [(key, line) for key, line, _ in found] == [
        ("validate.orders.limits.id_gvien", 11),
        ("validate_output.limits.filled", 16),
    ]
    assert "unknown rule, did you mean 'id_given'?" in found[0][2]
    assert "judges the whole table" in found[1][2]


def test_a_limit_may_be_of_a_row_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "limited_checks.py").write_text(
        "from batch_processing.quality import row_check\n\n@row_check\ndef the_check(df):\n    return df.id > 0\n"
    )
    checks = "limited_checks.the_check"
    assert problems(tmp_path, source="the_check: {count: 0}", checks=checks) == []
    ((key, _, message),) = problems(tmp_path, source="the_chek: {count: 0}", checks=checks)
    assert (key, "did you mean 'the_check'?" in message) == ("validate.orders.limits.the_chek", True)
