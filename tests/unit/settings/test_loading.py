"""A declaration is read whole, and everything wrong with it is reported at once and in its place."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from batch_processing.errors import DeclarationError, Problem
from batch_processing.settings.loading import load_pipeline, pipeline_from_dict
from batch_processing.settings.models import SourceSpec
from tests.unit.settings.declarations import declaration, load_text, problems_in, write_suite

FULL = """\
pipeline: batch_processor
schedule: "0 2 * * *"
start_date: 2024-02-21
retry_delay: 5m
sources:
  orders:
    files: {path: "{{ var.value.batch_source_path }}/{{ ds }}/*.csv", null_values: ["", "NA"]}
    schema: {id: bigint, amount: "DECIMAL(12, 2)", on: string}
  customers:
    database: {connection: crm, table: public.customers}
  rates:
    api: {connection: rates_api, endpoint: /rates, params: {date: "{{ ds }}", empty: ""}}
    schema: {currency: string}
validate:
  orders: {suite: batch_suite, checks: [mychecks.no_future_dates], threshold: "{{ var.value.validation_threshold }}"}
  rates: {checks: ["mychecks:fresh"], threshold: "0.9"}
transform: batch_processing.spark.jobs.transform:transform
target: {table: "{{ var.value.delta_lake_path }}/batch", partition_by: [batch_date]}
validate_output: {suite: out}
warehouse: {connection: warehouse, table: batch}
alerts: {email: [alert@company.com], on: [failure, retry]}
engine: sc://spark:15002
"""

BROKEN = """\
pipeline: batch processor
schedule: "61 2 * * *"
retires: 3
sources:
  orders:
    files: {path: "{{ va.value.x }}/*.csv", format: cvs}
    schema: {id: bigint, ID: int, amount: money}
  crm:
    database: {}
validate:
  ordes: {suite: batch_suit, threshold: 1.5}
transform: transform
target:
  table: out
  mode: mergee
  keys: [id, Id]
alerts:
  on: [failre]
