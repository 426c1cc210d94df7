"""What the report shows, worked out from a run's record. Pure: no markup and no I/O."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath, PurePosixPath

from batch_processing.control.records import RunRecord, SourceRecord
from batch_processing.report.flow import TALL, WIDE, Flow, flow
from batch_processing.report.timeline import Timeline, timeline
from batch_processing.results import (
    OUTPUT_DATASET,
    LimitResult,
    Outcome,
    QualityResult,
    RuleResult,
    Severity,
    table_checks_dataset,
)

_OUTCOME_ORDER = (Outcome.ERROR, Outcome.FAIL, Outcome.RUNNING, Outcome.PASS_WITH_QUARANTINE, Outcome.PASS)
_SEVERITY_ORDER = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)

SENTENCES = {
    Outcome.PASS: "Every row that was read and validated went through.",
    Outcome.PASS_WITH_QUARANTINE: "The good rows went through; the bad ones are kept in quarantine with their reasons.",
    Outcome.FAIL: "The data did not pass.",
    Outcome.ERROR: "Something could not run, so there is no verdict on the data.",
    Outcome.RUNNING: "Still running; this page reloads itself.",
}


@dataclass(frozen=True)
class RuleView:
    """A rule with its limits and its bar: `bar` in percent of the bar's full length."""

    rule: RuleResult
    bar: float
    limits: tuple[LimitResult, ...] = ()

    @property
    def holds(self) -> bool:
        return self.rule.outcome is Outcome.PASS and not self.over_limit

    @property
    def over_limit(self) -> bool:
        return any(limit.state == "broken" for limit in self.limits)


@dataclass(frozen=True)
class DatasetView:
    """One verdict.

    A full bar means a failing share of `scale`; `tolerance` (percent of it) is what the gate allows. Table-level
    checks alone give a verdict without a score. `limits` are the score's own.
    """

    quality: QualityResult
    rules: tuple[RuleView, ...]
    scale: float
    tolerance: float | None
    has_score: bool = True
    limits: tuple[LimitResult, ...] = ()

    @property
    def broken(self) -> tuple[RuleView, ...]:
        return tuple(view for view in self.rules if not view.holds)

    @property
    def held(self) -> tuple[RuleView, ...]:
        return tuple(view for view in self.rules if view.holds)


@dataclass(frozen=True)
class SourceView:
    """One source with what validation made of it; `valid` is None where it was not looked at."""

    record: SourceRecord
    valid: int | None
    quarantined: int | None
    size: int


@dataclass(frozen=True)
class Place:
    """Something that the run left behind. `href` is "" where it cannot be opened by a browser."""

    title: str
    path: str
    note: str = ""
    href: str = ""


@dataclass(frozen=True)
class ReportView:
    """Everything the template asks for."""

    run: RunRecord
    sentence: str
    threshold: float | None
    wide: Flow
    tall: Flow
    datasets: tuple[DatasetView, ...]
    sources: tuple[SourceView, ...]
    timeline: Timeline
    places: tuple[Place, ...]
    errors: tuple[tuple[str, str], ...]
    next_command: str


def build_view(run: RunRecord, *, now: datetime | None = None) -> ReportView:
    """Works out the report of a run, finished or not."""
    steps = timeline(run.steps, now=now)
    unscored = {table_checks_dataset(name) for name in (*(record.source for record in run.sources), OUTPUT_DATASET)}
    return ReportView(
        run=run,
        sentence=_sentence(run),
        threshold=_threshold(run),
        wide=flow(run.rows, layout=WIDE),
        tall=flow(run.rows, layout=TALL),
        datasets=tuple(dataset_view(quality, has_score=quality.dataset not in unscored) for quality in run.quality),
        sources=tuple(_source(record, run.quality) for record in run.sources),
        timeline=steps,
        places=_places(run),
        errors=_errors(run, steps),
        next_command=next_command(run),
    )


