"""Great Expectations itself: for what is not compiled, and as an oracle. The only importer of GX.

GX is imported inside the functions: its import takes seconds, and most suites never need it.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_processing.errors import CheckError, StorageError, UsageError
from batch_processing.quality.engine_messages import require_alive
from batch_processing.quality.suite import ExpectationConfig

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_LOG = logging.getLogger(__name__)
_INDEX = "batch_processing_index"
_LIMIT = 300
_SITE = ("index.html", "static", "validations", "expectations")
_NO_FILE_NAME = re.compile(r"[^\w.-]")


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
        raw = _validate_or_isolate(df, built) if built else []
    by_index = {int(result["expectation_config"]["meta"].pop(_INDEX)): result for result in raw}
    return [
        by_index.get(index) or _raised(config.to_json(), refused.get(index, "GX gave no result for it"))
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


def build_data_docs(result: Mapping[str, Any], *, name: str, folder: Path) -> Path:
    """Builds GX's Data Docs of one validation.

    Args:
        result: an `ExpectationSuiteValidationResult` as JSON, as `Validated.gx_result` is.
        name: what was judged, for the page's title.
        folder: where the site goes: a new or empty folder, or an earlier site, which is replaced.

    Returns:
        The site's `index.html`.

    Raises:
        UsageError: a folder with other files: GX would delete them.
        StorageError: the folder cannot be written.
        CheckError: GX cannot render the result.
    """
    require_site_folder(folder)
    site = folder.absolute()
    try:
        site.mkdir(parents=True, exist_ok=True)
        with _quiet():
            _render_docs(result, name, site)
    except OSError as error:
        raise StorageError(
            "cannot write Data Docs",
            where=str(site),
            found=error.strerror or "",
            fix="name a folder that can be written",
        ) from error
    except Exception as error:  # GX raises many kinds
        raise CheckError(
            "Great Expectations could not build Data Docs", where=str(site), found=type(error).__name__
        ) from error
    return site / "index.html"


def require_site_folder(folder: Path) -> None:
    """Refuses a folder for Data Docs that holds anything else: GX empties the folder before it builds.

    Raises:
        UsageError: a file, or a folder with other files.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError("Data Docs go into a folder", where=str(folder), found="a file", fix="name a new folder")
    if not folder.is_dir():
        return
    if others := sorted(path.name for path in folder.iterdir() if path.name not in _SITE):
        raise UsageError(
            "the folder for Data Docs holds other files",
            where=str(folder),
            found=f"{others[0]}" + (f" and {len(others) - 1} more" if len(others) > 1 else ""),
            fix="name a new or empty folder",
        )


def _render_docs(result: Mapping[str, Any], name: str, site: Path) -> None:
    import great_expectations as gx
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResultSchema
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    for default in list(context.get_site_names()):
        context.delete_data_docs_site(default)
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(site)}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    context.add_data_docs_site(
        "docs", {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index}
    )
    run = RunIdentifier(run_name="check", run_time=datetime.now(UTC))
    suite = ExpectationSuiteIdentifier(_NO_FILE_NAME.sub("_", str(result["suite_name"])))
    page = _NO_FILE_NAME.sub("_", name)
    key = ValidationResultIdentifier(expectation_suite_identifier=suite, run_id=run, batch_identifier=page)
    loaded = ExpectationSuiteValidationResultSchema().load(json.loads(json.dumps(result, default=str)))
    context.validation_results_store.add(key, loaded)
    context.build_data_docs()


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


def _validate_or_isolate(df: DataFrame, built: Mapping[int, Any]) -> list[dict[str, Any]]:
    """One validation call for all; where that raises, one each, so that the one that cannot run is named."""
    try:
        return _validate(df, list(built.values()))
    except Exception as error:  # noqa: BLE001 -- GX raises many kinds; which expectation it was is looked for
        require_alive(error)
        _LOG.warning("GX failed as a whole (%s); looking for the expectation", type(error).__name__)
    found: list[dict[str, Any]] = []
    for expectation in built.values():
        try:
            found += _validate(df, [expectation])
        except Exception as error:  # noqa: BLE001 -- whatever GX raises, it is this rule that cannot run
            require_alive(error)
            why = _safe(str(error), "".join(traceback.format_exception(error)))
            found.append(_raised(expectation.configuration.to_json_dict(), why))
    return found


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


def _raised(config: Mapping[str, Any], message: str) -> dict[str, Any]:
    return {
        "success": False,
        "expectation_config": dict(config),
        "result": {},
        "meta": {},
        "exception_info": _exception_info(message),
    }


def _exception_info(message: str) -> dict[str, Any]:
    return {"raised_exception": True, "exception_message": message, "exception_traceback": None}


@contextmanager
def _quiet() -> Iterator[None]:
    """GX without its analytics events, and without what it and its dependencies print: stdout is the caller's."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    unread = io.StringIO()
    with warnings.catch_warnings(), redirect_stdout(unread), redirect_stderr(unread):
        warnings.simplefilter("ignore")
        yield
