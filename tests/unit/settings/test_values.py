"""Variables, connections and templates: which place wins, and what is said where none has it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batch_processing.errors import SettingError
from batch_processing.results import Slice
from batch_processing.settings.values import EnvironmentValues, render, render_threshold

NOVEMBER = Slice(datetime(2026, 11, 1, 2, tzinfo=UTC), datetime(2026, 11, 2, 2, tzinfo=UTC))


def file_of(folder: Path, content: object) -> Path:
    file = folder / "variables.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def rendered(template: str, **variables: str) -> str:
    return render(template, values=EnvironmentValues(variables, environ={}), slice=NOVEMBER)


def test_places_win_in_their_order(tmp_path: Path) -> None:
    file = file_of(tmp_path, {"x": "file"})
    environ: dict[str, str] = {}
    assert EnvironmentValues(environ=environ, settings_file=file).variable("x") == "file"
    environ["AIRFLOW_VAR_X"] = "airflow"
    assert EnvironmentValues(environ=environ, settings_file=file).variable("x") == "airflow"
    environ["BATCH_VAR_X"] = "own"
    assert EnvironmentValues(environ=environ, settings_file=file).variable("x") == "own"
    assert EnvironmentValues({"x": "set"}, environ=environ, settings_file=file).variable("x") == "set"


def test_an_empty_value_is_a_value(tmp_path: Path) -> None:
    values = EnvironmentValues(environ={"BATCH_VAR_X": ""}, settings_file=file_of(tmp_path, {"x": "file"}))
    assert values.variable("x") == ""


def test_values_of_the_file_become_text(tmp_path: Path) -> None:
    values = EnvironmentValues(environ={}, settings_file=file_of(tmp_path, {"n": 0.95, "b": True, "o": {"é": [1]}}))
    assert [values.variable(name) for name in ("n", "b", "o")] == ["0.95", "true", '{"é": [1]}']


def test_a_variable_set_nowhere_names_every_place_and_the_near_one(tmp_path: Path) -> None:
    file = file_of(tmp_path, {"batch_source_path": "secret-value"})
    with pytest.raises(SettingError) as caught:
        EnvironmentValues(environ={}, settings_file=file).variable("batch_sorce_path")
    text = str(caught.value)
    for place in ("--set batch_sorce_path=", "BATCH_VAR_BATCH_SORCE_PATH", "AIRFLOW_VAR_BATCH_SORCE_PATH", str(file)):
        assert place in text
    assert "did you mean 'batch_source_path'" in text
    assert "secret-value" not in text


@pytest.mark.parametrize("content", ["", "{", "[1]", '"x"', '{"a": hunter2}', "[" * 100_000])
def test_a_settings_file_that_is_no_json_object_is_refused(tmp_path: Path, content: str) -> None:
    values = EnvironmentValues(environ={}, settings_file=file_of(tmp_path, content))
    with pytest.raises(SettingError, match="settings file") as caught:
        values.variable("x")
    assert "hunter2" not in str(caught.value) + str(caught.value.__cause__)


@pytest.mark.parametrize("name", ["nowhere.json", "."])
def test_a_settings_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingError, match="cannot read the settings file"):
        EnvironmentValues(environ={}, settings_file=tmp_path / name).variable("x")


def test_a_settings_file_is_read_only_when_needed(tmp_path: Path) -> None:
    values = EnvironmentValues({"x": "1"}, environ={}, settings_file=tmp_path / "nowhere.json")
    assert values.variable("x") == "1"


def test_a_connection_comes_from_airflows_environment_variable() -> None:
    values = EnvironmentValues(environ={"AIRFLOW_CONN_CRM": "postgres://u:p@h/d"})
    assert values.connection("crm").host == "h"
    with pytest.raises(SettingError, match=r"AIRFLOW_CONN_CMR.*did you mean 'crm'"):
        values.connection("cmr")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{ var.value.x }}/a", "1/a"),
        ("{{ var.value.get('x') }}{{ var.value.get('y', 'fallback') }}", "1fallback"),
        ("{{ var.json.j.a[0] }}", "7"),
        ("{{ ds }} {{ ds_nodash }}", "2026-11-01 20261101"),
        ("{{ slice }} {{ slice_key }}", "2026-11-01T02:00:00Z 2026-11-01T020000Z"),
        ("{{ slice_start.strftime('%H') }}-{{ slice_end.day }}", "02-2"),
        ("a\n", "a\n"),
        ("{{ ds }}\n", "2026-11-01\n"),
    ],
)
def test_a_template_renders(template: str, text: str) -> None:
    assert rendered(template, x="1", j='{"a": [7]}') == text


def test_a_connection_and_further_names_render() -> None:
    values = EnvironmentValues(environ={"AIRFLOW_CONN_CRM": "http://u:p@h:81/s?k=v"})
    template = "{{ conn.crm.host }}:{{ conn.crm.port }} {{ conn.crm.extra_dejson.k }} {{ project }}"
    assert render(template, values=values, slice=None, extra={"project": "/p"}) == "h:81 v /p"


@pytest.mark.parametrize(
    "template",
    [
        "{{ missing }}",
        "{{ var.value.missing }}",
        "{{ var.json.x }}",
        "{{ var.json.x.y }}",
        "{{ conn.crm.host }}",
        "{{ ds.nothing }}",
        "{{ 1 / 0 }}",
        "{{ x",
        "{{ ().__class__.__mro__ }}",
        "{{ var.value.__class__ }}",
        "{% include 'x' %}",
    ],
)
def test_a_template_that_does_not_render_is_an_error_without_values(template: str) -> None:
    with pytest.raises(SettingError) as caught:
        rendered(template, x="hunter2")
    assert "hunter2" not in str(caught.value) + str(caught.value.__cause__)


def test_without_a_slice_its_names_are_unknown() -> None:
    with pytest.raises(SettingError, match="'ds' is undefined"):
        render("{{ ds }}", values=EnvironmentValues(environ={}), slice=None)


@pytest.mark.parametrize(("value", "number"), [(0.95, 0.95), (1, 1.0), ("{{ var.value.x }}", 0.9), (" 0.5 ", 0.5)])
def test_a_threshold_is_a_share(value: float | str, number: float) -> None:
    values = EnvironmentValues({"x": "0.9"}, environ={})
    assert render_threshold(value, values=values, slice=NOVEMBER) == number


@pytest.mark.parametrize("text", ["95", "-0.1", "nan", "inf", "95%", "", "hunter2"])
def test_a_threshold_outside_zero_to_one_is_refused(text: str) -> None:
    values = EnvironmentValues({"x": text}, environ={})
    with pytest.raises(SettingError, match="not a number from 0 to 1") as caught:
        render_threshold("{{ var.value.x }}", values=values, slice=NOVEMBER)
    assert "hunter2" not in str(caught.value)
