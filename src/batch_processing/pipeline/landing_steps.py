"""The steps that bring data in: wait for files, extract a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from batch_processing.digests import check_files, file_digests
from batch_processing.errors import LedgerError, SourceMissing
from batch_processing.pipeline.context import RunContext
from batch_processing.pipeline.identity import Tally, check_each_once, identity_of_files, joined
from batch_processing.pipeline.ledger import check_hop, check_landed
from batch_processing.pipeline.manifests import ExtractManifest, WaitManifest, new_token
from batch_processing.pipeline.plan import PlanStep
from batch_processing.results import FileFact, Landed
from batch_processing.settings.models import FilesSpec, SourceSpec


def files_spec(source: SourceSpec) -> FilesSpec:
    """The files part of a source that has one."""
    if source.files is None:
        raise SourceMissing("the source is not read from files", fix="ask only a source declared with files")
    return source.files


def wait(ctx: RunContext, step: PlanStep, *, files: tuple[FileFact, ...] | None) -> dict[str, Any]:
    """Finds the source's files, or records the ones a sensor found, and cuts them into parts."""
    from batch_processing.sources.files import chunk_files, wait_for_files

    source = ctx.spec.sources[step.source]
    spec = files_spec(source)
    if files is None:
        files = wait_for_files(ctx.place(spec.path), spec, allow_empty=source.allow_empty)
    # A mapped extraction over no part at all would skip everything after it.
    parts = chunk_files(files, spec.files_per_task) or ((),)
    ctx.control.clear_source(ctx.key, step.source)
    ctx.manifests.remove_parts(f"extract_{step.source}")
    ctx.manifests.write(step.id, WaitManifest(new_token(), tuple(tuple(part) for part in parts)))
    return {
        "files": len(files),
        "bytes": sum(fact.size for fact in files),
        "parts": len(parts),
        "first_files": [fact.path for fact in files[:20]],
    }


def extract(ctx: RunContext, step: PlanStep, *, part: int | None) -> dict[str, Any]:
    """Lands one part of a source: typed Parquet and rejects.

    The folder is the attempt's own, so that a process believed dead cannot write into its successor's.
    """
    number = part or 0
    source = ctx.spec.sources[step.source]
    # What an earlier try gave is not this one's, also where it breaks.
    ctx.control.clear_source(ctx.key, step.source, part=number)
    ctx.manifests.remove_parts(step.id, part=number)
    token = new_token()
    folder = ctx.folder / "landed" / step.source / f"{number:05d}-{token}"
    landed = _extract(ctx, step.source, source, number, folder)
    check_landed(step.source, landed)
    digests = file_digests((*landed.files, *landed.reject_files))
    _check_footers(step.source, landed)
    manifest = ExtractManifest(token, landed, digests, _check_rows(step.source, landed))
    check_extracted(step.source, (manifest,))
    ctx.manifests.write(step.id, manifest, part=number)
    ctx.control.record_source(ctx.key, step.source, number, landed)
    return {
        "read": landed.read,
        "rejected": landed.rejected,
        "landed": landed.landed,
        "files": len(landed.inputs),
        "folder": str(folder),
    }


def extracted(ctx: RunContext, source: str) -> tuple[ExtractManifest, ...]:
    """The manifests of all parts of a source, in order.

    Raises:
        StorageError: a part is missing.
    """
    parts = 1
    if ctx.spec.sources[source].files is not None:
        parts = len(ctx.manifests.need(f"wait_for_{source}", WaitManifest).parts)
    return tuple(ctx.manifests.need(f"extract_{source}", ExtractManifest, part=number) for number in range(parts))


def check_extracted(source: str, parts: Sequence[ExtractManifest]) -> None:
    """Compares the files that extraction left behind with their digests.

    Raises:
        LedgerError: a file changed after it was written.
        StorageError: a file is gone.
    """
    fix = f"nothing was published from them; run the slice again (in Airflow clear extract_{source} and downstream)"
    for what, rows, files in (
        ("landed", sum(part.landed.landed for part in parts), [part.landed.files for part in parts]),
        ("reject", sum(part.landed.rejected for part in parts), [part.landed.reject_files for part in parts]),
    ):
        check_files(
            {path: part.digests.get(path, "") for part, paths in zip(parts, files, strict=True) for path in paths},
            hop=f"extract {source}",
            what=what,
            fix=fix,
            rows=rows,
        )


def _extract(ctx: RunContext, name: str, source: SourceSpec, part: int, folder: Path) -> Landed:
    if source.database is not None:
        from batch_processing.sources.database import extract_database

        query = ctx.render(source.database.query) if source.database.query else None
        connection = ctx.values.connection(source.database.connection)
        return extract_database(source, source=name, connection=connection, query=query, folder=folder)
    if source.api is not None:
        from batch_processing.sources.api import extract_api

        return extract_api(
            source,
            source=name,
            connection=ctx.values.connection(source.api.connection),
            endpoint=ctx.render(source.api.endpoint),
            params=_rendered(ctx, source.api.params),
            folder=folder,
        )
    from batch_processing.sources.files import extract_files

    found = ctx.manifests.need(f"wait_for_{name}", WaitManifest)
    if part >= len(found.parts):
        raise LedgerError(f"part {part} of source {name} is not among its {len(found.parts)} parts", where=name)
    return extract_files(found.parts[part], source=name, spec=source, folder=folder)


def _rendered(ctx: RunContext, templates: Mapping[str, str]) -> dict[str, str]:
    return {name: ctx.render(text) for name, text in templates.items()}


def _check_footers(source: str, landed: Landed) -> None:
    import pyarrow.parquet as pq

    for what, rows, files in (
        ("landed", landed.landed, landed.files),
        ("rejected", landed.rejected, landed.reject_files),
    ):
        stored = sum(pq.read_metadata(path).num_rows for path in files)
        check_hop(
            f"extract {source}",
            into=rows,
            out=stored,
            where=source,
            equation=f"{what} {rows:,} != rows in its Parquet files {stored:,}",
        )


def _check_rows(source: str, landed: Landed) -> dict[str, Tally]:
    """Checks that every record of every input is landed or rejected, once; gives the landed ones."""
    found = identity_of_files(landed.files)
    check_each_once(
        f"extract {source}",
        joined(found, identity_of_files(landed.reject_files)),
        where=source,
        fix="keep the input and report this; the landed files must not be used",
    )
    return found
