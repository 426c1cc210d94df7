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

PipelineArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[PIPELINE.yml]",
        help="The declaration, or its folder. May be left out where the current folder holds just one.",
        show_default=False,
    ),
]
SliceOption = Annotated[
    str | None,
    typer.Option(
        "--slice",
        metavar="DATE",
        help="The data interval: a day as 2026-11-01 or a start as 2026-11-01T02:00. Default: the last complete one.",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Sets a variable for this call; may be repeated.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Prints one JSON object on standard output.")]
PipelineNameOption = Annotated[
    str | None,
    typer.Option("--pipeline", metavar="NAME", help="Only runs of this pipeline.", show_default=False),
]


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
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="ENGINE",
            help="Instead of the declared engine: embedded, sc://host:port, or a Spark master as spark://host:port.",
            show_default=False,
        ),
    ] = None,
    reprocess: Annotated[
        bool, typer.Option("--reprocess", help="Makes a new generation of a slice that is published already.")
    ] = False,
    as_json: JsonOption = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Shows the log on standard error.")] = False,
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
        reprocess=reprocess,
        as_json=as_json,
        verbose=verbose,
    )
    return run_command(request)


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
    run_id: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]", help="A run's id or the start of it. Default: the latest run.", show_default=False
        ),
    ] = None,
    pipeline: PipelineNameOption = None,
    open_: Annotated[
        bool, typer.Option("--open/--path", help="Opens it in the browser, or only prints its path.")
    ] = False,
) -> int:
    """Renders a run's HTML report anew and prints where it is."""
    from batch_processing.cli.reports import report_command

    return report_command(run_id, pipeline=pipeline, open_it=open_)


def run_cli(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code; whatever goes wrong is told in a few lines."""
    as_json = "--json" in arguments
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
