"""The steps that write: transform into staged files, publish them, load the warehouse; and the engine's own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_processing.digests import contents_of
from batch_processing.errors import BatchError, LedgerError, StorageError, TransformError
from batch_processing.pipeline.context import RunContext
from batch_processing.pipeline.frames import check_inputs, check_kept, valid_frame
from batch_processing.pipeline.ledger import check_loaded, check_preserved, check_published
from batch_processing.pipeline.manifests import (
    EngineManifest,
    OutputManifest,
    PublishManifest,
    TransformManifest,
    ValidateManifest,
    fingerprint,
    new_token,
)
from batch_processing.pipeline.plan import PlanStep, StepKind
from batch_processing.pipeline.quality_steps import run_score
from batch_processing.pipeline.whole import check_whole
from batch_processing.results import Outcome, Published, Staged

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_LOG = logging.getLogger(__name__)


def transform(ctx: RunContext, step: PlanStep) -> dict[str, Any]:
    """Runs the user's transform and writes its output as staged files of the target table."""
    from batch_processing.delta_lake.staging import discard, stage

    upstream = ctx.manifests.need("validate", ValidateManifest)
    spec = ctx.spec.transform
    params = {name: ctx.render(text) for name, text in spec.params.items()}
    table = ctx.target_table()
    code = ctx.code_digest(spec.function, what="transform")
    print_ = fingerprint(upstream.token, spec.model_dump(), params, table, ctx.spec.target.model_dump(), code)
    done = ctx.manifests.read(step.id, TransformManifest)
    if done is None or done.fingerprint != print_ or not _still_as_written(done.staged):
        token = new_token()
        frame = _run_transform(ctx, params)
        staged = stage(
            frame,
            table=table,
            partition_by=ctx.spec.target.partition_by,
            folder=f"{ctx.attempt_folder}/{token}",
        )
        try:
            _check_transformed(ctx, upstream, staged)
        except LedgerError:
            discard(staged)
            raise
        done = TransformManifest(token, print_, staged)
        ctx.manifests.write(step.id, done)
    files = done.staged.files
    return {
        "staged": done.staged.rows,
        "files": len(files),
        "bytes": sum(file.size for file in files),
        "table": done.staged.table,
    }


def publish(ctx: RunContext) -> dict[str, Any]:
    """Commits the staged files in one Delta commit, or finds that this generation is published already."""
    from batch_processing.delta_lake.publish import find_published
    from batch_processing.delta_lake.publish import publish as commit

    target = ctx.spec.target
    table = ctx.target_table()
    token = new_token()
    staged = ctx.manifests.read("transform", TransformManifest)
    published = find_published(table, app_id=ctx.app_id, generation=ctx.generation)
    if published is None:
        staged = ctx.manifests.need("transform", TransformManifest)
        if ctx.spec.validate_output is not None:
            _check_judged(ctx, staged)
        published = commit(
            staged.staged,
            mode=target.mode,
            app_id=ctx.app_id,
            generation=ctx.generation,
            metadata=_commit_facts(ctx, staged.staged),
            keys=target.keys,
            sequence_by=target.sequence_by,
            schema_change=target.schema_change,
            spark=ctx.spark if target.mode == "merge" else None,
        )
        if target.mode != "merge" and not published.already:
            check_published(staged=staged.staged.rows, published=published.rows, table=table)
    if published.already:
        check_whole(published, ctx.slice)
        staged = _left_over(ctx, staged, published)
    schema = staged.staged.schema_json if staged is not None else ""
    ctx.manifests.write("publish", PublishManifest(token, published, schema))
    ctx.control.record_published(ctx.key, published)
    if not _rows_known(published):
        ctx.control.update_rows(ctx.key, published=None)
    facts = published.metadata
    return {
        "table": published.table,
        "version": published.version,
        "run_id": published.run_id,
        **({"published": published.rows} if _rows_known(published) else {}),
        **({"superseded": facts["superseded_rows"]} if "superseded_rows" in facts else {}),
        "already": published.already,
        "contents": contents_of(published),
        "slice": ctx.slice.iso,
        "generation": ctx.generation,
        **{name: facts[name] for name in ("score", "outcome", "counts") if name in facts},
    }


