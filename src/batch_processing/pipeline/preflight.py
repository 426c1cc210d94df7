"""Can a run start? Everything that is known without touching a source, asked before anything is changed."""

from __future__ import annotations

from batch_processing.control.records import RunKey
from batch_processing.control.store import ControlStore
from batch_processing.errors import DeclarationError, UsageError
from batch_processing.pipeline.context import RunContext
from batch_processing.pipeline.limits import limit_problems
from batch_processing.pipeline.plan import build_plan
from batch_processing.pipeline.whole import can_be_loaded
from batch_processing.settings.loading import LoadedPipeline
from batch_processing.settings.models import EngineSpec
from batch_processing.settings.values import Values


def look_at(
    loaded: LoadedPipeline, key: RunKey, *, values: Values, control: ControlStore, engine: EngineSpec | None = None
) -> RunContext:
    """The run as its steps would see it, without starting it: nothing is recorded, and no engine is opened."""
    spec = loaded.spec if engine is None else loaded.spec.model_copy(update={"engine": engine})
    folder = loaded.project.run_folder(key.pipeline, key.slice, key.generation, key.run_id)
    return RunContext(loaded, build_plan(spec), key, values, control, folder)


def check_can_start(ctx: RunContext) -> None:
    """Renders every template, finds every connection, and loads every suite, check and the transform.

    Raises:
        UsageError: a value, connection, suite or dotted name that a step would not find.
    """
    spec = ctx.spec
    ctx.target_table()
    ctx.rendered_engine()
    for name, source in spec.sources.items():
        ctx.quarantine_table(name)
        if source.files is not None:
            ctx.place(source.files.path)
        if source.database is not None:
            ctx.values.connection(source.database.connection)
            ctx.render(source.database.query or "")
        if source.api is not None:
            ctx.values.connection(source.api.connection)
            for text in (source.api.endpoint, *source.api.params.values()):
                ctx.render(text)
    if spec.warehouse is not None:
        ctx.values.connection(spec.warehouse.connection)
    if spec.engine.connection is not None:
        ctx.values.connection(spec.engine.connection)
    _check_quality(ctx)
    for text in spec.transform.params.values():
        ctx.render(text)
    ctx.load_code(spec.transform.function, what="transform")


def check_can_replace(ctx: RunContext) -> None:
    """A new generation of the slice could take the place of the published one.

    Raises:
        TableError: it could not, and why.
    """
    from batch_processing.delta_lake.reprocessing import check_replaceable

    target = ctx.spec.target
    check_replaceable(ctx.target_table(), app_id=ctx.app_id, mode=target.mode, partition_by=target.partition_by)


def check_loaded_before_merging_again(ctx: RunContext, published: int) -> None:
    """In mode merge a new generation leaves keys of the published one in the table: the warehouse must have them first.

    Where rows or files of it are gone, a new generation is all that helps.

    Args:
        ctx: of the slice.
        published: its newest generation in the table's log.

    Raises:
        UsageError: that generation is not loaded.
        SettingError, WarehouseError: the warehouse cannot be asked.
        TableError, StorageError: the table's log cannot be read.
    """
    from batch_processing.delta_lake.log import open_table
    from batch_processing.delta_lake.publish import find_published
    from batch_processing.storage import local_path
    from batch_processing.warehouse.ledger import table_loads

    warehouse, table = ctx.spec.warehouse, open_table(local_path(ctx.target_table()))
    if ctx.spec.target.mode != "merge" or warehouse is None or table is None:
        return
    held = table_loads(ctx.values.connection(warehouse.connection), table=warehouse.table)
    loaded = held.generations.get((ctx.spec.pipeline, ctx.slice.start, str(table.metadata().id)), 0)
    if loaded < published:
        found = find_published(ctx.target_table(), app_id=ctx.app_id, generation=published)
        if found is None or not can_be_loaded(found):
            return
        raise UsageError(
            "the slice's published rows are not in the warehouse, and a merge again would leave some of their keys to "
            "the Delta table alone",
            where=warehouse.table,
            found=f"generation {published} of slice {ctx.slice} published, "
            + (f"{loaded} loaded" if loaded else "none loaded"),
            fix=f"load it first: batchctl run --slice {ctx.slice.iso}; then reprocess. Where that load is refused for "
            f"good: batchctl reprocess --slice {ctx.slice.iso} --unloaded",
        )


def _check_quality(ctx: RunContext) -> None:
    from batch_processing.quality.checks import load_checks
    from batch_processing.quality.suite import load_suite

    if problems := limit_problems(ctx.loaded):
        raise DeclarationError(problems)
    judged = [*ctx.spec.validations.values(), *([ctx.spec.validate_output] if ctx.spec.validate_output else [])]
    for spec in judged:
        ctx.threshold(spec.threshold)
        if spec.suite:
            load_suite(spec.suite, suites_dir=ctx.project.suites_dir)
        if spec.checks:
            load_checks(spec.checks, root=ctx.project.root)
