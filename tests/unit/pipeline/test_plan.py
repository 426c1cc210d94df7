"""The plan: what a declaration asks for, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from batch_processing.errors import UsageError
from batch_processing.pipeline.plan import StepKind, build_plan
from batch_processing.settings.models import PipelineSpec


def _spec(**changes: Any) -> PipelineSpec:
    base: dict[str, Any] = {
        "pipeline": "p",
        "sources": {
            "orders": {"files": {"path": "x/*.csv"}, "schema": {"id": "bigint"}},
            "customers": {"database": {"connection": "crm", "table": "customers"}},
        },
        "validate": {"orders": {"suite": "s", "checks": ["m.f"]}},
        "transform": "m:transform",
        "target": {"table": "t", "mode": "overwrite"},
        "validate_output": {"suite": "o"},
        "warehouse": {"connection": "w", "table": "t"},
    }
    return PipelineSpec.model_validate({**base, **changes})


def test_every_box_of_the_flow_is_a_step_in_its_order() -> None:
    assert [step.id for step in build_plan(_spec()).steps] == [
        "wait_for_orders",
        "extract_orders",
        "extract_customers",
        "validate",
        "custom_validation",
        "transform",
        "validate_output",
        "quality_metrics",
        "publish",
        "load_warehouse",
    ]


def test_what_is_not_declared_is_not_planned() -> None:
    plan = build_plan(_spec(validate={}, validate_output=None, warehouse=None))
    assert [step.id for step in plan.steps][3:] == ["validate", "transform", "quality_metrics", "publish"]
    assert plan.last.id == "publish"


def test_each_step_comes_after_all_of_its_upstreams() -> None:
    seen: set[str] = set()
    for step in build_plan(_spec(engine="local[2]")).steps:
        assert set(step.upstreams) <= seen, step.id
        seen.add(step.id)


def test_files_are_extracted_part_by_part() -> None:
    assert build_plan(_spec()).step("extract_orders").mapped_over == "wait_for_orders"
    assert build_plan(_spec()).step("extract_customers").mapped_over == ""


def test_a_master_gets_a_server_for_the_run_and_its_end() -> None:
    plan = build_plan(_spec(engine="spark://host:7077"))
    assert plan.step("validate").upstreams == ("start_engine",)
    assert plan.step("stop_engine").teardown_of == "start_engine"
    assert plan.last.kind is StepKind.LOAD


def test_an_unknown_step_is_named_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no step 'tranform'.*transform"):
        build_plan(_spec()).step("tranform")
