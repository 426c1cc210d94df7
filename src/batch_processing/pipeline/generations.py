"""Which generation of its slice a run is of: also where the slice's was raised while the run goes on, and where the
control store does not know it any more."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from batch_processing.control.records import RunKey, RunRecord
from batch_processing.control.store import ControlStore
from batch_processing.errors import BatchError
from batch_processing.results import Outcome, Slice

if TYPE_CHECKING:
    from batch_processing.pipeline.context import RunContext

_LOG = logging.getLogger(__name__)


def generation_of_run(control: ControlStore, *, pipeline: str, slice: Slice, run_id: str) -> int:
    """The generation that a run is opened with where none is asked for: the slice's, as the control store knows it.

    A run that has begun with a lower one goes on with it, since what its steps left behind is there: for as long as it
    runs, and after a failure until a higher one is published; from then on, run anew, it finds the slice done. A late
    publish is refused by the table itself.

    Raises:
        ControlStoreError: the store cannot be reached.
    """
    current = control.current_generation(pipeline, slice)
    latest = latest_record(control, pipeline=pipeline, slice=slice, run_id=run_id) if current > 1 else None
    if latest is None or latest.outcome.passed:
        return current
    begun = latest.key.generation
    if latest.outcome is Outcome.RUNNING:
        return begun
    later = [run for number in range(begun + 1, current + 1) for run in control.runs_of_slice(pipeline, slice, number)]
    return begun if all(run.version is None for run in later) else current


def latest_record(control: ControlStore, *, pipeline: str, slice: Slice, run_id: str) -> RunRecord | None:
    """The run as it is recorded, of its highest generation; None where it is not recorded.

    Raises:
        ControlStoreError: the store cannot be reached.
    """
    for number in range(control.current_generation(pipeline, slice), 0, -1):
        record = control.record(RunKey(pipeline=pipeline, slice=slice, generation=number, run_id=run_id))
        if record is not None:
            return record
    return None


def published_generation(ctx: RunContext) -> int:
    """The slice's newest generation in the table's log, which wins over a store that was lost; 0 without any.

    Raises:
        UsageError: the table's path cannot be rendered.
        TableError: the log cannot be read.
    """
    from batch_processing.delta_lake.log import open_table, recorded_generation
    from batch_processing.storage import local_path

    table = open_table(local_path(ctx.target_table()))
    return (recorded_generation(table, ctx.app_id) or 0) if table is not None else 0


def generation_of_new_run(ctx: RunContext) -> int:
    """The generation of a run that has left nothing behind yet: the context's, or the table log's where that is higher.

    It is higher where the control store was lost, or restored from an older copy; then the store learns it.

    Raises:
        ControlStoreError: the store cannot be reached.
    """
    try:
        published = published_generation(ctx)
    except BatchError as error:  # the run's own steps meet it too, when the run is recorded
        _LOG.debug("the table's log was not asked for the slice's generation: %s", error)
        return ctx.generation
    if published <= ctx.generation:
        return ctx.generation
    _LOG.info("slice %s: the table has generation %d, the control store knew %d", ctx.slice, published, ctx.generation)
    ctx.control.learn_generation(ctx.spec.pipeline, ctx.slice, published)
    return published
