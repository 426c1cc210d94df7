"""`batchctl validate` and `batchctl plan`: what a declaration says, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from batch_processing.cli.console import output_console
from batch_processing.cli.places import chosen_slice, pipeline_file, values_for
from batch_processing.errors import DeclarationError, SettingError
from batch_processing.pipeline.limits import limit_problems
from batch_processing.pipeline.plan import Plan, build_plan
from batch_processing.results import Slice
from batch_processing.settings.loading import LoadedPipeline, load_pipeline
from batch_processing.settings.models import ApiSpec, DatabaseSpec, FilesSpec, SourceSpec
from batch_processing.settings.values import Values, render

_FILES_SHOWN = 12


def validate_command(pipeline: Path | None) -> int:
    """Checks the declaration, and its limits against the rules of the suites and checks.

    Raises:
        DeclarationError: with every problem.
        UsageError: no such file is meant, or limits ask for a suite or check that cannot be read.
    """
    loaded = _with_known_limits(load_pipeline(pipeline_file(pipeline)))
    spec = loaded.spec
    steps = len(build_plan(spec).steps)
    console = output_console()
    console.print(f"[green]{spec.pipeline} is valid[/]: {len(spec.sources)} sources, {steps} steps", end="")
    console.print(f" ({loaded.file})", style="dim", markup=False)
    return 0


def plan_command(pipeline: Path | None, *, slice_text: str | None, settings: Sequence[str]) -> int:
    """Shows the steps, the files, the table and the mode of a run. Only looks, and opens no connection.

    Raises:
        UsageError: a wrong declaration, slice or setting.
    """
    loaded = _with_known_limits(load_pipeline(pipeline_file(pipeline)))
    wanted = chosen_slice(slice_text, loaded)
    preview = Preview(loaded, wanted, values_for(loaded.project, settings))
    plan = build_plan(loaded.spec)
    # Everything is rendered before the first line is printed: a setting that is not there leaves half a plan nowhere.
    reads, writes = list(preview.reads()), list(preview.writes())
    console = output_console()
    console.print(f"[bold]{loaded.spec.pipeline}[/]  slice {wanted.iso} to {_iso_end(wanted)}")
    console.print()
    _print_facts(console, "Reads", reads)
    console.print(_steps_table(plan))
    console.print()
    _print_facts(console, "Writes", writes)
    console.print("Nothing was run. To run it: [bold]batchctl run[/]" + _slice_option(slice_text))
    return 0


class Preview:
    """What a run of a slice would read and write, as (title, lines) pairs."""

    def __init__(self, loaded: LoadedPipeline, wanted: Slice, values: Values) -> None:
        self._loaded, self._slice, self._values = loaded, wanted, values

    def reads(self) -> Iterator[tuple[str, list[str]]]:
        """Each source with what it would read."""
        for name, source in self._loaded.spec.sources.items():
            yield name, self._source(source)

    def writes(self) -> Iterator[tuple[str, list[str]]]:
        """The target table, the quarantine and the warehouse."""
        spec = self._loaded.spec
        parts = f", partitioned by {', '.join(spec.target.partition_by)}" if spec.target.partition_by else ""
        yield "table", [self._render(spec.target.table), f"mode {spec.target.mode}{parts}"]
        if spec.quarantine:
            yield "quarantine", [self._render(spec.quarantine)]
        if spec.warehouse is not None:
            where = f"table {spec.warehouse.table} of connection {spec.warehouse.connection}"
            yield "warehouse", [where + self._unset(spec.warehouse.connection)]
        yield "engine", [spec.engine.name]

    def _source(self, source: SourceSpec) -> list[str]:
        match source.files or source.database or source.api:
            case FilesSpec() as files:
                return self._files(files)
            case DatabaseSpec() as database:
                what = f"table {database.table}" if database.table else "a query"
                return [f"{what} of connection {database.connection}{self._unset(database.connection)}"]
            case ApiSpec() as api:
                endpoint = self._render(api.endpoint)
                return [f"{endpoint} of connection {api.connection}{self._unset(api.connection)}"]
            case _:
                return []

    def _files(self, spec: FilesSpec) -> list[str]:
        from batch_processing.sources.files import look_for_files

        pattern = self._render(spec.path)
        seen = sorted(look_for_files(pattern, spec, previous=None).seen.items())
        lines = [f"{pattern} ({spec.format}): {_count(len(seen))}"]
        lines += [f"  {path}  {size:,} bytes" for path, (size, _) in seen[:_FILES_SHOWN]]
        if len(seen) > _FILES_SHOWN:
            lines.append(f"  and {len(seen) - _FILES_SHOWN:,} more")
        return lines

    def _render(self, template: str) -> str:
        facts = {
            "project": str(self._loaded.project.root),
            "pipeline": self._loaded.spec.pipeline,
            "run_id": "RUN_ID",
            "generation": 1,
        }
        return render(template, values=self._values, slice=self._slice, extra=facts)

    def _unset(self, conn_id: str) -> str:
        try:
            self._values.connection(conn_id)
        except SettingError as error:
            return f" - {error.what}"
        return ""


def _with_known_limits(loaded: LoadedPipeline) -> LoadedPipeline:
    if problems := limit_problems(loaded):
        raise DeclarationError(problems)
    return loaded


def _print_facts(console: Console, title: str, facts: Sequence[tuple[str, list[str]]]) -> None:
    console.print(title, style="bold")
    width = max((len(name) for name, _ in facts), default=0)
    for name, lines in facts:
        for number, line in enumerate(lines):
            console.print(f"  {name if number == 0 else '':{width}}  {line}", markup=False, soft_wrap=True)
    console.print()


def _steps_table(plan: Plan) -> Table:
    table = Table("  Step", "Box", "After", box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for step in plan.steps:
        after = ", ".join(step.upstreams) + (" (once per part)" if step.mapped_over else "")
        table.add_row(f"  {step.id}", step.box, after, style=None)
    return table


def _count(files: int) -> str:
    return "no file matches yet" if files == 0 else f"{files:,} file{'s' if files != 1 else ''}"


def _iso_end(wanted: Slice) -> str:
    return Slice(wanted.end, wanted.end).iso


def _slice_option(text: str | None) -> str:
    return f" --slice {text}" if text else ""
