"""No pass on nothing: each case runs the whole pipeline, publishes nothing, and says which case it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from batch_processing.quality import gx, scan
from batch_processing.results import Outcome, RunResult
from tests.services.project import GOOD_ROWS, SUITE, SmallProject

Change = Callable[[SmallProject], None]


def suite_of(*expectations: tuple[str, dict[str, Any]], name: str = "orders") -> Change:
    """The source's (or the output's) suite is these expectations alone."""
    listed = [{"type": kind, "kwargs": kwargs, "meta": {"rule_id": "the_rule"}} for kind, kwargs in expectations]
    return lambda project: project.write_suite({"name": name, "expectations": listed})


def orders(*rows: str) -> Change:
    def change(project: SmallProject) -> None:
        project.write_orders(list(rows))

    return change


def check(body: str, *, kind: str = "row_check", on: str = "orders", suite: str | None = "orders") -> Change:
    """A check `the_check` with this body, beside the suite or without one."""

    def change(project: SmallProject) -> None:
        module = f"{project.module}_checks"
        (project.root / f"{module}.py").write_text(
            "from pyspark.sql import functions as F\n"
            "from batch_processing.quality import row_check, table_check\n\n"
            f"@{kind}\ndef the_check(df):\n    {body}\n"
        )
        spec = project.declaration["validate_output"] if on == "output" else project.declaration["validate"][on]
        spec["checks"] = [f"{module}:the_check"]
        if suite is None:
            del spec["suite"]

    return change


def both(*changes: Change) -> Change:
    def change(project: SmallProject) -> None:
        for one in changes:
            one(project)

    return change


def limits(**given: dict[str, Any]) -> Change:
    return lambda project: project.declaration["validate"]["orders"].update(limits=given)


def no_output(project: SmallProject) -> None:
    project.write_transform(
        "def transform(spark, inputs):\n    return inputs['orders'].select('id', 'amount', 'day').where('id < 0')\n"
    )


BETWEEN = ("expect_column_values_to_be_between", {"column": "amount", "min_value": 0})
NOTHING_JUDGED = "the_rule: no row was judged: every value is null"
FREE_SQL = ("unexpected_rows_expectation", {"unexpected_rows_query": "SELECT nowhere FROM {batch}"})
STRFTIME = ("expect_column_values_to_match_strftime_format", {"column": "day", "strftime_format": "%Y"})

CASES: dict[str, tuple[Change, str]] = {
    "an empty suite": (suite_of(), "the suite is empty, so nothing was judged"),
    "an empty suite beside a check": (
        both(suite_of(), check("return df.id > 0")),
        "the suite is empty, so nothing was judged",
    ),
    "no rows": (orders(), "there are no rows to judge"),
    "all rows rejected": (orders("x,y,z,w", "?,?,?,?"), "there are no rows to judge"),
    "a column that is all null": (
        both(suite_of(BETWEEN), orders("1,1,,2026-11-01", "2,1,,2026-11-01")),
        NOTHING_JUDGED,
    ),
    "a rule that cannot fail": (
        suite_of(("expect_column_max_to_be_between", {"column": "amount"})),
        "min_value and max_value are both missing",
    ),
    "a column that is not there": (
        suite_of(("expect_column_values_to_not_be_null", {"column": "amuont"})),
        "there is no column 'amuont'; near names: amount",
    ),
    "an expectation that raises in the engine": (
        suite_of(("expect_column_values_to_match_regex", {"column": "day", "regex": "("})),
        "the_rule: the engine could not evaluate it",
    ),
    "a row condition that is no SQL": (
        suite_of((BETWEEN[0], {**BETWEEN[1], "row_condition": "amount >>> 1", "condition_parser": "spark"})),
        "the_rule: ",
    ),
    "an expectation that raises in GX": (suite_of(FREE_SQL), "the_rule: GX could not evaluate it"),
    "a row check that raises": (check("raise KeyError('nothing')"), "the_check: the check raised KeyError"),
    "a row check that returns no Column": (check("return True"), "the_check: the check returned bool"),
    "a row check whose column is not there": (check("return df.nowhere > 0"), "the_check: "),
    "a table check that raises": (
        check("raise ValueError('nothing')", kind="table_check"),
        "the_check: the check raised ValueError",
    ),
    "a table check that returns nothing": (
        check("return None", kind="table_check", suite=None),
        "the_check: the check returned NoneType",
    ),
    "an empty suite on the output": (suite_of(name="output"), "staged output: Data validation could not run: the"),
    "no rows in the output": (no_output, "staged output: Data validation could not run: there are no rows to judge"),
    "a table check on the output that raises": (
        check("raise ValueError('nothing')", kind="table_check", on="output", suite=None),
        "staged output: table checks: Data validation could not run: 1 rule could not run: the_check",
    ),
    "a limit of a rule that is not there": (
        limits(the_rul={"count": 0}),
        "limits.the_rul: unknown rule; rules with rows to count: expect_column_values_to_not_be_null(id)",
    ),
    "a limit of a rule that counts no rows": (
        both(
            suite_of(("expect_table_row_count_to_be_between", {"min_value": 1})),
            limits(the_rule={"share": 0.1}),
        ),
        "limits.the_rule: judges the whole table and counts no failing rows",
    ),
}


def is_blocked(project: SmallProject, result: RunResult, outcome: Outcome, words: str) -> None:
    assert (result.outcome, result.version) == (outcome, None)
    assert words in result.error
    assert not (project.table / "_delta_log").exists()
    if project.warehouse.exists():
        with duckdb.connect(str(project.warehouse), read_only=True) as warehouse:
            assert warehouse.execute("SELECT count(*) FROM information_schema.tables").fetchone() == (0,)


@pytest.mark.parametrize("case", CASES)
def test_what_could_not_be_judged_is_never_published(project: SmallProject, case: str) -> None:
    change, words = CASES[case]
    change(project)
    is_blocked(project, project.run(), Outcome.ERROR, words)


def test_a_gx_result_that_did_not_come_back(project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    suite_of(STRFTIME)(project)
    monkeypatch.setattr(gx, "_validate", lambda df, expectations: [])
    is_blocked(project, project.run(), Outcome.ERROR, "the_rule: GX could not evaluate it: GX gave no result for it")


def test_a_measure_of_the_scan_that_did_not_come_back(project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    suite_of(BETWEEN)(project)
    whole = scan.collect

    def without_the_rules(df: Any, wanted: Any) -> dict[str, Any]:
        return {key: value for key, value in whole(df, wanted).items() if key in (scan.ROWS, scan._BAD_ROWS)}

    monkeypatch.setattr(scan, "collect", without_the_rules)
    is_blocked(project, project.run(), Outcome.ERROR, "the_rule: the scan gave no result for it")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (check("return F.lit(None).cast('boolean')"), "score 0.0000 is below the threshold 0.9 (100 of 100 rows"),
        (
            both(
                suite_of(("expect_column_mean_to_be_between", {"column": "amount", "min_value": 0})),
                orders("1,1,,2026-11-01", "2,1,NaN,2026-11-01"),
            ),
            "the_rule failed (there is no observed value (nothing to measure))",
        ),
        (check("return False", kind="table_check"), "the_check failed (the check returned false)"),
        (check("return False", kind="table_check", on="output", suite=None), "the_check failed (the check returned"),
    ],
    ids=["a row check that says nothing", "a mean of nulls and NaN", "a table check", "a table check on the output"],
)
def test_what_is_judged_and_bad_is_a_fail(project: SmallProject, change: Change, words: str) -> None:
    change(project)
    is_blocked(project, project.run(), Outcome.FAIL, words)


def test_the_project_itself_publishes(project: SmallProject) -> None:
    """The cases are blocked by what they change, and by nothing else."""
    check("return df.id > 0")(project)
    limits(**{"expect_column_values_to_be_unique(id)": {"count": 0}})(project)
    result = project.run()
    assert (result.outcome, result.rows.loaded, len(GOOD_ROWS)) == (Outcome.PASS, 100, 100)
    assert len(SUITE["expectations"]) == 3
