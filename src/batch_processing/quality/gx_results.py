"""Results in the shape of Great Expectations' `ExpectationSuiteValidationResult.to_json_dict()`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from batch_processing.quality.rules import Finding
from batch_processing.quality.suite import ExpectationConfig


def expectation_result(config: ExpectationConfig, finding: Finding) -> dict[str, Any]:
    """One `ExpectationValidationResult`."""
    return {
        "success": finding.success,
        "expectation_config": config.to_json(),
        "result": dict(finding.result),
        "meta": {},
        "exception_info": {"raised_exception": False, "exception_traceback": None, "exception_message": None},
    }


def expectation_error(config: ExpectationConfig, message: str) -> dict[str, Any]:
    """The result of an expectation that could not run."""
    return {
        "success": False,
        "expectation_config": config.to_json(),
        "result": {},
        "meta": {},
        "exception_info": {"raised_exception": True, "exception_traceback": None, "exception_message": message},
    }


def suite_result(suite_name: str, results: Sequence[Mapping[str, Any]], *, meta: Mapping[str, Any]) -> dict[str, Any]:
    """The whole `ExpectationSuiteValidationResult`; `meta` joins GX's version in its `meta`."""
    passed = sum(1 for result in results if result["success"])
    evaluated = len(results)
    return {
        "success": passed == evaluated,
        "results": [dict(result) for result in results],
        "suite_name": suite_name,
        "suite_parameters": {},
        "statistics": {
            "evaluated_expectations": evaluated,
            "successful_expectations": passed,
            "unsuccessful_expectations": evaluated - passed,
            "success_percent": passed / evaluated * 100 if evaluated else None,
        },
        "meta": {"great_expectations_version": version("great_expectations"), **meta},
        "id": None,
    }
