"""`batchctl run` and `batchctl reprocess`: one slice, from its sources to the warehouse, in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from batch_processing.cli.json_output import write_json
from batch_processing.cli.logs import run_log
from batch_processing.cli.places import check_begun, chosen_slice, pipeline_file, values_for
from batch_processing.cli.progress import progress
from batch_processing.cli.summary import print_summary, run_object
from batch_processing.control.records import RunKey, RunRecord
from batch_processing.control.store import ControlStore
from batch_processing.errors import UsageError
from batch_processing.pipeline.generations import generation_of_run
from batch_processing.pipeline.plan import build_plan
from batch_processing.pipeline.preflight import look_at
from batch_processing.pipeline.runner import new_run_id, run_pipeline
from batch_processing.results import Outcome, Slice
from batch_processing.settings.loading import LoadedPipeline, load_pipeline
from batch_processing.settings.models import EngineSpec, parse_engine
from batch_processing.settings.values import Values


@dataclass(frozen=True)
class RunRequest:
    """What the command line asks for.

    Attributes:
        pipeline: file or folder; None for the only one here.
        slice_text: as written; None for the last complete slice.
        settings: `key=value` texts.
        engine: short form, instead of the declared engine.
        as_json: one JSON object instead of the summary.
        verbose: log lines on standard error.
    """

    pipeline: Path | None = None
    slice_text: str | None = None
    settings: tuple[str, ...] = ()
    engine: str | None = None
    as_json: bool = False
    verbose: bool = False


Generation = Callable[[LoadedPipeline, Slice, Values, EngineSpec | None], int]
"""Which generation of the slice a run is for."""


def run_command(request: RunRequest, *, generation: Generation | None = None) -> int:
    """Runs it and returns the exit code: 0 passed, 1 the data failed, 2 wrong use, 3 something broke.

    Args:
        request: what the command line asks for.
        generation: which generation to run; by default the slice's, as the control store or the table's log has it.

    Raises:
        BatchError: nothing could be started.
    """
    loaded = load_pipeline(pipeline_file(request.pipeline))
    wanted = chosen_slice(request.slice_text, loaded)
    check_begun(wanted, loaded.spec.schedule, now=datetime.now(UTC))
    engine = chosen_engine(request.engine)
    values = values_for(loaded.project, request.settings)
    number = (generation or _current_generation)(loaded, wanted, values, engine)
    key = RunKey(loaded.spec.pipeline, wanted, number, new_run_id())
    folder = loaded.project.run_folder(key.pipeline, key.slice, key.generation, key.run_id)
    spec = loaded.spec if engine is None else loaded.spec.model_copy(update={"engine": engine})
    label = f"{key.pipeline} {key.slice.iso} {key.run_id}"
    with (
        run_log(folder, label=label, verbose=request.verbose) as log,
        progress(build_plan(spec), plain=request.verbose) as on_step,
    ):
        try:
            result = run_pipeline(
                loaded, values=values, slice=wanted, engine=engine, run_id=key.run_id, on_step=on_step
            )
        except KeyboardInterrupt:
            _end(loaded, key, "interrupted by Ctrl-C")
            raise
        except Exception as error:
            _end(loaded, key, f"stopped on an unexpected {type(error).__name__}")
            raise
    if request.as_json:
        write_json(run_object(result))
    else:
        print_summary(result, record=_record(loaded, key), folder=folder, log=log)
    return result.exit_code


def chosen_engine(text: str | None) -> EngineSpec | None:
    """The engine that `--engine` names, or None for the declared one.

    Raises:
        UsageError: it names none.
    """
    if text is None:
        return None
    try:
        return EngineSpec.model_validate(parse_engine(text))
    except ValueError as error:
        raise UsageError("cannot use --engine", found=repr(text[:200]), fix=str(error)) from error


def _current_generation(loaded: LoadedPipeline, wanted: Slice, values: Values, engine: EngineSpec | None) -> int:
    with ControlStore.open(loaded.project.control_url) as control:
        key = RunKey(loaded.spec.pipeline, wanted, 1, new_run_id())
        return generation_of_run(look_at(loaded, key, values=values, control=control, engine=engine))


def _end(loaded: LoadedPipeline, key: RunKey, why: str) -> None:
    """Records that a run has ended which could not do so itself; where it had not begun there is nothing to record."""
    with ControlStore.open(loaded.project.control_url) as control:
        if any(run.key == key and run.outcome is Outcome.RUNNING for run in control.history(pipeline=key.pipeline)):
            control.finish_run(key, outcome=Outcome.ERROR, error=why)


def _record(loaded: LoadedPipeline, key: RunKey) -> RunRecord:
    with ControlStore.open(loaded.project.control_url) as control:
        return control.run(key.run_id, pipeline=key.pipeline)
