"""Great Expectations itself: for what is not compiled, and as an oracle. The only importer of GX.

GX is imported inside the functions: its import takes seconds, and most suites never need it.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from batch_processing.quality.suite import ExpectationConfig

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_LOG = logging.getLogger(__name__)
_INDEX = "batch_processing_index"
_LIMIT = 300


def run_in_gx(df: DataFrame, expectations: Sequence[ExpectationConfig]) -> list[dict[str, Any]]:
    """Evaluates expectations with GX, in one validation call.

    Args:
        df: the rows.
        expectations: what to evaluate.

    Returns:
        One `ExpectationValidationResult` as JSON per expectation, in the order given. An expectation that GX refuses
        to build has `exception_info.raised_exception` true.
    """
    if not expectations:
        return []
    with _quiet():
        built, refused = _build(expectations)
        raw = _validate(df, list(built.values())) if built else []
    by_index = {int(result["expectation_config"]["meta"].pop(_INDEX)): result for result in raw}
    return [
        by_index.get(index) or _raised(config, refused.get(index, "GX gave no result for it"))
        for index, config in enumerate(expectations)
    ]


def exception_of(result: Mapping[str, Any]) -> str:
    """Why GX could not evaluate an expectation, in one line, or "".

    Of what the engine raised only the class is given: its text can quote a value of a row.
    """
    info = result.get("exception_info") or {}
    entries = [info] if "raised_exception" in info else list(info.values())
    for entry in entries:
        if entry.get("raised_exception"):
            return _safe(str(entry.get("exception_message") or ""), str(entry.get("exception_traceback") or ""))
    return ""


def _safe(message: str, traceback: str) -> str:
    lines = message.strip().splitlines()
    if "pyspark" in traceback:
        last = traceback.strip().splitlines()[-1].partition(":")[0].rpartition(".")[2].strip()
        return f"the engine raised {last}" if last.isidentifier() else "the engine raised an exception"
    return (lines[0] if lines else "an exception without a message")[:_LIMIT]


def _build(expectations: Sequence[ExpectationConfig]) -> tuple[dict[int, Any], dict[int, str]]:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    built: dict[int, Any] = {}
    refused: dict[int, str] = {}
    for index, config in enumerate(expectations):
        meta = {**config.meta, _INDEX: index}
        try:
            built[index] = ExpectationConfiguration(
                type=config.type, kwargs=dict(config.kwargs), meta=meta, severity=config.severity.value, id=config.id
            ).to_domain_obj()
        except Exception as error:  # noqa: BLE001 -- whatever GX raises, it is this rule that cannot run
            refused[index] = " ".join(str(error).split())[:_LIMIT]
    return built, refused


def _validate(df: DataFrame, expectations: list[Any]) -> list[dict[str, Any]]:
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    asset = context.data_sources.add_spark("batch_processing", persist=False).add_dataframe_asset("data")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": df})
    suite = gx.ExpectationSuite(name="batch_processing", expectations=expectations)
    # Counts only: GX keeps at most 200 bad values, and results must not hold data values of rows.
    shape = {"result_format": "BASIC", "partial_unexpected_count": 0, "exclude_unexpected_values": True}
    found: list[dict[str, Any]] = batch.validate(suite, result_format=shape).to_json_dict()["results"]
    for result in found:
        result["expectation_config"]["kwargs"].pop("batch_id", None)
        if why := exception_of(result):
            result["exception_info"] = _exception_info(why)
    return found


def _raised(config: ExpectationConfig, message: str) -> dict[str, Any]:
    return {
        "success": False,
        "expectation_config": config.to_json(),
        "result": {},
        "meta": {},
        "exception_info": _exception_info(message),
    }


def _exception_info(message: str) -> dict[str, Any]:
    return {"raised_exception": True, "exception_message": message, "exception_traceback": None}


@contextmanager
def _quiet() -> Iterator[None]:
    """GX without its analytics events, and without the warnings of its own dependencies."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
