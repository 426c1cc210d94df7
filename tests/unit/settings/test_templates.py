"""Templates are judged by their text when a declaration is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_processing.settings.templates import template_problem


@pytest.mark.parametrize(
    "text",
    [
        "plain {text}",
        "{{ var.value.x }}/{{ ds_nodash }}",
        "{{ var.value.get('x', 'y') | upper }}",
        "{% for i in range(3) %}{{ i }}{% endfor %}",
        "{% set a = ds %}{{ a }}",
        "{{ conn.crm.host }}{{ conn['crm'].port }}{{ conn.crm.extra_dejson.token }}",
        "{{ run_id }}{{ generation }}{{ pipeline }}{{ project }}",
    ],
)
def test_a_sound_template_has_no_problem(text: str) -> None:
    assert template_problem(text) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ ds", "does not parse"),
        ("{{ }}", "does not parse"),
        ("{% if ds %}", "does not parse"),
        ("{{ dss }}", "did you mean 'ds'"),
        ("{{ vars.value.x }}", "did you mean 'var'"),
        ("{{ logical_date }}", "valid: var, conn, ds"),
        ("{{ var.x }}", "var.value.NAME"),
        ("{{ conn.crm.hots }}", "did you mean 'host'"),
        ("{{ ds | uper }}", "No filter named 'uper'"),
        ("{{ " + "(" * 5_000 + "}}", "does not parse|too deeply"),
        ("{{ ds }}" * 3_000, "at most"),
    ],
)
def test_a_mistaken_template_says_what_is_wrong(text: str, message: str) -> None:
    problem = template_problem(text)
    assert problem is not None
    assert any(part in problem for part in message.split("|"))


@given(st.text(alphabet="{}%#ds var.|()'\"-1+*[]", max_size=40))
def test_no_text_breaks_the_check(text: str) -> None:
    template_problem("{{" + text)
