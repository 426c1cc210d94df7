"""Metrics for a back end: one file in the Prometheus text format per pipeline, for a textfile collector.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from batch_processing.control.records import RunRecord
from batch_processing.storage import write_atomic

_HELP = {
    "batch_score": "Valid rows / landed rows of the last run, 0..1.",
    "batch_rows": "Rows of the last run at each hop of the ledger.",
    "batch_step_seconds": "Wall seconds of each step of the last run.",
    "batch_step_cpu_seconds": "CPU seconds of each step of the last run.",
    "batch_step_peak_rss_bytes": "Peak resident memory of each step of the last run.",
    "batch_rule_failing_rows": "Rows that broke each rule in the last run.",
    "batch_rule_score": "Rows that hold each rule / rows it judged in the last run, 0..1.",
    "batch_limit_broken": "1 where a declared limit was broken in the last run, 0 where it held.",
}


def write_metrics(folder: Path, record: RunRecord) -> Path:
    """Writes the metrics of a run as `<pipeline>.prom`, replacing the last run's.

    Raises:
        StorageError: the disk refused.
    """
    path = folder / f"{record.key.pipeline}.prom"
    write_atomic(path, metrics_text(record).encode())
    return path


def metrics_text(record: RunRecord) -> str:
    """The metrics of a run in the Prometheus text format."""
    lines: list[str] = []
    seen = ""
    for name, labels, value in _samples(record):
        if name != seen:
            lines += [f"# HELP {name} {_HELP[name]}", f"# TYPE {name} gauge"]
            seen = name
        text = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
        lines.append(f"{name}{{{text}}} {value}")
    return "\n".join(lines) + "\n"


def _samples(record: RunRecord) -> Iterator[tuple[str, dict[str, str], float]]:
    pipeline = {"pipeline": record.key.pipeline}
    for quality in record.quality:
        yield "batch_score", {**pipeline, "dataset": quality.dataset, "suite": quality.suite}, quality.score
    rows = record.rows
    for hop in ("read", "rejected", "landed", "quarantined", "valid", "staged"):
        count = getattr(rows, hop)
        if count is not None:
            yield "batch_rows", {**pipeline, "hop": hop}, count
    for metric, scale in (("seconds", 1), ("cpu_seconds", 1), ("peak_rss_mb", 1024 * 1024)):
        name = "batch_step_peak_rss_bytes" if metric == "peak_rss_mb" else f"batch_step_{metric}"
        for step in record.steps:
            yield name, {**pipeline, "step": step.step}, getattr(step.usage, metric) * scale
    yield from _rule_samples(record)


def _rule_samples(record: RunRecord) -> Iterator[tuple[str, dict[str, str], float]]:
    of = [({"pipeline": record.key.pipeline, "dataset": quality.dataset}, quality) for quality in record.quality]
    for labels, quality in of:
        for rule in quality.rules:
            if rule.unexpected_count is not None:
                yield "batch_rule_failing_rows", {**labels, "rule": rule.rule_id}, rule.unexpected_count
    for labels, quality in of:
        for rule in quality.rules:
            if rule.score is not None:
                yield "batch_rule_score", {**labels, "rule": rule.rule_id}, rule.score
    for labels, quality in of:
        for limit in quality.limits:
            if limit.state != "not_judged":
                named = {**labels, "rule": limit.rule, "limit": limit.kind}
                yield "batch_limit_broken", named, int(limit.state == "broken")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
