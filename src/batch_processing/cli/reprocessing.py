"""`batchctl reprocess`: a new generation of one slice."""

from __future__ import annotations

from functools import partial

from rich.console import Console

from batch_processing.cli.running import RunRequest, run_command
from batch_processing.control.records import RunKey
from batch_processing.control.store import ControlStore
from batch_processing.errors import UsageError
from batch_processing.pipeline.generations import published_generation
from batch_processing.pipeline.preflight import (
    check_can_replace,
    check_can_start,
    check_loaded_before_merging_again,
    look_at,
)
from batch_processing.results import Slice
from batch_processing.settings.loading import LoadedPipeline
from batch_processing.settings.models import EngineSpec
from batch_processing.settings.values import Values


def reprocess_command(request: RunRequest, *, unloaded: bool = False) -> int:
    """Raises the slice's generation and runs it, as `batchctl run` does; returns the exit code.

    Args:
        request: what the command line asks for.
        unloaded: also where a merge again would leave keys of rows that are not loaded to the Delta table alone.

    Raises:
        BatchError: nothing could be started; the generation is then as it was.
    """
    if request.slice_text is None:
        raise UsageError("which slice to reprocess is not said", fix="name it: batchctl reprocess --slice 2026-11-01")
    return run_command(request, generation=partial(raised_generation, unloaded=unloaded))


def raised_generation(
    loaded: LoadedPipeline, wanted: Slice, values: Values, engine: EngineSpec | None, *, unloaded: bool = False
) -> int:
    """Raises the generation, once it is known that the run can start and that it could replace what is published.

    Of a slice that was never published the generation stays: that is said, and it is run.

    A crash after this leaves a generation that is not published: readers have the old rows, and the next run of the
    slice goes on with the new generation.

    Raises:
        BatchError: it cannot; the generation is as it was.
    """
    pipeline = loaded.spec.pipeline
    with ControlStore.open(loaded.project.control_url) as control:
        key = RunKey(pipeline, wanted, control.current_generation(pipeline, wanted), "RUN_ID")
        ctx = look_at(loaded, key, values=values, control=control, engine=engine)
        check_can_start(ctx)
        published = published_generation(ctx)
        if not published:
            _say_first(ctx.target_table(), wanted)
            return key.generation
        check_can_replace(ctx)
        if not unloaded:
            check_loaded_before_merging_again(ctx, published)
        return control.raise_generation(pipeline, wanted, above=published)


def _say_first(table: str, wanted: Slice) -> None:
    Console(stderr=True, highlight=False).print(
        f"slice {wanted} was never published to {table}: there is nothing to replace, so it is run as by "
        f"batchctl run --slice {wanted.iso}",
        markup=False,
        soft_wrap=True,
    )
