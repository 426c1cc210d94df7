"""The DataFrames that steps hand on: landed rows, and the valid ones among them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from batch_processing.digests import check_files
from batch_processing.errors import StorageError
from batch_processing.pipeline.context import RunContext
from batch_processing.pipeline.identity import (
    PROVENANCE,
    Tally,
    check_same_rows,
    identity_of_files,
    identity_of_frame,
    joined,
    less,
)
from batch_processing.pipeline.landing_steps import check_extracted, extracted
from batch_processing.pipeline.manifests import ValidateManifest
from batch_processing.results import Staged
from batch_processing.storage import local_path

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def landed_frame(ctx: RunContext, source: str) -> DataFrame:
    """All landed rows of a source: the declared columns, `_source_file` (string), `_source_row` (bigint).

    Raises:
        LedgerError: a landed file changed after it was written.
    """
    manifests = extracted(ctx, source)
    check_extracted(source, manifests)
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
    """The landed rows of a source less the quarantined ones; same columns.

    Raises:
        LedgerError: a landed or quarantined file changed after it was written.
    """
    landed = landed_frame(ctx, source)
    verdict = ctx.manifests.need("validate", ValidateManifest).sources[source]
    if verdict.quarantine is None:
        return landed
    check_inputs(ctx, source)
    bad = ctx.spark.read.parquet(*verdict.quarantine.files).select(*PROVENANCE)
    return landed.join(bad, on=list(PROVENANCE), how="left_anti").select(*landed.columns)


def check_inputs(ctx: RunContext, source: str) -> None:
    """Compares the files that `valid_frame` reads with their digests.

    Called again once the engine has read them, it tells what changed meanwhile.

    Raises:
        LedgerError: a file changed after it was written.
    """
    check_extracted(source, extracted(ctx, source))
    verdict = ctx.manifests.need("validate", ValidateManifest).sources[source]
    if verdict.quarantine is not None and verdict.quarantine.digests:
        check_files(
            dict(zip(verdict.quarantine.files, verdict.quarantine.digests, strict=True)),
            hop=f"validate {source}",
            what="quarantine",
            fix="nothing was published from them; run the slice again",
            rows=verdict.quarantine.rows,
        )


def landed_identity(ctx: RunContext, source: str) -> dict[str, Tally] | None:
    """The landed rows of a source, as extraction counted them; None where an older release extracted."""
    parts = extracted(ctx, source)
    if not all(part.identity or not part.landed.landed for part in parts):
        return None
    return joined(*(part.identity for part in parts))


def valid_identity(ctx: RunContext, source: str) -> dict[str, Tally] | None:
    """The landed rows less those in the quarantine's files; None where nobody can say."""
    landed = landed_identity(ctx, source)
    quarantine = ctx.manifests.need("validate", ValidateManifest).sources[source].quarantine
    if landed is None or quarantine is None:
        return landed
    return less(landed, identity_of_files(quarantine.files))


def check_split(ctx: RunContext, source: str, *, valid: Callable[[], DataFrame], quarantined: Staged) -> None:
    """Checks landed = valid + quarantined row by row: none in both, none in neither. Costs a scan where rows are bad.

    The three sides are counted apart: landed by the extraction, valid by the engine, quarantined in the written files.

    Raises:
        LedgerError: a row is missing, or is there twice, or another one is in its place.
    """
    landed = landed_identity(ctx, source)
    if landed is None or not quarantined.files:
        return
    written = identity_of_files([str(local_path(quarantined.table) / file.path) for file in quarantined.files])
    check_same_rows(
        f"validate {source}",
        into=landed,
        out=joined(identity_of_frame(valid(), where=source), written),
        where=quarantined.table,
        equation="landed != valid + quarantined",
        fix="nothing was published; a rule or check that gives another verdict each time does this, else report it",
    )


def check_kept(ctx: RunContext, source: str, staged: Staged) -> bool:
    """Checks that a transform that declares `preserves_rows` put out each valid row once.

    Returns:
        False where nobody can say: the output does not have `_source_file` and `_source_row` among its columns, or
        the transform gave the inputs other names, and all of them together have the same rows.

    Raises:
        LedgerError: a row is missing, or is there twice, or another one is in its place.
    """
    columns = {field["name"]: field["type"] for field in json.loads(staged.schema_json)["fields"]}
    kept = [columns.get(name) for name in PROVENANCE] == ["string", "long"]
    valid = valid_identity(ctx, source)
    if not kept or valid is None or set(PROVENANCE) & set(staged.partition_by):
        return False
    into = {file: tally for file, tally in valid.items() if tally != Tally()}
    out = identity_of_files([str(local_path(staged.table) / file.path) for file in staged.files])
    if into.keys() != out.keys() and sum(into.values(), Tally()) == sum(out.values(), Tally()):
        return False
    check_same_rows(
        "transform",
        into=into,
        out=out,
        where=f"preserves_rows of {source}",
        equation="valid != staged",
        fix="nothing was published; mend the transform so that each row comes out once, or drop preserves_rows",
    )
    return True