def next_command(run: RunRecord) -> str:
    """What to type after a run that did not pass; "" after one that did."""
    if run.outcome.passed or run.outcome is Outcome.RUNNING:
        return ""
    return f"batchctl run --slice {shlex.quote(run.key.slice.iso)}"


def _sentence(run: RunRecord) -> str:
    if run.interrupted:
        kept = "" if run.version is None else f" Version {run.version} of the table is published."
        return f"Interrupted: its process ended before the run did.{kept} Run the slice again; it goes on cleanly."
    if run.outcome in (Outcome.FAIL, Outcome.ERROR):
        kept = "Nothing was published" if run.version is None else f"Version {run.version} of the table is published"
        return f"{SENTENCES[run.outcome]} {kept}."
    return SENTENCES[run.outcome]


def _threshold(run: RunRecord) -> float | None:
    """The sources' threshold, where they have the same one: only then does it belong beside the run's score."""
    known = {record.source for record in run.sources}
    thresholds = {quality.threshold for quality in run.quality if quality.dataset in known}
    return thresholds.pop() if len(thresholds) == 1 else None


def dataset_view(quality: QualityResult, *, has_score: bool = True) -> DatasetView:
    """Works out one verdict: its rules in order of trouble, and the length of their bars."""
    shares = [share for rule in quality.rules if (share := rule.failing_share) is not None]
    allowed = 1.0 - quality.threshold
    scale = max([*shares, allowed]) or 1.0
    rules = [
        RuleView(rule, round(100 * (rule.failing_share or 0.0) / scale, 2), _limits_of(quality, rule.rule_id))
        for rule in quality.rules
    ]
    return DatasetView(
        quality=quality,
        rules=tuple(sorted(rules, key=lambda view: (not view.over_limit, _rule_order(view.rule)))),
        scale=scale,
        tolerance=round(100 * allowed / scale, 2) if allowed > 0 else None,
        has_score=has_score and quality.outcome is not Outcome.ERROR,
        limits=_limits_of(quality, "score"),
    )


def _limits_of(quality: QualityResult, rule: str) -> tuple[LimitResult, ...]:
    return tuple(limit for limit in quality.limits if limit.rule == rule)


def _rule_order(rule: RuleResult) -> tuple[int, int, float, str]:
    share = rule.failing_share or 0.0
    return _OUTCOME_ORDER.index(rule.outcome), _SEVERITY_ORDER.index(rule.severity), -share, rule.rule_id


def _source(record: SourceRecord, quality: Sequence[QualityResult]) -> SourceView:
    verdict = next((q for q in quality if q.dataset == record.source), None)
    return SourceView(
        record=record,
        valid=verdict.valid if verdict else None,
        quarantined=verdict.quarantined if verdict else None,
        size=sum(fact.size for fact in record.inputs),
    )


def _places(run: RunRecord) -> tuple[Place, ...]:
    places: list[Place] = []
    if run.table:
        note = f"version {run.version}" if run.version is not None else "nothing published by this run"
        places.append(_place("Delta table", run.table, note))
    if run.warehouse_table:
        note = f"in {run.warehouse_location}" if run.warehouse_location else ""
        places.append(Place("Warehouse table", run.warehouse_table, note, _href(run.warehouse_location)))
    places += [_place(f"Quarantine of {name}", path, "") for name, path in run.quarantine_tables.items()]
    if run.report:
        places.append(_place("Run folder", str(PurePath(run.report).parent), "manifests, rejects, log"))
    return tuple(places)


def _place(title: str, path: str, note: str) -> Place:
    return Place(title, path, note, _href(path))


def _href(path: str) -> str:
    pure = PurePosixPath(path)
    return pure.as_uri() if path and pure.is_absolute() else ""


def _errors(run: RunRecord, steps: Timeline) -> tuple[tuple[str, str], ...]:
    """(step, message) pairs, each message once; the run's own only where no step says the same."""
    found = [(row.name, error) for row in steps.rows for error in row.errors]
    if run.error and run.error not in {error for _, error in found}:
        found.insert(0, ("run", run.error))
    return tuple(found)
