"""Templates: `{{ ... }}` in a declaration, checked when it is read, rendered when a step runs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import SandboxedEnvironment

from batch_processing.errors import BatchError, SettingError

NAMES = (
    "var", "conn", "ds", "ds_nodash", "slice", "slice_start", "slice_end", "slice_key",
    "project", "pipeline", "run_id", "generation",
)  # fmt: skip
"""What a template may name."""

LONGEST_TEMPLATE = 20_000
"""Characters; a query may be long, a file pasted into a key is a mistake."""

_MARKS = ("{{", "{%", "{#")
_VAR_KINDS = ("value", "json")
_CONN_PARTS = ("conn_type", "host", "port", "login", "password", "schema", "extra", "extra_dejson", "conn_id")


def is_template(text: str) -> bool:
    """Whether a text holds anything to render."""
    return any(mark in text for mark in _MARKS)


def template_problem(text: str) -> str | None:
    """What is wrong with a template as far as its text shows, or None where nothing is."""
    if not is_template(text):
        return None
    if len(text) > LONGEST_TEMPLATE:
        return f"a template of {len(text)} characters; at most {LONGEST_TEMPLATE}"
    environment = _environment()
    try:
        tree = environment.parse(text)
        environment.compile(text, raw=True)  # finds unknown filters and tests
    except TemplateSyntaxError as error:
        return f"template does not parse: {error.message}"
    except RecursionError:
        return "template is nested too deeply"
    for name in sorted(meta.find_undeclared_variables(tree)):
        if name not in NAMES and name not in environment.globals:
            return f"template names unknown {name!r}{near(name, NAMES)}; valid: {', '.join(NAMES)}"
    return _attribute_problem(tree)


def _attribute_problem(tree: nodes.Template) -> str | None:
    for node in tree.find_all(nodes.Getattr):
        owner = node.node
        if isinstance(owner, nodes.Name) and owner.name == "var" and node.attr not in _VAR_KINDS:
            return f"template names var.{node.attr}; a variable is var.value.NAME or var.json.NAME"
        if (
            isinstance(owner, nodes.Getattr)
            and isinstance(owner.node, nodes.Name)
            and owner.node.name == "conn"
            and node.attr not in _CONN_PARTS
        ):
            hint = near(node.attr, _CONN_PARTS)
            return f"template names unknown part {node.attr!r} of a connection{hint}; valid: {', '.join(_CONN_PARTS)}"
    return None


def near(name: str, valid: tuple[str, ...] | list[str]) -> str:
    """`, did you mean 'x'?` for the nearest valid name, or the empty text."""
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.6) or [
        known for known in valid if known.lower() == name.lower()
    ]
    return f", did you mean {close[0]!r}?" if close else ""


def render_text(text: str, names: Mapping[str, Any]) -> str:
    """Renders a template in a sandbox; an unknown name is an error.

    Raises:
        SettingError: the template does not render; no value is in the message.
    """
    if not is_template(text):
        return text
    try:
        return _environment().from_string(text).render(names)
    except BatchError:
        raise
    except TemplateError as error:
        raise SettingError(
            "a template does not render",
            where=text[:200],
            found=error.message or type(error).__name__,
            fix=f"valid names: {', '.join(sorted(names))}",
        ) from error
    except Exception as error:  # noqa: BLE001 - a template may call anything its values offer
        # Not chained: the cause's text may repeat a value.
        raise SettingError("a template does not render", where=text[:200], found=type(error).__name__) from None


@cache
def _environment() -> SandboxedEnvironment:
    environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.globals.pop("lipsum", None)
    return environment
