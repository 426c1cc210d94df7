"""What is said of an engine's error helps, and holds no data value."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.errors import AnalysisException, ParseException, PySparkException
from pyspark.errors.exceptions.connect import SparkConnectGrpcException

from batch_processing.quality.engine_messages import describe

CAST = "AnalysisException: a value cannot be cast to the type it is compared with"

QUOTES = [
    (
        '[CAST_INVALID_INPUT] The value \'alice\' of the type "STRING" cannot be cast to "DATE".',
        CAST,
    ),
    ("invalid timestamp: alice", "AnalysisException"),
    ("Execution error: String 'alice' does not match the expected regex pattern.", "AnalysisException"),
    (
        "invalid argument: found alice at 4:5 expected 'CASE', 'CAST', or identifier",
        "AnalysisException: an expression cannot be parsed: at character 5",
    ),
    (
        "invalid argument: found end of input expected 'CAST', or 'alice'",
        "AnalysisException: an expression cannot be parsed: it ends too early",
    ),
    ("Aggregate function calls cannot be nested: 'count(alice)' is nested", "AnalysisException: a condition is of one"),
    ("Non-deterministic expression alice should not appear", "AnalysisException: a condition is of one row's values"),
    ("alice", "AnalysisException"),
    ("alice\nunknown function: nofun", "AnalysisException"),
    ("it failed: unknown function: alice", "AnalysisException"),
]


@pytest.mark.parametrize(("text", "said"), QUOTES)
def test_a_line_that_can_quote_a_value_is_left_out(text: str, said: str) -> None:
    found = describe(AnalysisException(text))
    assert "alice" not in found
    assert found.startswith(said)


HELPS = [
    'attribute ObjectName([Identifier("nope")]) is missing from the schema: cannot resolve attribute',
    "unknown function: nofun",
    "Cannot infer common argument type for comparison operation List(Int32) > Int32",
    "one value expected: [Column(0), Column(1)]",
    "error in SQL parser: found end of input expected '->'",
]


@pytest.mark.parametrize("text", HELPS)
def test_what_is_wrong_in_the_rule_is_quoted(text: str) -> None:
    assert describe(AnalysisException(text)) == f"AnalysisException: {text}"


@pytest.mark.parametrize(
    "text", ["invalid argument: found 'alice' expected end of input near cast(", "broadcast of alice failed"]
)
def test_what_only_has_the_word_in_it_is_no_failed_cast(text: str) -> None:
    assert describe(AnalysisException(text)) == "AnalysisException"


def _from_spark(kind: type[PySparkException], condition: str, text: str) -> Any:
    return kind(f"[{condition}] {text}", errorClass=condition)


def test_what_apache_spark_says_of_a_rule_is_quoted() -> None:
    missing = _from_spark(AnalysisException, "UNRESOLVED_COLUMN.WITH_SUGGESTION", "A column `nope` cannot be resolved.")
    assert describe(missing).endswith("A column `nope` cannot be resolved.")
    syntax = _from_spark(ParseException, "PARSE_SYNTAX_ERROR", "Syntax error at or near end of input.\nline two")
    assert describe(syntax).endswith("Syntax error at or near end of input.")


def test_a_cast_that_fails_on_apache_spark_is_not_quoted() -> None:
    error = SparkConnectGrpcException(
        "[CAST_INVALID_INPUT] The value 'alice' cannot be cast", errorClass="CAST_INVALID_INPUT"
    )
    assert describe(error).endswith("[CAST_INVALID_INPUT]: a value cannot be cast to the type it is compared with")
    analysis = _from_spark(AnalysisException, "CAST_INVALID_INPUT", "The value 'alice' cannot be cast")
    assert "alice" not in describe(analysis)


def test_a_long_line_is_cut() -> None:
    assert len(describe(AnalysisException("unknown function: " + "f" * 1_000))) < 350
