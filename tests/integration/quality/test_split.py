"""Bad rows and the rest, where the names, the number or the nulls of the data could confuse the split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from batch_processing.errors import UsageError
from batch_processing.results import Outcome
from batch_processing.settings.models import EngineSpec
from batch_processing.spark.session import Engine
from tests.integration.quality.judging import ORDERS, POSITIVE, SCHEMA, UNIQUE, e, ids, judge, rule

KEYS = [f"k{index}" for index in range(70)]


def _compound(*columns: str, **more: Any) -> dict[str, Any]:
    return e("compound_columns_to_be_unique", column_list=list(columns), rule_id="unique", **more)


def _rows(df: Any) -> list[str]:
    return sorted(str(tuple(row)) for row in df.collect())


def test_a_key_of_many_columns_that_repeats_is_quarantined(spark_embedded: Any) -> None:
    df = spark_embedded.range(3).selectExpr("id", *[f"id DIV 2 AS {key}" for key in KEYS])
    found = judge(df, _compound(*KEYS), threshold=0)
    assert found.result.quarantined == 2
    assert (ids(found.bad_rows()), ids(found.valid_rows())) == ([0, 1], [2])


@pytest.mark.parametrize("columns", [("a",), ("a", "b")], ids=["one column", "two columns"])
def test_repeated_nulls_are_quarantined_where_nulls_are_judged(spark: Any, columns: tuple[str, ...]) -> None:
    df = spark.createDataFrame([(None, 1), (None, 1), (1, 1)], "a int, b int")
    found = judge(df, _compound(*columns, ignore_row_if="never"), threshold=0)
    assert (rule(found, "unique").unexpected_count, found.result.quarantined) == (2, 2)
    assert _rows(found.bad_rows()) == ["(None, 1, ['unique'])"] * 2
    assert _rows(found.valid_rows()) == ["(1, 1)"]


@pytest.mark.parametrize("unique", [e("column_values_to_be_unique", column="a", rule_id="unique"), _compound("a")])
def test_repeated_nulls_are_valid_where_nulls_are_left_out(spark_embedded: Any, unique: dict[str, Any]) -> None:
    df = spark_embedded.createDataFrame([(None,), (None,), (1,), (1,), (2,)], "a int")
    found = judge(df, unique, threshold=0)
    assert (rule(found, "unique").unexpected_count, found.result.quarantined) == (2, 2)
    assert _rows(found.valid_rows()) == ["(2,)", "(None,)", "(None,)"]


@pytest.mark.parametrize("name", ["_repeated_0", "__repeated_0_0", "_REPEATED_0", "_rows"])
@pytest.mark.parametrize("judged", [True, False], ids=["the key", "beside the key"])
def test_a_data_column_may_have_any_name_of_the_split(spark_embedded: Any, name: str, judged: bool) -> None:
    df = spark_embedded.createDataFrame([(1, 1), (1, 1), (2, 2)], f"id int, {name} int")
    found = judge(df, e("column_values_to_be_unique", column=name if judged else "id", rule_id="unique"), threshold=0)
    bad = found.bad_rows()
    assert bad is not None
    assert (bad.columns, found.valid_rows().columns) == (["id", name, "_reasons"], ["id", name])
    assert _rows(bad) == ["(1, 1, ['unique'])"] * 2
    assert _rows(found.valid_rows()) == ["(2, 2)"]


@pytest.mark.parametrize("name", ["_reasons", "_Reasons"])
def test_data_with_a_column_of_reasons_is_refused_before_it_is_read(spark_embedded: Any, name: str) -> None:
    df = spark_embedded.createDataFrame(ORDERS, SCHEMA).selectExpr("*", f"raise_error('it was read') AS {name}")
    with pytest.raises(UsageError, match=f"a column named '{name}'.*rename it"):
        judge(df, UNIQUE, POSITIVE)


def test_bad_rows_can_be_written(spark_embedded: Any, tmp_path: Path) -> None:
    df = spark_embedded.createDataFrame([(1, 1), (1, 1), (2, 2)], "id int, _repeated_0 int")
    bad = judge(df, e("column_values_to_be_unique", column="id"), threshold=0).bad_rows()
    assert bad is not None
    bad.write.parquet(str(tmp_path / "bad"))
    assert spark_embedded.read.parquet(str(tmp_path / "bad")).count() == 2


@pytest.mark.parametrize(
    "condition",
    [
        "cast(secret as date) > date'2020-01-01'",
        "to_date(secret) > date'2020-01-01'",
        "cast(secret as timestamp) > timestamp'2020-01-01'",
        "cast(secret as int) > 1",
        "to_number(secret, '999') > 1",
        "raise_error(secret) IS NULL",
    ],
)
def test_a_cast_that_fails_on_a_value_does_not_quote_it(
    spark_embedded: Any, condition: str, caplog: pytest.LogCaptureFixture
) -> None:
    df = spark_embedded.createDataFrame([(1, "alice"), (2, "carol")], "id int, secret string")
    positive = e(
        "column_values_to_be_between", column="id", min_value=0, rule_id="r", row_condition=condition,
        condition_parser="spark",
    )  # fmt: skip
    found = judge(df, positive, threshold=0)
    assert rule(found, "r").outcome is Outcome.ERROR
    told = f"{found.result} {found.gx_result} {caplog.text}"
    assert "alice" not in told
    assert "carol" not in told


def _message(df: Any, condition: str) -> str:
    conditional = e(
        "column_values_to_be_between", column="id", min_value=0, rule_id="r", row_condition=condition,
        condition_parser="spark",
    )  # fmt: skip
    return rule(judge(df, conditional), "r").message


def test_a_rule_on_a_column_that_is_not_there_says_which(spark: Any) -> None:
    assert "nope" in _message(spark.createDataFrame([(1,)], "id int"), "nope > 1")


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("nofun(id) > 1", "unknown function: nofun"),
        ("array(id) > 1", "List(Int32) > Int32"),
        ("cast(secret as date) > date'2020-01-01'", "a value cannot be cast to the type"),
        ("id ===> cast(secret as int)", "an expression cannot be parsed: at character 6"),
        ("(id > 5 and secret = 'x'", "an expression cannot be parsed: it ends too early"),
        ("rlike(secret, '(')", "a regular expression is not valid"),
    ],
)
def test_a_rule_that_the_engine_refuses_says_why(spark_embedded: Any, condition: str, words: str) -> None:
    assert words in _message(spark_embedded.createDataFrame([(1, "alice")], "id int, secret string"), condition)


@pytest.mark.spark
def test_a_value_that_the_engine_quotes_is_not_printed(
    spark_cluster: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = EngineSpec(name="spark", remote=spark_cluster.remote)
    with Engine.open(spec, project_root=tmp_path, workdir=tmp_path, remote_from_connection=None) as engine:
        df = engine.session.createDataFrame([(1, "alice")], "id int, secret string")
        said = _message(df, "cast(secret as date) > date'2020-01-01'")
    printed = capfd.readouterr()
    assert "alice" not in said + printed.out + printed.err


def _days(spark: Any) -> Any:
    return spark.sql(
        "SELECT *, array(n) AS a FROM VALUES ('a', 1, date'2026-01-01'), ('b', 2, date'2026-01-02') AS t(s, n, d)"
    )


@pytest.mark.parametrize("kind", ["contain_set", "equal_set"])
@pytest.mark.parametrize(
    ("column", "members"),
    [
        ("s", ["a", "b", "a"]),
        ("n", [1, 2, 1.0]),
        ("d", ["2026-01-01", "2026-01-02", "2026-01-01"]),
        ("a", [[1], [2], [1]]),
    ],
    ids=["text", "number", "date", "array"],
)
def test_a_member_given_twice_is_one_member(spark_embedded: Any, kind: str, column: str, members: list[Any]) -> None:
    members_twice = e(f"column_distinct_values_to_{kind}", column=column, value_set=members, rule_id="set")
    assert rule(judge(_days(spark_embedded), members_twice), "set").outcome is Outcome.PASS


def test_a_member_that_does_not_occur_counts_once(spark_embedded: Any) -> None:
    absent = e("column_distinct_values_to_contain_set", column="s", value_set=["a", "z", "z"], rule_id="set")
    assert rule(judge(_days(spark_embedded), absent), "set").message == "1 values of the set do not occur"
