"""Which generation of its slice a run is of, also where the slice's generation was raised while the run goes on."""

from __future__ import annotations

from batch_processing.control.records import RunKey, RunRecord
from batch_processing.control.store import ControlStore
from batch_processing.results import Outcome, Slice


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
