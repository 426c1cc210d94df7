"""Arguments and options that several commands take, each with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
EngineOption = Annotated[
    str | None,
    typer.Option(
        metavar="ENGINE",
        help="Instead of the declared engine: embedded, sc://host:port, or a Spark master as spark://host:port.",
        show_default=False,
    ),
]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Shows the log on standard error.")]
SliceToReprocess = Annotated[
    str | None,
    typer.Option("--slice", metavar="DATE", help="The data interval to make anew. Required.", show_default=False),
]
RunArgument = Annotated[
    str | None,
    typer.Argument(metavar="[RUN]", help="A run's id or the start of it. Default: the latest run.", show_default=False),
]
SourceOption = Annotated[
    str | None, typer.Option("--source", metavar="NAME", help="Only rows of this source.", show_default=False)
]
SliceFilter = Annotated[
    str | None,
    typer.Option("--slice", metavar="DATE", help="Only rows of this day's slices or this start.", show_default=False),
]
RuleOption = Annotated[
    str | None, typer.Option("--rule", metavar="ID", help="Only rows that broke this rule.", show_default=False)
]
RawOption = Annotated[bool, typer.Option("--raw", help="The values themselves.")]

DataArgument = Annotated[
    Path, typer.Argument(metavar="DATA", help="A Parquet, CSV or JSON lines file, a folder of them, or a Delta table.")
]