def load_warehouse(ctx: RunContext) -> dict[str, Any]:
    """Loads exactly the published files, in one transaction with the ledger row."""
    from batch_processing.delta_lake.later import later_writes
    from batch_processing.delta_lake.schema import table_schema_json
    from batch_processing.warehouse.load import load

    warehouse = ctx.spec.warehouse
    if warehouse is None:
        return {}
    manifest = ctx.manifests.need("publish", PublishManifest)
    published = manifest.published
    check_whole(published, ctx.slice)
    loaded = load(
        published,
        connection=ctx.values.connection(warehouse.connection),
        table=warehouse.table,
        target=ctx.spec.target,
        schema_json=manifest.schema_json or table_schema_json(published.table, published.version),
        pipeline=ctx.spec.pipeline,
        slice=ctx.slice,
        generation=ctx.generation,
        later=lambda version: later_writes(published, until=version),
    )
    newer = loaded.generation is not None and loaded.generation > ctx.generation
    if _rows_known(published) and not newer:
        check_loaded(published=published.rows, loaded=loaded.rows, table=warehouse.table)
    if newer:
        # The rows there are the newer generation's, not this run's.
        _LOG.warning("slice %s: generation %s is loaded, nothing to do", ctx.slice, loaded.generation)
    else:
        ctx.control.record_loaded(ctx.key, loaded)
    return {
        "table": loaded.table,
        **({"generation": loaded.generation} if newer else {"loaded": loaded.rows}),
        "already": loaded.already,
        "location": loaded.location,
        "contents": loaded.contents,
    }


def start_engine(ctx: RunContext) -> dict[str, Any]:
    """Starts the Connect server that serves the run's steps on the cluster."""
    from batch_processing.spark.server import start_connect_server
    from batch_processing.spark.session import engine_config

    engine = ctx.rendered_engine()
    _stop(ctx)
    token = new_token()
    workdir = ctx.folder / "engine" / token
    workdir.mkdir(parents=True, exist_ok=True)
    handle = start_connect_server(
        master=engine.master or "",
        config=engine_config(engine, project_root=ctx.project.root),
        workdir=workdir,
        # In one process the server must not outlive it; as a task of its own this process ends at once.
        owner_pid=None if ctx.one_process else 0,
    )
    ctx.manifests.write("start_engine", EngineManifest(token, handle.remote, str(handle.state_file)))
    return {"remote": handle.remote, "pid": handle.pid}


def stop_engine(ctx: RunContext) -> dict[str, Any]:
    """Stops that server; also after a failure, and twice without harm."""
    ctx.close()
    return {"stopped": _stop(ctx)}


def _stop(ctx: RunContext) -> bool:
    from batch_processing.spark.server import stop_connect_server

    server = ctx.manifests.read("start_engine", EngineManifest)
    if server is None:
        return False
    stop_connect_server(Path(server.state_file))
    return True


def _run_transform(ctx: RunContext, params: dict[str, str]) -> DataFrame:
    from pyspark.sql import DataFrame

    name = ctx.spec.transform.function
    function = ctx.load_code(name, what="transform")
    if not callable(function):
        raise TransformError(f"{name} is not a function", where="transform", fix="name a transform(spark, inputs)")
    inputs = {source: valid_frame(ctx, source) for source in ctx.spec.sources}
    try:
        frame = function(ctx.spark, inputs, **params)
    except BatchError:
        raise
    except (Exception, SystemExit) as error:
        raise TransformError(
            f"the transform {name} raised {type(error).__name__}",
            where=_place(error),
            found=str(error).splitlines()[0][:500] if str(error) else "",
            fix="mend the transform; nothing was published",
        ) from error
    if not isinstance(frame, DataFrame):
        raise TransformError(
            f"the transform {name} did not return a DataFrame", where=name, found=type(frame).__name__, fix="return one"
        )
    from batch_processing.delta_lake.engine_errors import engine_failures
    from batch_processing.spark.session import check_settings

    with engine_failures(f"the transform {name}", where=name, planning=True):
        check_settings(ctx.spark, after=f"the transform {name}")
        columns = frame.columns
    if missing := [column for column in ctx.spec.target.partition_by if column not in columns]:
        raise TransformError(
            f"the transform's output lacks the partition columns {', '.join(missing)}",
            where=name,
            found=", ".join(columns),
            fix="add them to the output, or mend target.partition_by",
        )
    return frame


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    last = None
    while trace is not None:
        last, trace = trace, trace.tb_next
        if "pyspark" in last.tb_frame.f_code.co_filename:
            break
    return f"{Path(last.tb_frame.f_code.co_filename).name}:{last.tb_lineno}" if last else ""


