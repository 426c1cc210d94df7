"""Reports of runs that a real control store has kept: what is written there is what the page says."""

from datetime import UTC, datetime
from pathlib import Path

from batch_processing.control.records import RunKey
from batch_processing.control.store import ControlStore
from batch_processing.report.html import render_report
from batch_processing.results import (
    FileFact,
    Landed,
    Loaded,
    Outcome,
    Published,
    QualityResult,
    RuleResult,
    Severity,
    Slice,
    StepResult,
    Usage,
)

KEY = RunKey("shop", Slice(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)), 1, "run-1")
RULE = RuleResult("id_unique", "row", Outcome.FAIL, Severity.CRITICAL, 96, 4, 0, message="4 of 96 rows broke it")


def test_a_page_follows_its_run_from_the_start_to_the_end(tmp_path: Path) -> None:
    with ControlStore.open(f"sqlite:///{tmp_path}/control.db") as control:
        control.start_run(KEY, engine="embedded", trigger="cli")
        begun = render_report(control.run("run-1"))

        fact = FileFact("/in/a.csv", 10, 1.0, "ab" * 32)
        control.record_source(KEY, "orders", 0, Landed((), 100, 96, 4, (), (fact,)))
        control.record_quality(
            KEY, QualityResult("orders", "s", "f", Outcome.PASS_WITH_QUARANTINE, 92 / 96, 0.95, 96, 92, 4, (RULE,))
        )
        control.record_step(KEY, StepResult("validate", Outcome.PASS_WITH_QUARANTINE, Usage(1.5, 1.2, 300)))
        control.update_rows(KEY, valid=92, quarantined=4, staged=92)
        control.record_published(KEY, Published("/lake/orders", 7, 92))
        control.record_loaded(KEY, Loaded("orders", 92, location="/w.duckdb"))
        control.finish_run(KEY, outcome=Outcome.PASS_WITH_QUARANTINE)
        ended = render_report(control.run("run-1"))

    assert "RUNNING" in begun
    assert 'http-equiv="refresh"' in begun
    for words in (
        "PASS WITH QUARANTINE",
        "95.83 %",
        "/in/a.csv",
        "id_unique",
        "4 of 96 rows",
        "version 7",
        "/w.duckdb",
    ):
        assert words in ended
    assert 'http-equiv="refresh"' not in ended
