"""What the control store knows, as frozen values. All times are aware and in UTC."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from batch_processing.control.process import ProcessMark
from batch_processing.results import FileFact, Outcome, QualityResult, RowCounts, Slice, StepResult


@dataclass(frozen=True)
class RunKey:
    """What names one run: the same `run_id` may be used by another pipeline, slice or generation."""

    pipeline: str
    slice: Slice
    generation: int
    run_id: str

    @property
    def digest(self) -> str:
        """32 hex digits that stand for the four parts; the store's own key."""
        text = "\x1f".join((self.pipeline, self.slice.key, str(self.generation), self.run_id))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True)
class SourceRecord:
    """What one source gave, summed over its parts. `inputs` are the files read, as they were."""

    source: str
    read: int
    rejected: int
    landed: int
    inputs: tuple[FileFact, ...] = ()


@dataclass(frozen=True)
class RunRecord:
    """One run as the store knows it.

    Attributes:
        key: its name.
        engine: `embedded` or `spark`.
        trigger: who started it: `cli`, `airflow`, ...
        outcome: how it ended, or RUNNING.
        score: valid rows / landed rows over the validated sources; None before any was validated.
        rows: the row ledger.
        started_at: first start; a retry does not move it.
        ended_at: end, None while running.
        error: the message where it did not pass.
        report: path of the HTML report, or "".
        table: root path of the Delta table published to, or "".
        version: its version, None where nothing was published.
        quarantine_tables: source -> path of its quarantine table.
        warehouse_table: as declared, or "".
        warehouse_location: file path or `host:port/database`, or "".
        steps: last attempt of each step, in the order they started.
        quality: one verdict per dataset.
        sources: one record per source.
        process: where it runs or ran, for a run in one process; None for one of Airflow's.
        interrupted: its process ended without recording an end; the outcome is then ERROR.
    """

    key: RunKey
    engine: str
    trigger: str
    outcome: Outcome
    score: float | None
    rows: RowCounts
    started_at: datetime
    ended_at: datetime | None = None
    error: str = ""
    report: str = ""
    table: str = ""
    version: int | None = None
    quarantine_tables: dict[str, str] = field(default_factory=dict)
    warehouse_table: str = ""
    warehouse_location: str = ""
    steps: tuple[StepResult, ...] = ()
    quality: tuple[QualityResult, ...] = ()
    sources: tuple[SourceRecord, ...] = ()
    process: ProcessMark | None = None
    interrupted: bool = False

    @property
    def seconds(self) -> float | None:
        """Wall time from first start to end; None while running."""
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of the last attempts of its steps."""
        return sum(step.usage.cpu_seconds for step in self.steps)

    @property
    def peak_rss_mb(self) -> float:
        """Highest resident memory of a step, MiB."""
        return max((step.usage.peak_rss_mb for step in self.steps), default=0.0)

    @property
    def step_success(self) -> float | None:
        """Steps that passed / steps that ended, 0..1; None where none has ended."""
        ended = [step for step in self.steps if step.outcome is not Outcome.RUNNING]
        return sum(step.outcome.passed for step in ended) / len(ended) if ended else None


@dataclass(frozen=True)
class PipelineMetrics:
    """A pipeline's figures over its latest runs that have ended.

    Attributes:
        runs: runs looked at.
        passed: of these, how many passed.
        success_rate: passed / runs, 0..1; None without runs.
        step_attempts: attempts of their steps that ended, retries included.
        step_success_rate: attempts that passed / attempts, 0..1; None without attempts.
        mean_seconds: mean wall time of the runs.
        max_seconds: longest run.
        mean_score: mean of the scores there are; None where none was validated.
        cpu_seconds: CPU seconds of all attempts.
        peak_rss_mb: highest resident memory of an attempt, MiB.
    """

    pipeline: str
    runs: int = 0
    passed: int = 0
    success_rate: float | None = None
    step_attempts: int = 0
    step_success_rate: float | None = None
    mean_seconds: float | None = None
    max_seconds: float | None = None
    mean_score: float | None = None
    cpu_seconds: float = 0.0
    peak_rss_mb: float = 0.0


@dataclass(frozen=True)
class QueuedAlert:
    """An alert that has not been sent. `attempts` counts the tries that failed, `error` is the last one's."""

    dedupe_key: str
    payload: dict[str, Any]
    attempts: int
    error: str
    created_at: datetime
