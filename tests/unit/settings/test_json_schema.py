"""The published JSON Schema is the models', and agrees with them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from batch_processing.settings.loading import json_schema, pipeline_from_dict
from tests.unit.settings.declarations import declaration, write_suite

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "declaration.md"


def documented() -> list[dict[str, Any]]:
    blocks = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)
    found = [yaml.load(block, Loader=yaml.BaseLoader) for block in blocks]
    return [data for data in found if "pipeline" in data]


def test_the_file_in_the_repository_is_up_to_date() -> None:
    file = ROOT / "schema" / "pipeline.schema.json"
    command = (
        "python -c 'import json; from batch_processing.settings.loading import json_schema; "
        "print(json.dumps(json_schema(), indent=2))' > schema/pipeline.schema.json"
    )
    assert json.loads(file.read_text()) == json.loads(json.dumps(json_schema())), f"run: {command}"


def test_it_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"transform": {"function": "a.b:c", "params": {"day": "{{ ds }}"}, "preserves_rows": True}},
        {"engine": "local[2]"},
        {"engine": {"name": "spark", "connection": "spark_connect"}},
        {"retry_delay": "5m"},
        {"retry_delay": 300},
        {"validate": {"orders": {"checks": ["a.b"], "threshold": "{{ var.value.t }}"}}},
        {"validate": {"orders": {"checks": ["a.b"], "threshold": 0.9}}},
        {"schedule": None},
        {"sources": {"o": {"files": {"path": "x"}, "schema": {"a": "decimal(12,2)", "b": "timestamp_ntz"}}}},
    ],
)
def test_schema_and_models_accept_the_same(tmp_path: Path, changes: dict[str, Any]) -> None:
    data = declaration(**changes)
    assert list(Draft202012Validator(json_schema()).iter_errors(data)) == []
    pipeline_from_dict(data, root=tmp_path, environ={})


@pytest.mark.parametrize(
    "changes",
    [
        {"retires": 3},
        {"retry_delay": "5 minutes"},
        {"transform": 3},
        {"engine": []},
        {"sources": {"o": {"files": {"path": "x", "format": "cvs"}, "schema": {"a": "int"}}}},
        {"sources": {"o": {"files": {"path": "x"}, "schema": {"a": "money"}}}},
        {"validate": {"orders": {"checks": ["a.b"], "threshold": 2}}},
        {"target": ...},
    ],
)
def test_schema_refuses_what_the_models_refuse(changes: dict[str, Any]) -> None:
    assert list(Draft202012Validator(json_schema()).iter_errors(declaration(**changes)))


def test_every_declaration_in_the_documentation_is_valid(tmp_path: Path) -> None:
    found = documented()
    assert found
    for data in found:
        for named in (*data.get("validate", {}).values(), data.get("validate_output", {})):
            if "suite" in named:
                write_suite(tmp_path, named["suite"])
        pipeline_from_dict(data, root=tmp_path, environ={})


def test_the_documentation_names_every_key() -> None:
    text = DOCS.read_text()
    schema = json_schema()
    keys = {key for part in (schema, *schema["$defs"].values()) for key in _keys(part)}
    assert len(keys) > 50
    assert {key for key in keys if f"`{key}`" not in text} == set()


def _keys(part: dict[str, Any]) -> list[str]:
    parts = [part, *part.get("anyOf", [])]
    return [key for each in parts for key in each.get("properties", {})]
