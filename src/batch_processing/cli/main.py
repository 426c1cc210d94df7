"""`batchctl`: its commands, and the one place where an error becomes an exit code.

Each command imports what it needs when it runs, so that `--help` stays fast.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from batch_processing.cli import failure
from batch_processing.cli.json_output import json_alone
from batch_processing.cli.options import (
    DataArgument,
    EngineOption,
    JsonOption,
    PipelineArgument,
    PipelineNameOption,
    RawOption,
    RuleOption,
    RunArgument,
    SetOption,
    SliceFilter,
    SliceOption,
    SliceToReprocess,
    SourceOption,
    VerboseOption,
)
from batch_processing.errors import BatchError

INTERRUPTED = 130

app = typer.Typer(
    name="batchctl",
    help="Batch pipelines declared in one file: check them, run them, look back at them.",
    epilog="Start with: batchctl init my_project",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
quarantine = typer.Typer(help="The rows that broke a critical rule: list, show, export.", no_args_is_help=True)
app.add_typer(quarantine, name="quarantine")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"batchctl {version('batch-processing')}")
        raise typer.Exit


@app.callback()
def batchctl(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Prints the version and ends.")
    ] = False,
) -> None:
    """Options before the command."""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    seed: Annotated[int, typer.Option(help="Seed number of the sample data.")] = 7,
) -> int:
    """Makes a working project: declaration, suites, transform, checks and sample data."""
    from batch_processing.cli.project import init_command

    return init_command(folder, seed=seed)


@app.command()
def validate(pipeline: PipelineArgument = None) -> int:
    """Checks a declaration and names every problem at once. Touches no data."""
    from batch_processing.cli.declaration import validate_command

    return validate_command(pipeline)


@app.command()
def plan(pipeline: PipelineArgument = None, slice_: SliceOption = None, settings: SetOption = None) -> int:
    """Shows what a run would do: steps, files, table and mode. Changes nothing."""
    from batch_processing.cli.declaration import plan_command

    return plan_command(pipeline, slice_text=slice_, settings=settings or [])


@app.command()
def run(
    pipeline: PipelineArgument = None,
    slice_: SliceOption = None,
    settings: SetOption = None,
    engine: EngineOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Runs a pipeline for one slice, from its sources to the warehouse.

    Exit code: 0 passed (also with quarantine), 1 the data failed, 2 wrong use or declaration, 3 something broke.
    """
    from batch_processing.cli.running import RunRequest, run_command

    request = RunRequest(
        pipeline,
        slice_text=slice_,
        settings=tuple(settings or ()),
        engine=engine,
        as_json=as_json,
        verbose=verbose,
    )
    return run_command(request)


@app.command()
def reprocess(
    pipeline: PipelineArgument = None,
    slice_: SliceToReprocess = None,
    settings: SetOption = None,
    engine: EngineOption = None,
    unloaded: Annotated[
        bool, typer.Option("--unloaded", help="Mode merge: also where the published rows cannot be loaded.")
    ] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Makes a slice anew that is published already: raises its generation, then runs it.

    Readers have the old rows until the new ones are published. Exit code as of `run`.
    """
    from batch_processing.cli.reprocessing import reprocess_command
    from batch_processing.cli.running import RunRequest

    request = RunRequest(
        pipeline,
        slice_text=slice_,
        settings=tuple(settings or ()),
        engine=engine,
        as_json=as_json,
        verbose=verbose,
    )
    return reprocess_command(request, unloaded=unloaded)


@app.command()
def backfill(
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="The first day or start.", show_default=False)],
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="The last one, included.", show_default=False)],
    pipeline: PipelineArgument = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="How many slices at once.")] = 1,
    newest_first: Annotated[bool, typer.Option("--newest-first", help="Runs the newest slice first.")] = False,
    settings: SetOption = None,
    engine: EngineOption = None,
    as_json: JsonOption = False,
) -> int:
    """Runs every slice of the schedule in a span of time; what is published already is skipped.

    A slice that fails does not stop the others. Exit code: the worst of the slices, as of `run`.
    """
    from batch_processing.cli.backfill import BackfillRequest, backfill_command

    request = BackfillRequest(
        first,
        last,
        pipeline,
        settings=tuple(settings or ()),
        engine=engine,
        jobs=jobs,
        newest_first=newest_first,
        as_json=as_json,
    )
    return backfill_command(request)


@app.command()
def history(
    pipeline: PipelineNameOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many runs, newest first.")] = 20,
    as_json: JsonOption = False,
) -> int:
    """Shows past runs: success, durations, scores, CPU seconds and peak memory, of runs and of steps."""
    from batch_processing.cli.history import history_command

    return history_command(pipeline=pipeline, limit=limit, as_json=as_json)


@app.command()
def report(
    run_id: RunArgument = None,
    pipeline: PipelineNameOption = None,
    open_: Annotated[
        bool, typer.Option("--open/--path", help="Opens it in the browser, or only prints its path.")
    ] = False,
) -> int:
    """Renders a run's HTML report anew and prints where it is."""
    from batch_processing.cli.reports import report_command

    return report_command(run_id, pipeline=pipeline, open_it=open_)


@app.command()
def ledger(
    run_id: RunArgument = None,
    pipeline: PipelineNameOption = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify", help="Whether to compare again the files, the tables and the warehouse's rows."
        ),
    ] = True,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> int:
    """Shows every row of a run, hop by hop, against what it left behind. Exit code: 0 every hop holds, 3 one breaks."""
    from batch_processing.cli.ledger import ledger_command

    return ledger_command(run_id, pipeline=pipeline, verify=verify, settings=settings or [], as_json=as_json)


