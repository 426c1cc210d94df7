"""The limits of a declaration: checked against the rules that are there, and given the history they ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from batch_processing.errors import Problem
from batch_processing.settings.document import dotted, read_document
from batch_processing.settings.loading import LoadedPipeline
from batch_processing.settings.models import OutputValidationSpec, ValidationSpec
from batch_processing.settings.project import Project

if TYPE_CHECKING:
    from batch_processing.pipeline.context import RunContext
    from batch_processing.quality.limits import Limit
    from batch_processing.results import QualityResult

Keys = tuple[str, ...]

_LOOKED_THROUGH = 4
"""Earlier slices looked through for each that a rule's limit compares with: some may have had no row for the rule."""


def limits_of(spec: ValidationSpec | OutputValidationSpec) -> dict[str, Limit]:
    """The limits of one dataset, by rule id."""
    from batch_processing.quality.limits import Limit

    return {name: Limit(**limit.model_dump()) for name, limit in spec.limits.items()}


def history_for(ctx: RunContext, dataset: str, limits: dict[str, Limit]) -> tuple[QualityResult, ...]:
    """The earlier verdicts that the limits look at, the latest slice first; none where no limit asks for them.

    The score can be compared with every slice that had rows, a rule only with those that had a row for it. What a rule
    found is known once the verdict is read, so that up to four times `last` of them are, and none beyond.
    """
    from batch_processing.quality.limits import SCORE

    against = {name: limit.last for name, limit in limits.items() if limit.worse_by is not None}
    last = max((last if name == SCORE else last * _LOOKED_THROUGH for name, last in against.items()), default=0)
    return ctx.control.earlier_verdicts(ctx.spec.pipeline, ctx.slice, dataset=dataset, last=last) if last else ()


def limit_problems(loaded: LoadedPipeline) -> tuple[Problem, ...]:
    """Limits of rules that are not in the suite or the checks, or that count no rows.

    The modules of the checks are loaded only where a limit names something that is not in the suite.

    Raises:
        SuiteError: a suite that is not valid.
        CodeReferenceError: a check that cannot be loaded.
    """
    return tuple(_problems(loaded))


def _problems(loaded: LoadedPipeline) -> Iterator[Problem]:
    spec = loaded.spec
    places: list[tuple[Keys, ValidationSpec]] = [(("validate", name), one) for name, one in spec.validations.items()]
    if spec.validate_output is not None:
        places.append((("validate_output",), spec.validate_output))
    for keys, one in places:
        for name, message in _of_dataset(one, loaded.project) if one.limits else ():
            path = (*keys, "limits", name)
            line = read_document(loaded.file).line_of(path)
            yield Problem(message, key=dotted(path), file=str(loaded.file), line=line)


def _of_dataset(spec: ValidationSpec, project: Project) -> tuple[tuple[str, str], ...]:
    from batch_processing.quality.limits import limit_problems as problems_in
    from batch_processing.quality.suite import load_suite

    limits = limits_of(spec)
    suite = load_suite(spec.suite, suites_dir=project.suites_dir) if spec.suite else None
    found = problems_in(limits, suite=suite, checks=None)
    if not found or not spec.checks:
        return found
    from batch_processing.quality.checks import load_checks

    return problems_in(limits, suite=suite, checks=load_checks(spec.checks, root=project.root))
