"""The catalog and the documentation's table, held against the installed Great Expectations."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from batch_processing.quality.aggregates import compile_table_rule
from batch_processing.quality.catalog import CATALOG
from batch_processing.quality.predicates import ROW_TYPES

_COMMON = {
    "id", "meta", "notes", "result_format", "description", "catch_exceptions", "rendered_content", "severity",
    "windows", "batch_id", "library_metadata",
}  # fmt: skip
DOCS = Path(__file__).resolve().parents[3] / "docs" / "quality.md"


@pytest.fixture(scope="module")
def implementations() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations.expectations.core  # noqa: F401 -- registers the core
        from great_expectations.expectations.registry import (
            get_expectation_impl,
            list_registered_expectation_implementations,
        )

        return {name: get_expectation_impl(name) for name in list_registered_expectation_implementations()}


def test_every_expectation_of_the_core_is_in_the_catalog(implementations: dict[str, Any]) -> None:
    assert set(CATALOG) == set(implementations)


def test_arguments_are_those_of_great_expectations(implementations: dict[str, Any]) -> None:
    for name, entry in CATALOG.items():
        fields = {key for key in implementations[name].__fields__ if key not in _COMMON}
        assert entry.required | entry.optional == fields, name


def test_required_arguments_are_required_by_great_expectations(implementations: dict[str, Any]) -> None:
    stricter = {
        # GX takes null for these, or no argument, and then has nothing to check.
        "expect_column_values_to_match_regex",
        "expect_column_values_to_be_in_type_list",
        "expect_column_kl_divergence_to_be_less_than",
        "expect_table_columns_to_match_set",
        "expect_table_columns_to_match_ordered_list",
    }
    for name, entry in CATALOG.items():
        if name not in stricter:
            fields = implementations[name].__fields__.items()
            assert entry.required == {key for key, field in fields if field.required}, name


def test_each_compiled_type_has_a_compiler() -> None:
    compiled = {name for name, entry in CATALOG.items() if entry.how == "compiled"}
    assert compiled >= ROW_TYPES
    assert callable(compile_table_rule)


def test_the_documentation_lists_each_expectation_as_the_catalog_has_it() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (compiled|fallback|refused) \|", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    words = {"compiled": "compiled", "gx": "fallback", "refused": "refused"}
    assert dict(rows) == {name: words[entry.how] for name, entry in CATALOG.items()}
    assert len(rows) == len(CATALOG)