@quarantine.command("ls")
def quarantine_ls(
    pipeline: PipelineNameOption = None,
    source: SourceOption = None,
    slice_: SliceFilter = None,
    rule: RuleOption = None,
    as_json: JsonOption = False,
) -> int:
    """Lists what is quarantined: tables, slices, rows, and how many rows broke each rule."""
    from batch_processing.cli.quarantine import QuarantineFilter, ls_command

    return ls_command(QuarantineFilter(pipeline, source, slice_, rule), as_json=as_json)


@quarantine.command("show")
def quarantine_show(
    pipeline: PipelineNameOption = None,
    source: SourceOption = None,
    slice_: SliceFilter = None,
    rule: RuleOption = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many rows of each table.")] = 20,
    raw: RawOption = False,
) -> int:
    """Shows quarantined rows with their reasons. Values are masked: whether one is there is seen, not what it is."""
    from batch_processing.cli.quarantine import QuarantineFilter, show_command

    return show_command(QuarantineFilter(pipeline, source, slice_, rule), limit=limit, raw=raw)


@quarantine.command("export")
def quarantine_export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file to write: .csv, .parquet or .jsonl.")],
    pipeline: PipelineNameOption = None,
    source: SourceOption = None,
    slice_: SliceFilter = None,
    rule: RuleOption = None,
    raw: RawOption = False,
) -> int:
    """Writes the quarantined rows of one source into a file; values are masked unless --raw."""
    from batch_processing.cli.quarantine import QuarantineFilter, export_command

    return export_command(file, QuarantineFilter(pipeline, source, slice_, rule), raw=raw)


@app.command()
def check(
    data: DataArgument,
    suite: Annotated[
        str, typer.Option("--suite", metavar="NAME", help="A suite's name in gx/expectations, or its file.")
    ],
    threshold: Annotated[float, typer.Option(help="Least share of valid rows, 0 to 1.")] = 1.0,
    checks: Annotated[
        list[str] | None,
        typer.Option("--checks", metavar="MODULE.FN", help="A Python check; may be repeated.", show_default=False),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Writes a report as one HTML file.", show_default=False)
    ] = None,
    data_docs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Builds Great Expectations' Data Docs.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Judges data by a suite, without a pipeline.

    Exit code: 0 passed (also with bad rows within the threshold), 1 the data failed, 2 wrong use, 3 no verdict.
    """
    from batch_processing.cli.check import CheckRequest, check_command

    request = CheckRequest(data, suite, threshold, tuple(checks or ()), as_json, html, data_docs)
    return check_command(request)


@app.command()
def profile(
    data: DataArgument,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The suite to write, a new .json file.")
    ],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The suite's name. Default: the file's.", show_default=False)
    ] = None,
) -> int:
    """Drafts a suite from data: rules that hold today, each with the share of rows that would fail it."""
    from batch_processing.cli.profile import profile_command

    return profile_command(data, output=output, name=name)


@app.command()
def maintain(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The Delta table's folder.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Lists what would be done. Changes nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also while a run of the table's pipeline is recorded as running.")
    ] = False,
    compact_appended: Annotated[
        bool,
        typer.Option(
            "--compact-appended", help="Compacts a table of mode append too; its slices cannot be reprocessed then."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Compacts a table's small files, cleans its log, and removes files older than a week that no version needs."""
    from batch_processing.cli.upkeep import MaintainRequest, maintain_command

    return maintain_command(MaintainRequest(table, dry_run, force, compact_appended, as_json))


def run_cli(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code; whatever goes wrong is told in a few lines."""
    as_json = "--json" in arguments and not {"--help", "-h"} & set(arguments)
    with json_alone(as_json):
        return _run(arguments, as_json=as_json)


def _run(arguments: Sequence[str], *, as_json: bool) -> int:
    verb = next((word for word in arguments if not word.startswith("-")), "")
    try:
        code = app(args=list(arguments), prog_name="batchctl", standalone_mode=False)
    except BatchError as error:
        return failure.batch_error(error, verb=verb, as_json=as_json)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:
        return failure.broken_pipe()
    except Exception as error:  # noqa: BLE001 - the process ends here; the traceback goes into a file
        return failure.other(error, verb=verb, as_json=as_json)
    if code == INTERRUPTED:
        return failure.interrupted(verb=verb, as_json=as_json, exit_code=INTERRUPTED)
    return code if isinstance(code, int) else 0


def main() -> None:
    """The console script."""
    sys.exit(run_cli(sys.argv[1:]))


if __name__ == "__main__":
    main()
