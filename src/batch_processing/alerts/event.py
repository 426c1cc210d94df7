"""What an alert says, as a frozen value that the control store can keep. No data values in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from batch_processing.control.records import RunRecord
from batch_processing.results import Outcome, StepResult

AlertKind = Literal["failure", "retry", "success"]


@dataclass(frozen=True)
class AlertEvent:
    """One thing to tell.

    Attributes:
        kind: `failure` (after the last retry), `retry` (before one) or `success`.
        run: what tells this run from all others; with kind, step and attempt it is the alert's dedupe key.
        pipeline: its name.
        slice: its start, ISO, UTC.
        run_id: the run's id.
        step: the step concerned, without the number of its part.
        outcome: how that step, or the run, ended.
        message: one message for a person.
        rows: the row ledger, name -> count, as far as it is known.
        score: share of valid rows, or None.
        report: path of the HTML report, or "".
        next_command: what to type next.
        attempt: the step's try, from 1.
    """

    kind: AlertKind
    run: str
    pipeline: str
    slice: str
    run_id: str
    step: str
    outcome: str
    message: str = ""
    rows: dict[str, int] = field(default_factory=dict)
    score: float | None = None
    report: str = ""
    next_command: str = ""
    attempt: int = 1

    @property
    def dedupe_key(self) -> str:
        """The parts of a mapped step that fail in the same try share one alert."""
        return f"{self.kind}:{self.run}:{self.step}:{self.attempt}"

    def to_payload(self) -> dict[str, Any]:
        """A JSON-able form."""
        return asdict(self)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Self:
        """Reads `to_payload`'s form; keys of a later release are left out."""
        known = {name: payload[name] for name in cls.__dataclass_fields__ if name in payload}
        return cls(**known)


def event_of_run(
    record: RunRecord,
    *,
    kind: AlertKind,
    error: str = "",
    step: str | None = None,
    next_command: str = "",
    attempt: int = 1,
) -> AlertEvent:
    """The alert on a run as the control store knows it.

    Args:
        record: the run.
        kind: what is told.
        error: the message; the run's own by default.
        step: the step concerned; by default the first that did not pass.
        next_command: what to type next; by default the one that shows the report.
        attempt: the step's try.
    """
    failed = _failed_step(record)
    name = step or (failed.step if failed else "")
    counts = {key: value for key, value in vars(record.rows).items() if value is not None}
    return AlertEvent(
        kind=kind,
        run=record.key.digest,
        pipeline=record.key.pipeline,
        slice=record.key.slice.iso,
        run_id=record.key.run_id,
        step=name.partition("[")[0],
        outcome=(failed.outcome if failed and kind != "success" else record.outcome).value,
        message=error or record.error,
        rows=counts,
        score=record.score,
        report=record.report,
        next_command=next_command or f"batchctl report {record.key.run_id}",
        attempt=attempt,
    )


def _failed_step(record: RunRecord) -> StepResult | None:
    ended = (step for step in record.steps if step.outcome is not Outcome.RUNNING)
    return next((step for step in ended if not step.outcome.passed), None)
