"""Which generation of its slice a run is of: also where the slice's was raised while the run goes on."""

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


def generation_of_run(ctx: RunContext) -> int:
    """The generation that a run is opened with where none is asked for, whatever the context's own is.

    A run that has not begun takes the slice's: the control store's, or the table log's where that is higher, as where
    the store was lost or restored from an older copy; the store then learns it. So does one that has passed and is run
    anew. A run that has begun goes on with its own, since what its steps left behind is there: for as long as it runs,
    and after a failure until a higher one is published. A late publish is refused by the table itself.

    Raises:
        ControlStoreError: the store cannot be reached.
    """
    control, pipeline, slice = ctx.control, ctx.spec.pipeline, ctx.slice
    begun, outcome = control.latest_outcome(pipeline, slice, ctx.run_id) or (0, Outcome.PASS)
    if outcome is Outcome.RUNNING:
        return begun
    current, published = control.current_generation(pipeline, slice), _published(ctx)
    if not outcome.passed and published <= begun:
        return begun
    if published > current:
        _LOG.info("slice %s: the table has generation %d, the control store knew %d", slice, published, current)
        control.learn_generation(pipeline, slice, published)
    return max(current, published)


def latest_record(control: ControlStore, *, pipeline: str, slice: Slice, run_id: str) -> RunRecord | None:
    """The run as it is recorded, of its highest generation; None where it is not recorded.

    Raises:
        ControlStoreError: the store cannot be reached.
    """
    found = control.latest_outcome(pipeline, slice, run_id)
    return control.record(RunKey(pipeline=pipeline, slice=slice, generation=found[0], run_id=run_id)) if found else None


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


def _published(ctx: RunContext) -> int:
    """As `published_generation`; 0 where it cannot be asked, which the run's own steps meet when it is recorded."""
    try:
        return published_generation(ctx)
    except BatchError as error:
        _LOG.warning("the table's log could not be asked for the slice's generation: %s", error)
        return 0