def _still_as_written(staged: Staged) -> bool:
    """False where a staged file is gone or another one: then the transform is run anew."""
    from batch_processing.delta_lake.staging import check_staged

    try:
        check_staged(staged, hop="transform")
    except (LedgerError, StorageError) as error:
        _LOG.warning("the staged files of an earlier try cannot be used: %s", error)
        return False
    return all((Path(staged.table) / file.path).is_file() for file in staged.files)


def _check_transformed(ctx: RunContext, upstream: ValidateManifest, staged: Staged) -> None:
    """The rows that went in came out, where that is declared, and were read as they had been written."""
    if ctx.spec.transform.preserves_rows:
        first = next(iter(ctx.spec.sources))
        check_preserved(valid=upstream.sources[first].valid, staged=staged.rows, source=first)
        check_kept(ctx, first, staged)
    for source in ctx.spec.sources:
        check_inputs(ctx, source)


def _left_over(ctx: RunContext, staged: TransformManifest | None, published: Published) -> TransformManifest | None:
    """Removes what was staged for a slice that is published already; gives it back where that is what was published."""
    from batch_processing.delta_lake.staging import discard

    _LOG.warning(
        "slice %s generation %s is already published as version %s by run %s: nothing to do",
        ctx.slice, ctx.generation, published.version, published.run_id,
    )  # fmt: skip
    if staged is None:
        return None
    if {str(Path(staged.staged.table) / file.path) for file in staged.staged.files} & set(published.files):
        return staged
    if _rows_known(published):  # else the log no longer says whose files these are
        discard(staged.staged)
    return None


def _rows_known(published: Published) -> bool:
    """False where the slice is published, and the log was cleaned up beyond the commit that says how many rows."""
    return bool(published.metadata) or not published.already


def _check_judged(ctx: RunContext, staged: TransformManifest) -> None:
    judged = ctx.manifests.need(StepKind.VALIDATE_OUTPUT.value, OutputManifest)
    if judged.fingerprint != staged.token:
        raise TransformError(
            "the staged files are not the ones that validate_output judged",
            where=staged.staged.table,
            fix="run validate_output again, then publish",
        )


def _commit_facts(ctx: RunContext, staged: Staged) -> dict[str, Any]:
    verdicts = ctx.manifests.need("validate", ValidateManifest).sources
    quarantined = sum(verdict.quarantined for verdict in verdicts.values())
    outcome = Outcome.PASS_WITH_QUARANTINE if quarantined else Outcome.PASS
    return {
        "pipeline": ctx.spec.pipeline,
        "slice": ctx.slice.iso,
        "generation": ctx.generation,
        "run_id": ctx.run_id,
        "outcome": outcome.value,
        "score": run_score(ctx),
        "counts": {
            "landed": sum(verdict.landed for verdict in verdicts.values()),
            "valid": sum(verdict.valid for verdict in verdicts.values()),
            "quarantined": quarantined,
            "staged": staged.rows,
        },
        "suites": {name: v.quality.fingerprint for name, v in verdicts.items() if v.quality is not None},
    }


def published_of(ctx: RunContext) -> Published | None:
    """What the run published, or None."""
    manifest = ctx.manifests.read("publish", PublishManifest)
    return manifest.published if manifest else None
