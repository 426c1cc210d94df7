"""Builds run records out of rows: a fixed number of queries, however many runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, func, select

from batch_processing.control import schema
from batch_processing.control.process import ProcessMark
from batch_processing.control.records import PipelineMetrics, RunKey, RunRecord, SourceRecord
from batch_processing.control.statements import rows_of_run
from batch_processing.results import (
    FileFact,
    LimitResult,
    Outcome,
    QualityResult,
    RowCounts,
    RuleResult,
    Severity,
    Slice,
    StepResult,
    Usage,
)

_RULE_FIELDS = {f.name for f in fields(RuleResult)}
_PASSED = tuple(outcome.value for outcome in Outcome if outcome.passed)
_LIMIT_FIELDS = {f.name for f in fields(LimitResult)}


def run_records(connection: Connection, rows: Sequence[Row[Any]]) -> tuple[RunRecord, ...]:
    """Records of these rows of `batch_runs`, in their order."""
    if not rows:
        return ()
    digests = [row.run for row in rows]
    steps = _grouped(connection, schema.steps, digests)
    quality = _grouped(connection, schema.quality, digests)
    sources = _grouped(connection, schema.sources, digests)
    quarantine = _grouped(connection, schema.quarantine, digests)
    return tuple(
        _run_record(
            row,
            steps=last_attempts(steps[row.run]),
            quality=tuple(_quality_result(found) for found in sorted(quality[row.run], key=lambda r: r.recorded_at)),
            sources=_source_records(sources[row.run]),
            quarantine_tables={found.source: found.table_path for found in quarantine[row.run]},
        )
        for row in rows
    )


def _grouped(connection: Connection, table: Table, digests: Sequence[str]) -> defaultdict[str, list[Row[Any]]]:
    found: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    if len(digests) == 1:
        found[digests[0]] = list(connection.execute(rows_of_run(table), {"run": digests[0]}))
        return found
    for row in connection.execute(select(table).where(table.c.run.in_(digests)).order_by(*table.primary_key)):
        found[row.run].append(row)
    return found


def _run_record(
    row: Row[Any],
    *,
    steps: tuple[StepResult, ...],
    quality: tuple[QualityResult, ...],
    sources: tuple[SourceRecord, ...],
    quarantine_tables: dict[str, str],
) -> RunRecord:
    return RunRecord(
        key=run_key(row),
        engine=row.engine,
        trigger=row.trigger_name,
        outcome=Outcome(row.outcome),
        score=overall_score(quality),
        rows=_row_counts(row, sources),
        started_at=row.started_at,
        ended_at=row.ended_at,
        error=row.error,
        report=row.report,
        table=row.table_path,
        version=row.version,
        quarantine_tables=quarantine_tables,
        warehouse_table=row.warehouse_table,
        warehouse_location=row.warehouse_location,
        steps=steps,
        quality=quality,
        sources=sources,
        process=ProcessMark(row.host, row.pid, row.process_started) if row.host else None,
        interrupted=bool(row.interrupted),
    )


PROCESS_COLUMNS = ("pipeline", "slice_start", "slice_end", "generation", "run_id", "host", "pid", "process_started")
"""What says which run it is and which process it is in."""


def run_key(row: Row[Any]) -> RunKey:
    return RunKey(row.pipeline, Slice(row.slice_start, row.slice_end), row.generation, row.run_id)


def overall_score(quality: Iterable[QualityResult]) -> float | None:
    """Valid rows / rows over the sources, row-weighted; 1.0 where they had no rows, None without any."""
    judged = [result for result in quality if result.of_source]
    if not judged:
        return None
    rows = sum(result.rows for result in judged)
    return sum(result.valid for result in judged) / rows if rows else 1.0


def _row_counts(row: Row[Any], sources: tuple[SourceRecord, ...]) -> RowCounts:
    """The counts set on the run; what was read, else summed over the sources recorded."""
    stored = {f.name: getattr(row, f"rows_{f.name}") for f in fields(RowCounts)}
    if sources:
        summed = {name: sum(getattr(s, name) for s in sources) for name in ("read", "rejected", "landed")}
        stored.update({name: value for name, value in summed.items() if stored[name] is None})
    return RowCounts(**stored)


def last_attempts(rows: Iterable[Row[Any]]) -> tuple[StepResult, ...]:
    """The last attempt of each step, in the order they started."""
    latest: dict[str, Row[Any]] = {}
    for row in rows:
        if row.step not in latest or row.attempt > latest[row.step].attempt:
            latest[row.step] = row
    return tuple(step_result(row) for row in in_order(latest.values()))


def in_order(rows: Iterable[Row[Any]]) -> list[Row[Any]]:
    return sorted(rows, key=lambda row: (row.started_at or row.recorded_at, row.recorded_at, row.step, row.attempt))


def step_result(row: Row[Any]) -> StepResult:
    return StepResult(
        step=row.step,
        outcome=Outcome(row.outcome),
        usage=Usage(row.seconds, row.cpu_seconds, row.peak_rss_mb),
        summary=row.summary,
        error=row.error,
        reused=row.reused,
        started_at=row.started_at,
        ended_at=row.ended_at,
        attempt=row.attempt,
    )


def _quality_result(row: Row[Any]) -> QualityResult:
    rules, limits = (row.rules["rules"], row.rules["limits"]) if isinstance(row.rules, dict) else (row.rules, [])
    return QualityResult(
        dataset=row.dataset,
        suite=row.suite,
        fingerprint=row.fingerprint,
        outcome=Outcome(row.outcome),
        score=row.score,
        threshold=row.threshold,
        rows=row.rows,
        valid=row.valid,
        quarantined=row.quarantined,
        rules=tuple(_rule_result(rule) for rule in rules),
        message=row.message,
        limits=tuple(LimitResult(**{k: v for k, v in limit.items() if k in _LIMIT_FIELDS}) for limit in limits),
    )


def _rule_result(stored: dict[str, Any]) -> RuleResult:
    known = {name: value for name, value in stored.items() if name in _RULE_FIELDS}
    known |= {"outcome": Outcome(stored["outcome"]), "severity": Severity(stored["severity"])}
    return RuleResult(**known)


def _source_records(rows: Iterable[Row[Any]]) -> tuple[SourceRecord, ...]:
    parts: dict[str, list[Row[Any]]] = {}
    for row in rows:
        parts.setdefault(row.source, []).append(row)
    return tuple(
        SourceRecord(
            source=source,
            read=sum(part.read for part in found),
            rejected=sum(part.rejected for part in found),
            landed=sum(part.landed for part in found),
            inputs=tuple(FileFact(**fact) for part in found for fact in part.inputs),
        )
        for source, found in parts.items()
    )


def step_row(digest: str, result: StepResult) -> dict[str, Any]:
    return {
        "run": digest,
        "step": schema.storable(result.step),
        "attempt": result.attempt,
        "outcome": result.outcome.value,
        "seconds": result.usage.seconds,
        "cpu_seconds": result.usage.cpu_seconds,
        "peak_rss_mb": result.usage.peak_rss_mb,
        "summary": result.summary,
        "error": result.error,
        "reused": result.reused,
        "started_at": result.started_at,
        "ended_at": result.ended_at,
        "recorded_at": datetime.now(UTC),
    }


def quality_row(digest: str, result: QualityResult) -> dict[str, Any]:
    """The row of a verdict; where there are limits, its column `rules` is an object with both."""
    rules: Any = [asdict(rule) for rule in result.rules]
    if result.limits:
        rules = {"rules": rules, "limits": [asdict(limit) for limit in result.limits]}
    return {
        "run": digest,
        "dataset": result.dataset,
        "suite": result.suite,
        "fingerprint": result.fingerprint,
        "outcome": result.outcome.value,
        "score": result.score,
        "threshold": result.threshold,
        "rows": result.rows,
        "valid": result.valid,
        "quarantined": result.quarantined,
        "rules": rules,
        "message": result.message,
        "recorded_at": datetime.now(UTC),
    }


def earlier_verdicts(
    connection: Connection, pipeline: str, *, dataset: str, before: datetime, last: int
) -> tuple[QualityResult, ...]:
    """Passing verdicts of the latest earlier slices that are published and had rows, one per slice: its newest
    generation's.
    """
    runs, quality = schema.runs, schema.quality
    of_earlier = (runs.c.pipeline == pipeline, runs.c.slice_start < before, runs.c.version.is_not(None))
    newest = (
        select(runs.c.slice_start, func.max(runs.c.generation).label("generation"))
        .where(*of_earlier)
        .group_by(runs.c.slice_start)
        .subquery()
    )
    # Several runs can have met over one generation; the first of them stands for it, whoever looks.
    place = func.row_number().over(partition_by=runs.c.slice_start, order_by=(runs.c.started_at, runs.c.run))
    found = (
        select(runs.c.slice_start, runs.c.run, place.label("place"))
        .join(newest, (newest.c.slice_start == runs.c.slice_start) & (newest.c.generation == runs.c.generation))
        .join(quality, (quality.c.run == runs.c.run) & (quality.c.dataset == dataset))
        .where(*of_earlier, quality.c.outcome.in_(_PASSED))
        .subquery()
    )
    query = (
        select(quality)
        .join(found, (found.c.run == quality.c.run) & (found.c.place == 1))
        .where(quality.c.dataset == dataset, quality.c.rows > 0)
        .order_by(found.c.slice_start.desc())
        .limit(last)
    )
    return tuple(_quality_result(row) for row in connection.execute(query))


def pipeline_metrics(connection: Connection, pipeline: str, *, last: int) -> PipelineMetrics:
    """Figures over the pipeline's latest `last` runs that have ended."""
    rows = connection.execute(
        select(schema.runs)
        .where(schema.runs.c.pipeline == pipeline, schema.runs.c.ended_at.is_not(None))
        .order_by(schema.runs.c.started_at.desc())
        .limit(last)
    ).all()
    if not rows:
        return PipelineMetrics(pipeline)
    digests = [row.run for row in rows]
    attempts = [
        row
        for found in _grouped(connection, schema.steps, digests).values()
        for row in found
        if row.outcome != Outcome.RUNNING
    ]
    quality = _grouped(connection, schema.quality, digests)
    scores = [s for run in digests if (s := overall_score(_quality_result(q) for q in quality[run])) is not None]
    seconds = [(row.ended_at - row.started_at).total_seconds() for row in rows]
    passed = sum(Outcome(row.outcome).passed for row in rows)
    return PipelineMetrics(
        pipeline,
        runs=len(rows),
        passed=passed,
        success_rate=passed / len(rows),
        step_attempts=len(attempts),
        step_success_rate=sum(Outcome(a.outcome).passed for a in attempts) / len(attempts) if attempts else None,
        mean_seconds=sum(seconds) / len(seconds),
        max_seconds=max(seconds),
        mean_score=sum(scores) / len(scores) if scores else None,
        cpu_seconds=sum(a.cpu_seconds for a in attempts),
        peak_rss_mb=max((a.peak_rss_mb for a in attempts), default=0.0),
    )
