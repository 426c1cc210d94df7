"""Which pipeline file, project, slice and settings a command line means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from batch_processing.errors import UsageError
from batch_processing.results import Slice
from batch_processing.settings.loading import LoadedPipeline
from batch_processing.settings.project import Project, find_project
from batch_processing.settings.slices import latest_slice, parse_slice
from batch_processing.settings.values import EnvironmentValues

DEFAULT_NAME = "pipeline.yml"
_DECLARES = re.compile(rb"^pipeline\s*:", re.MULTILINE)
_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]*$")


def pipeline_file(given: Path | None) -> Path:
    """The declaration meant: the file given, or the only one in the folder given (by default the current one).

    Raises:
        UsageError: there is none, or several.
    """
    if given is not None and not given.is_dir():
        return given
    folder = given or Path()
    if (folder / DEFAULT_NAME).is_file():
        return folder / DEFAULT_NAME
    found = sorted(path for suffix in ("*.yml", "*.yaml") for path in folder.glob(suffix) if _declares(path))
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in found[:10])
    raise UsageError(
        "which pipeline is meant is not clear" if found else "no pipeline file found",
        where=str(folder.absolute()),
        found=names or f"neither {DEFAULT_NAME} nor another .yml file with the key pipeline",
        fix="name one of them" if found else "name the file, or make a project with: batchctl init DIR",
    )


def current_project() -> Project:
    """The project that the current folder is in."""
    return find_project(Path.cwd() / DEFAULT_NAME)


def declaration_of(pipeline: str, project: Project) -> Path | None:
    """The file that declares a pipeline, among those of the current folder and of the project; None without one."""
    named = re.compile(rb"^pipeline\s*:\s*['\"]?" + re.escape(pipeline.encode()) + rb"['\"]?\s*(#.*)?$", re.MULTILINE)
    for folder in (Path(), project.root, project.root / "pipelines"):
        for suffix in ("*.yml", "*.yaml"):
            for path in sorted(folder.glob(suffix)):
                if _matches(path, named):
                    return path
    return None


def chosen_slice(text: str | None, loaded: LoadedPipeline) -> Slice:
    """The slice meant: the one written, or the schedule's last complete one."""
    schedule = loaded.spec.schedule
    return latest_slice(schedule, datetime.now(UTC)) if text is None else parse_slice(text, schedule)


def check_begun(wanted: Slice, schedule: str | None, *, now: datetime) -> None:
    """Refuses to run a slice of the future: most often a year that is mistyped, and never a slice with all its data.

    Raises:
        UsageError: it begins after `now`.
    """
    if wanted.start > now:
        raise UsageError(
            "the slice has not begun yet",
            where=f"schedule {schedule or 'none: one slice per UTC day'}",
            found=f"{wanted.iso} to {wanted.end:%Y-%m-%dT%H:%M:%SZ}, now it is {now:%Y-%m-%dT%H:%M:%SZ}",
            fix=f"look at the year; the last complete slice is {latest_slice(schedule, now).iso}",
        )


def values_for(project: Project, settings: Sequence[str]) -> EnvironmentValues:
    """Variables and connections for a run from the command line."""
    return EnvironmentValues(
        parse_settings(settings),
        settings_file=project.settings_file(),
        connections_file=project.connections_file(),
    )


def parse_settings(settings: Sequence[str]) -> dict[str, str]:
    """Reads `--set key=value` texts.

    Raises:
        UsageError: one without `=`, one with a name that no variable can have, or a name given twice.
    """
    values: dict[str, str] = {}
    for text in settings:
        name, separator, value = text.partition("=")
        # The value may be a secret, so only the name is repeated.
        if not separator or not _VARIABLE.match(name):
            found = f"{name[:80]!r}" + ("" if separator else " without =")
            raise UsageError("cannot read --set", found=found, fix="write --set name=value, as --set threshold=0.9")
        if name in values:
            raise UsageError("--set names a variable twice", found=name, fix="give it once")
        values[name] = value
    return values


def _declares(path: Path) -> bool:
    return _matches(path, _DECLARES)


def _matches(path: Path, pattern: re.Pattern[bytes]) -> bool:
    try:
        return pattern.search(path.read_bytes()[: 1 << 20]) is not None
    except OSError as error:
        raise UsageError(
            "cannot read a file", where=str(path), found=error.strerror or "", fix="name the pipeline file"
        ) from error