engine: embeded
"""


def only(problems: tuple[Problem, ...]) -> Problem:
    assert len(problems) == 1, [str(problem) for problem in problems]
    return problems[0]


def problems_of(root: Path, **changes: Any) -> list[Problem]:
    try:
        pipeline_from_dict(declaration(**changes), root=root, environ={})
    except DeclarationError as error:
        return list(error.problems)
    return []


def test_a_full_declaration_becomes_its_models(tmp_path: Path) -> None:
    write_suite(tmp_path, "batch_suite")
    write_suite(tmp_path, "out")
    loaded = load_text(tmp_path, FULL)
    spec = loaded.spec
    assert spec.retry_delay == timedelta(minutes=5)
    assert spec.start_date == datetime(2024, 2, 21, tzinfo=UTC)
    assert spec.sources["orders"].columns == {"id": "bigint", "amount": "decimal(12,2)", "on": "string"}
    assert spec.sources["customers"].kind == "database"
    assert spec.transform.function == "batch_processing.spark.jobs.transform:transform"
    assert spec.engine.remote == "sc://spark:15002"
    assert spec.alerts.on == ("failure", "retry")
    assert spec.validations["rates"].threshold == 0.9
    assert loaded.file == tmp_path / "orders.yml"
    assert loaded.project.root == tmp_path


def test_every_problem_is_reported_at_once_with_its_line_and_key(tmp_path: Path) -> None:
    write_suite(tmp_path, "batch_suite")
    found = {(problem.line, problem.key): problem.message for problem in problems_in(tmp_path, BROKEN)}
    assert sorted(found) == [
        (1, "pipeline"),
        (2, "schedule"),
        (3, "retires"),
        (6, "sources.orders.files.format"),
        (6, "sources.orders.files.path"),
        (7, "sources.orders.schema.ID"),
        (7, "sources.orders.schema.amount"),
        (9, "sources.crm.database"),
        (9, "sources.crm.database.connection"),
        (11, "validate.ordes"),
        (11, "validate.ordes.suite"),
        (11, "validate.ordes.threshold"),
        (12, "transform.function"),
        (15, "target.mode"),
        (16, "target.keys.1"),
        (18, "alerts.on.0"),
        (19, "engine"),
    ]
    assert "did you mean 'retries'" in found[3, "retires"]
    assert "validate_output" in found[3, "retires"]
    assert "did you mean 'csv'?; valid: csv, jsonl, parquet" in found[6, "sources.orders.files.format"]
    assert "did you mean 'orders'?; sources: orders, crm" in found[11, "validate.ordes"]
    assert "did you mean 'batch_suite'" in found[11, "validate.ordes.suite"]
    assert "did you mean 'merge'" in found[15, "target.mode"]
    assert "did you mean 'embedded'" in found[19, "engine"]
    assert "did you mean 'decimal(p,s)'" in found[7, "sources.orders.schema.amount"]


def test_the_error_names_file_and_line_and_survives_pickling(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError) as caught:
        load_text(tmp_path, BROKEN)
    text = str(caught.value)
    assert f"{tmp_path / 'orders.yml'}:3: retires: unknown key" in text
    assert str(pickle.loads(pickle.dumps(caught.value))) == text
    assert caught.value.exit_code == 2


def test_problems_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    lines = [problem.line for problem in problems_in(tmp_path, BROKEN)]
    assert lines == sorted(lines, key=lambda line: line or 0)


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("target: {tabel: x}", "target.tabel", "table"),
        ("alerts: {emails: []}", "alerts.emails", "email"),
        ("sources: {a: {file: {}}}", "sources.a.file", "files"),
        ("sources: {a: {api: {pagination: {kid: page}}}}", "sources.a.api.pagination.kid", "kind"),
        ("sources: {a: {shema: {}}}", "sources.a.shema", "schema"),
        ("validate: {a: {treshold: 1}}", "validate.a.treshold", "threshold"),
        ("engine: {nam: spark}", "engine.nam", "name"),
        ("Pipeline: x", "Pipeline", "pipeline"),
    ],
)
def test_an_unknown_key_at_any_depth_names_the_near_one(tmp_path: Path, text: str, key: str, near: str) -> None:
    problem = next(problem for problem in problems_in(tmp_path, text) if problem.key == key)
    assert f"unknown key, did you mean {near!r}?; valid: " in problem.message
    assert problem.line == 1


def test_a_flood_of_problems_is_bounded(tmp_path: Path) -> None:
    problems = problems_in(tmp_path, "".join(f"k{number}: 1\n" for number in range(3_000)))
    assert len(problems) == 501
    assert problems[-1].message == "2504 further problems are not listed"


def test_a_missing_key_is_named_at_the_line_of_what_should_hold_it(tmp_path: Path) -> None:
    problems = problems_in(tmp_path, "pipeline: a\nsources:\n  orders:\n    files: {format: csv}\n")
    assert (4, "sources.orders.files.path", "is missing") in {(p.line, p.key, p.message) for p in problems}
    assert {"transform", "target"} <= {p.key for p in problems if p.message == "is missing"}


@pytest.mark.parametrize(
    ("changes", "key", "message"),
    [
        ({"schedule": "@dayly"}, "schedule", "unknown preset"),
        ({"schedule": "0 2 * *"}, "schedule", "five fields, found 4"),
        ({"schedule": "0 0 30 2 *"}, "schedule", "not a schedule that ever fires"),
        ({"schedule": "R 2 * * *"}, "schedule", "random"),
        ({"retry_delay": "5 minutes"}, "retry_delay", "as in 5m"),
        ({"retry_delay": -1}, "retry_delay", "as in 5m"),
        ({"retry_delay": "9999999999999999d"}, "retry_delay", "at most 366d"),
        ({"retry_delay": True}, "retry_delay", "as in 5m"),
        ({"retries": -1}, "retries", "at least 0, found '-1'"),
        ({"retries": "many"}, "retries", "whole number, found 'many'"),
        ({"sources": {}}, "sources", "at least one"),
        ({"sources": {"a b": {"database": {"connection": "c", "table": "t"}}}}, "sources.a b", "is not a name"),
        ({"sources": {"a": {"files": {"path": "x"}}}}, "sources.a", "schema is missing"),
        ({"sources": {"a": {"schema": {"x": "int"}}}}, "sources.a", "exactly one of files, database, api; found none"),
        ({"validate": {"orders": {}}}, "validate.orders", "nothing to validate"),
        ({"validate": {"orders": {"checks": ["nodots"]}}}, "validate.orders.checks.0", "not a dotted name"),
        ({"validate": {"orders": {"checks": ["a.b", "a.b"]}}}, "validate.orders.checks.1", "named twice"),
        ({"validate": {"orders": {"checks": "a.b"}}}, "validate.orders.checks", "must be a list"),
        ({"validate": {"orders": {"checks": ["a.b"], "threshold": "95%"}}}, "validate.orders.threshold", "0 to 1"),
        ({"validate": {"orders": {"checks": ["a.b"], "threshold": float("nan")}}}, "validate.orders.threshold", "0 to"),
        ({"target": {"table": "t"}}, "target", "needs partition_by"),
        ({"target": {"table": "t", "mode": "merge"}}, "target", "needs keys"),
        ({"target": {"table": "t", "mode": "append", "keys": ["a"]}}, "target.keys", "belongs to mode merge"),
        ({"target": {"table": " ", "mode": "append"}}, "target.table", "is empty"),
        ({"target": {"table": "t", "partition_by": [""]}}, "target.partition_by.0", "not empty"),
        ({"target": {"table": "t", "partition_by": ["a", "A"]}}, "target.partition_by.1", "named twice"),
        ({"warehouse": {"connection": "w", "table": "a.b.c"}}, "warehouse.table", "not a table's name"),
        ({"warehouse": {"connection": "w", "table": "mart. orders"}}, "warehouse.table", "not a table's name"),
        ({"warehouse": {"connection": "w", "table": 'mart."orders'}}, "warehouse.table", "not a table's name"),
        ({"warehouse": {"connection": "w", "table": "_batch_loads"}}, "warehouse.table", "is reserved"),
        ({"warehouse": {"connection": "w", "table": "mart._Batch_Incoming"}}, "warehouse.table", "is reserved"),
        ({"warehouse": {"connection": "w", "table": "_batch_later"}}, "warehouse.table", "is reserved"),
        ({"warehouse": {"connection": "w", "table": "{{ ds }}"}}, "warehouse.table", "templates are not rendered"),
        ({"alerts": {"email": ["nobody"]}}, "alerts.email.0", "not an email address"),
        ({"alerts": {"email": "a@b.c"}}, "alerts.email", "must be a list"),
        ({"engine": "spark"}, "engine", "unknown engine"),
        ({"engine": {"name": "spark"}}, "engine", "exactly one of remote, connection, master; found none"),
        ({"engine": {"master": "yarn"}}, "engine.master", "engine embedded has no master"),
        ({"transform": "a..b"}, "transform.function", "not a dotted name"),
        ({"transform": {"function": "a.b", "params": {"d": "{{ ds"}}}, "transform.params.d", "does not parse"),
        ({"start_date": "soon"}, "start_date", "must be a date"),
        ({"description": 3}, "description", "must be a text"),
    ],
)
def test_a_wrong_value_says_what_is_valid(tmp_path: Path, changes: dict[str, Any], key: str, message: str) -> None:
    problem = only(tuple(problems_of(tmp_path, **changes)))
    assert problem.key == key
    assert message in problem.message


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "@weekly"},
        {"schedule": "*/5 8-18 * MAR MON-FRI"},
        {"retry_delay": "1.5h"},
        {"retry_delay": 90},
        {"engine": "local[2]"},
        {"engine": {"name": "spark", "master": "{{ var.value.master }}"}},
        {"target": {"table": "t", "mode": "merge", "keys": ["id"], "sequence_by": "at"}},
        {"warehouse": {"connection": "w", "table": "mart.orders"}},
        {"warehouse": {"connection": "w", "table": '"My.Mart"."Order ""Lines"" 2026"'}},
        {"warehouse": {"connection": "w", "table": "Order Lines"}},
        {"warehouse": {"connection": "w", "table": '"{x}"'}},
        {"validate": {"orders": {"checks": ["a.b:c"], "threshold": 0}}},
        {"quarantine": "{{ project }}/bad"},
    ],
)
def test_a_good_value_is_accepted(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert problems_of(tmp_path, **changes) == []


def test_a_value_that_yaml_bends_is_shown_as_written(tmp_path: Path) -> None:
    problems = problems_in(tmp_path, "pipeline: no\ndescription: 2026-11-01\nowner: 007\n")
    messages = {problem.key: problem.message for problem in problems}
    assert messages["pipeline"] == "must be a text, found `no`, which YAML reads as false; put it in quotes"
    assert messages["description"] == "must be a text, found '2026-11-01'; put it in quotes"
    assert messages["owner"] == "must be a text, found '007'; put it in quotes"


@pytest.mark.parametrize(
    "text",
    [
        "warehouse: {connection: 'postgres://u:hunter2@host/db', table: t}",
        "warehouse: {password: hunter2}",
        "alerts: {email: ['x:hunter2 @host']}",
        "engine: 'scc://host/;token=hunter2'",
        "alerts: {on: ['token hunter2']}",
        "retries: 'u:hunter2@h'",
    ],
)
def test_what_may_be_a_credential_is_never_repeated(tmp_path: Path, text: str) -> None:
    problems = problems_in(tmp_path, text)
    assert problems
    assert "hunter2" not in "".join(map(str, problems))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON: "),
        ("[]", "is not a suite"),
        ('{"name": "s"}', "a list `expectations`"),
        ('{"expectations": {}}', "a list `expectations`"),
        ("[" * 100_000, "is not JSON"),
        ("", "is not JSON"),
    ],
)
def test_a_suite_file_that_is_no_suite_is_a_problem(tmp_path: Path, content: str, message: str) -> None:
    write_suite(tmp_path, "s").write_text(content)
    problem = only(tuple(problems_of(tmp_path, validate={"orders": {"suite": "s"}})))
    assert problem.key == "validate.orders.suite"
    assert message in problem.message


@pytest.mark.parametrize("name", ["x" * 5000, "x" * 5000 + ".json", "../s", "/", ".", "a/b/c", "é\ud800"])
def test_a_suite_of_any_name_is_at_most_a_problem(tmp_path: Path, name: str) -> None:
    assert only(tuple(problems_of(tmp_path, validate_output={"suite": name}))).key == "validate_output.suite"


def test_a_suite_may_be_a_path_from_the_projects_root(tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "s.json").write_text('{"expectations": []}')
    assert problems_of(tmp_path, validate_output={"suite": "suites/s.json"}) == []
    assert only(tuple(problems_of(tmp_path, validate_output={"suite": "suites/t.json"}))).key == "validate_output.suite"


def test_python_builds_the_same_pipeline_as_the_file(tmp_path: Path) -> None:
    text = """
