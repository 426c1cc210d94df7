"""What is told of PostgreSQL's own words: never a value of the data."""

from __future__ import annotations

import pytest

from batch_processing.warehouse.postgres import _reason


@pytest.mark.parametrize(
    ("state", "text", "told"),
    [
        ("22003", 'ERROR:  value "4111" is out of range for type int', 'value "..." is out of range for type int'),
        ("22P02", 'ERROR:  invalid input syntax for type date: "4111 "x" 4111"', "invalid input syntax for type date"),
        ("22007", 'ERROR:  invalid value "4111\n4111" for "YYYY"', 'invalid value "..."'),
        ("22001", "ERROR:  value too long for type character(3)", "value too long for type character(3)"),
        ("P0001", "ERROR:  Bad card 4111 for Ada", "SQLSTATE P0001, raised by a trigger or function"),
        ("42501", "ERROR:  permission denied for table t", "permission denied for table t"),
        ("23514", 'ERROR:  row for relation "t" violates check "c"', 'row for relation "t" violates check "c"'),
    ],
)  # fmt: skip
def test_a_refusal_is_told_without_values(state: str, text: str, told: str) -> None:
    found = _reason(text, state)
    assert "4111" not in found
    assert found == told
