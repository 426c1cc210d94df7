"""Reads a declaration and reports everything that is wrong with it at once."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from batch_processing.errors import DeclarationError, Problem
from batch_processing.settings.complaints import problems_of
from batch_processing.settings.document import Document, Path_, dotted, read_document
from batch_processing.settings.models import PipelineSpec
from batch_processing.settings.project import Project, find_project, project_at
from batch_processing.settings.templates import is_template, near

_BIGGEST_SUITE = 16 << 20


@dataclass(frozen=True)
class LoadedPipeline:
    """A checked declaration.

    Attributes:
        spec: what it says.
        file: where it was read; `<root>/<pipeline name>.yml` (which need not exist) for one built in Python.
        project: the project it belongs to.
    """

    spec: PipelineSpec
    file: Path
    project: Project


def load_pipeline(file: Path, *, environ: Mapping[str, str] = os.environ) -> LoadedPipeline:
    """Reads and checks a pipeline file. No variable, connection, engine or user code is touched.

    Raises:
        DeclarationError: its `problems` are all that is wrong, in the order of the file.
    """
    project = find_project(file, environ=environ)
    spec = _checked(read_document(file), project=project, file=str(file))
    return LoadedPipeline(spec=spec, file=file.absolute(), project=project)


def pipeline_from_dict(
    data: Mapping[str, Any], *, root: Path, environ: Mapping[str, str] = os.environ
) -> LoadedPipeline:
    """Checks a declaration given as a dictionary, with the same keys and the same checks as a file.

    Args:
        data: what the YAML file would hold; models of `settings.models` may stand in it.
        root: the project's root, the folder that holds `gx/`.
        environ: where `BATCH_HOME` and the like are read.

    Raises:
        DeclarationError: its `problems` are all that is wrong.
    """
    project = project_at(root, environ=environ)
    plain = dict(data) if isinstance(data, Mapping) else data
    spec = _checked(Document(plain, {}, {}, ()), project=project, file="")
    return LoadedPipeline(spec=spec, file=project.root / f"{spec.pipeline}.yml", project=project)


def json_schema() -> dict[str, Any]:
    """The declaration's JSON Schema, for editors; short forms included."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **PipelineSpec.model_json_schema(by_alias=True),
        "title": "Pipeline declaration",
    }


def _checked(document: Document, *, project: Project, file: str) -> PipelineSpec:
    problems = list(document.problems)
    if document.data is None and problems:
        raise DeclarationError(tuple(problems))
    if not isinstance(document.data, dict):
        found = {list: "a list", type(None): "nothing"}.get(type(document.data), "a single value")
        message = f"a declaration is a mapping of keys to values, as `pipeline: orders`; found {found}"
        raise DeclarationError((Problem(message, file=file, line=document.line_of(())),))
    try:
        spec = PipelineSpec.model_validate(document.data)
    except ValidationError as error:
        spec = None
        problems.extend(problems_of(error, document, file=file))
    for path, message in _suite_problems(document.data, project):
        problems.append(Problem(message, key=dotted(path), file=file, line=document.line_of(path)))
    if spec is None or problems:
        raise DeclarationError(tuple(sorted(problems, key=_place)))
    return spec


def _place(problem: Problem) -> float:
    """Where a problem is listed: those of the file as a whole come last."""
    return math.inf if problem.line is None else problem.line


def _suite_problems(data: Mapping[str, Any], project: Project) -> Iterator[tuple[Path_, str]]:
    """Suites that are named and not there, or not readable as suites."""
    named = data.get("validate", data.get("validations"))
    places: list[tuple[Path_, Any]] = [(("validate_output",), data.get("validate_output"))]
    if isinstance(named, dict):
        places += [(("validate", str(name)), given) for name, given in named.items()]
    for path, given in places:
        suite = given.get("suite") if isinstance(given, dict) else getattr(given, "suite", None)
        if isinstance(suite, str) and suite.strip() and suite.isprintable() and not is_template(suite):
            problem = suite_problem(suite, project)
            if problem:
                yield (*path, "suite"), problem


def suite_file(name: str, project: Project) -> Path:
    """The file of a suite: `<name>.json` in the project's suites.

    A name that ends in `.json` is a path, looked for in the suites' folder, the project's root and the current
    folder; the first is given where there is none.
    """
    if not name.endswith(".json"):
        return project.suites_dir / f"{name}.json"
    places = (project.suites_dir / name, project.root / name, Path(name).absolute())
    return next((place for place in places if place.is_file()), places[0])


def suite_problem(name: str, project: Project) -> str | None:
    """What is wrong with a suite as far as its file shows, or None where nothing is."""
    file = project.suites_dir
    try:
        file = suite_file(name, project)
        if not file.is_file():
            return _no_suite(name, project)
        if file.stat().st_size > _BIGGEST_SUITE:
            return f"suite file {file} is longer than {_BIGGEST_SUITE >> 20} MiB"
        suite = json.loads(file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        return f"suite file {file} is not JSON: {error.msg} in line {error.lineno}"
    except OSError as error:
        return f"suite file {file} cannot be read: {error.strerror or type(error).__name__}"
    except (ValueError, RecursionError):
        return f"suite file {file} is not JSON text in UTF-8"
    if not isinstance(suite, dict) or not isinstance(suite.get("expectations"), list):
        return f"suite file {file} is not a suite: a JSON object with a list `expectations`"
    return None


def _no_suite(name: str, project: Project) -> str:
    folder = project.suites_dir
    known = sorted(file.stem for file in folder.glob("*.json")) if folder.is_dir() else []
    if not known:
        return f"unknown suite {name[:100]!r}; there is no suite in {folder}"
    return f"unknown suite {name[:100]!r}{near(name, known)}; suites in {folder}: {', '.join(known[:20])}"