pipeline: orders
sources: {orders: {files: {path: in/*.csv}, schema: {id: bigint, day: date}}}
transform: jobs.orders:transform
target: {table: out/orders, partition_by: [day]}
"""
    from_file = load_text(tmp_path, text)
    from_python = pipeline_from_dict(declaration(), root=tmp_path, environ={})
    assert from_python.spec == from_file.spec
    assert from_python.project == from_file.project
    assert from_python.file == tmp_path / "orders.yml"


def test_python_may_give_models_in_place_of_mappings(tmp_path: Path) -> None:
    source = SourceSpec.model_validate(declaration()["sources"]["orders"])
    loaded = pipeline_from_dict(declaration(sources={"orders": source}), root=tmp_path, environ={})
    assert loaded.spec == pipeline_from_dict(declaration(), root=tmp_path, environ={}).spec


@pytest.mark.parametrize("data", [None, [], "text", 3, {}, {1: 2}, {"sources": [1]}, {"validate": 1, "engine": []}])
def test_python_data_of_any_shape_ends_in_a_declaration_error(tmp_path: Path, data: Any) -> None:
    with pytest.raises(DeclarationError):
        pipeline_from_dict(data, root=tmp_path, environ={})


def test_a_file_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "orders.yml").write_text("")
    with pytest.raises(DeclarationError, match=r"no such file; the folder holds orders\.yml"):
        load_pipeline(tmp_path / "order.yml", environ={})
    with pytest.raises(DeclarationError, match="does not exist either"):
        load_pipeline(tmp_path / "nowhere" / "order.yml", environ={})
    with pytest.raises(DeclarationError, match="is a folder"):
        load_pipeline(tmp_path, environ={})
