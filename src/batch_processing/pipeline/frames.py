"""The DataFrames that steps hand on: landed rows, and the valid ones among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_processing.errors import StorageError
from batch_processing.pipeline.context import RunContext
from batch_processing.pipeline.landing_steps import extracted
from batch_processing.pipeline.manifests import ValidateManifest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PROVENANCE = ("_source_file", "_source_row")
"""Columns that say where a landed row came from; together unique in a source."""


def landed_frame(ctx: RunContext, source: str) -> DataFrame:
    """All landed rows of a source: the declared columns, `_source_file` (string), `_source_row` (bigint)."""
    manifests = extracted(ctx, source)
    files = [path for manifest in manifests for path in manifest.landed.files]
    if files:
        return ctx.spark.read.parquet(*files)
    columns = ctx.spec.sources[source].columns
    if not columns:
        raise StorageError(
            f"source {source} landed no file and declares no schema",
            where=f"sources.{source}",
            fix="declare its schema, so that an empty result has columns",
        )
    fields = [f"`{name}` {kind}" for name, kind in columns.items()]
    return ctx.spark.createDataFrame([], ", ".join([*fields, "_source_file string", "_source_row bigint"]))


def valid_frame(ctx: RunContext, source: str) -> DataFrame:
    """The landed rows of a source less the quarantined ones; same columns."""
    landed = landed_frame(ctx, source)
    verdict = ctx.manifests.need("validate", ValidateManifest).sources[source]
    if verdict.quarantine is None:
        return landed
    bad = ctx.spark.read.parquet(*verdict.quarantine.files).select(*PROVENANCE)
    return landed.join(bad, on=list(PROVENANCE), how="left_anti").select(*landed.columns)
