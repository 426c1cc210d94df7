"""What the control store keeps, on SQLite and on PostgreSQL."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import event

from batch_processing.control.store import ControlStore
from batch_processing.errors import ControlStoreError, UsageError
from batch_processing.results import (
    OUTPUT_DATASET,
    FileFact,
    Landed,
    Loaded,
    Outcome,
    Published,
    QualityResult,
    RowCounts,
    RuleResult,
    Severity,
    StepResult,
    Usage,
)
from tests.integration.control.runs import in_threads, key, started


def verdict(dataset: str, *, rows: int, valid: int) -> QualityResult:
    rule = RuleResult("not_null(id)", "row", Outcome.FAIL, Severity.WARNING, 10, 2, 1, {"share": 0.2}, "2 rows")
    return QualityResult(
        dataset, "suite", "abc", Outcome.PASS_WITH_QUARANTINE, valid / rows, 0.5, rows, valid, rows - valid, (rule,)
    )


def test_a_run_comes_back_as_it_was_recorded(store: ControlStore) -> None:
    run = key()
    step = StepResult(
        "extract_orders[0]",
        Outcome.PASS,
        Usage(1.5, 0.5, 100.0),
        {"rows": 3, "nested": {"a": [1, None]}},
        started_at=datetime(2026, 11, 2, 3, 4, 5, 6, UTC),
        ended_at=datetime(2026, 11, 2, 3, 4, 6, 6, timezone(timedelta(hours=2))),
    )
    fact = FileFact("/in/a.csv", 10, 1.5, "ff")
    started(store, run)
    store.record_source(run, "orders", 0, Landed(read=5, landed=4, rejected=1, inputs=(fact,)))
    store.record_source(run, "orders", 1, Landed(read=5, landed=4, rejected=1))
    store.record_step(run, step)
    store.record_quality(run, verdict("orders", rows=8, valid=6))
    store.record_quarantine(run, "orders", "/q/orders")
    store.update_rows(run, quarantined=2, valid=6, staged=6)
    store.record_published(run, Published("/lake/orders", 7, 6))
    store.record_loaded(run, Loaded("orders", 6, location="/w.duckdb"))
    store.record_report(run, "/runs/report.html")
    store.finish_run(run, outcome=Outcome.PASS_WITH_QUARANTINE)

    found = store.run("run-1")

    assert found.key == run
    assert found.rows == RowCounts(10, 2, 8, 2, 6, 6, 6, 6)
    assert found.score == 0.75
    assert found.outcome is Outcome.PASS_WITH_QUARANTINE
    assert (found.table, found.version, found.report) == ("/lake/orders", 7, "/runs/report.html")
    assert (found.warehouse_table, found.warehouse_location) == ("orders", "/w.duckdb")
    assert found.quarantine_tables == {"orders": "/q/orders"}
    assert found.steps == (step,)
    assert found.quality == (verdict("orders", rows=8, valid=6),)
    assert found.sources[0].inputs == (fact,)
    assert found.seconds is not None
    assert found.seconds >= 0
    assert {found.started_at.tzinfo, found.ended_at and found.ended_at.tzinfo} == {UTC}
    assert store.record(run) == found
    assert store.record(key("other")) is None


def test_the_same_run_id_of_another_pipeline_slice_or_generation_is_another_run(store: ControlStore) -> None:
    keys = [key(), key(pipeline="stock"), key(day=2), key(generation=2)]
    started(store, *keys)
    for number, each in enumerate(keys):
        store.update_rows(each, staged=number)
    assert {r.key: r.rows.staged for r in store.history()} == {each: number for number, each in enumerate(keys)}
    assert [r.key for r in store.runs_of_slice("shop", keys[0].slice, 2)] == [keys[3]]


def test_a_retry_reopens_a_run_unless_it_passed(store: ControlStore) -> None:
    run = key()
    started(store, run)
    first = store.run().started_at
    store.finish_run(run, outcome=Outcome.ERROR, error="no disk")
    started(store, run)
    again = store.run()
    assert (again.outcome, again.error, again.ended_at, again.started_at) == (Outcome.RUNNING, "", None, first)
    store.finish_run(run, outcome=Outcome.PASS)
    started(store, run)
    assert store.run().outcome is Outcome.PASS
    assert len(store.history()) == 1


def test_history_shows_the_last_attempt_and_all_are_kept(store: ControlStore) -> None:
    run = key()
    started(store, run)
    for attempt, outcome in enumerate([Outcome.ERROR, Outcome.RUNNING, Outcome.PASS], 1):
        store.record_step(run, StepResult("publish", outcome, attempt=attempt))
    store.record_step(run, StepResult("publish", Outcome.ERROR, error="late", attempt=2))
    assert [(s.attempt, s.outcome) for s in store.run().steps] == [(3, Outcome.PASS)]
    assert sorted((s.attempt, s.outcome, s.error) for s in store.attempts(run)) == [
        (1, Outcome.ERROR, ""),
        (2, Outcome.ERROR, "late"),
        (3, Outcome.PASS, ""),
    ]


def test_a_part_recorded_again_is_not_counted_twice(store: ControlStore) -> None:
    run = key()
    started(store, run)
    for _ in range(2):
        store.record_source(run, "orders", 0, Landed(read=5, landed=5))
    assert store.run().rows.read == 5
    store.clear_source(run, "orders")
    assert store.run().rows.read is None


def test_the_score_weighs_sources_by_rows_and_leaves_the_output_out(store: ControlStore) -> None:
    run = key()
    started(store, run)
    assert store.run().score is None
    store.record_quality(run, verdict("orders", rows=90, valid=90))
    store.record_quality(run, verdict("rates", rows=10, valid=0))
    store.record_quality(run, verdict(OUTPUT_DATASET, rows=5, valid=1))
    assert store.run().score == pytest.approx(0.9)


def test_text_that_databases_refuse_is_kept_readable(store: ControlStore) -> None:
    run = key()
    started(store, run)
    summary = {"nan": math.nan, "nul": "a\x00b"}
    store.record_step(run, StepResult("transform", Outcome.ERROR, summary=summary, error="a\x00b\udcff漢"))
    found = store.run().steps[0]
    assert found.error == "a\ufffdb?漢"
    assert math.isnan(found.summary["nan"])
    assert found.summary["nul"] == "a\x00b"


def test_what_a_step_counted_is_kept_together_with_it_or_not_at_all(store: ControlStore) -> None:
    run = key()
    started(store, run)
    store.record_step(run, StepResult("validate", Outcome.PASS), counts={"valid": 3, "quarantined": None})
    with pytest.raises(UsageError, match="stagd"):
        store.record_step(run, StepResult("transform", Outcome.PASS), counts={"staged": 3, "stagd": 3})
    with pytest.raises(UsageError, match="not in the control store"):
        store.record_step(key("never started"), StepResult("validate", Outcome.PASS), counts={"valid": 3})
    found = store.run("run-1")
    assert [step.step for step in found.steps] == ["validate"]
    assert (found.rows.valid, found.rows.quarantined, found.rows.staged) == (3, None, None)
    assert store.attempts(key("never started")) == ()


def test_times_without_a_zone_are_refused(store: ControlStore) -> None:
    run = key()
    started(store, run)
    with pytest.raises(ControlStoreError):
        store.record_step(run, StepResult("x", Outcome.PASS, started_at=datetime(2026, 1, 1)))  # noqa: DTZ001 - the bad input


def test_runs_are_found_by_the_start_of_their_id(store: ControlStore) -> None:
    started(store, key("abc-1"), key("abd-2", day=2), key("10%_x", day=3))
    assert store.run("abc").key.run_id == "abc-1"
    assert store.run("10%").key.run_id == "10%_x"
    assert store.run().key.run_id == "10%_x"
    assert store.run(pipeline="shop", run_id_or_prefix="abd").key.run_id == "abd-2"
    with pytest.raises(UsageError, match="fits several") as several:
        store.run("ab")
    assert "abc-1" in several.value.found
    with pytest.raises(UsageError, match="no run has the id") as none:
        store.run("abc-9")
    assert "abc-1" in none.value.found
    with pytest.raises(UsageError, match="no run"):
        store.run(pipeline="other")


def test_an_id_of_two_pipelines_needs_the_pipeline(store: ControlStore) -> None:
    started(store, key(), key(pipeline="stock"))
    with pytest.raises(UsageError, match="fits several"):
        store.run("run-1")
    assert store.run("run-1", pipeline="stock").key.pipeline == "stock"


def test_recording_into_a_run_that_never_started_is_a_usage_error(store: ControlStore) -> None:
    with pytest.raises(UsageError, match="not in the control store"):
        store.finish_run(key("ghost"), outcome=Outcome.PASS)
    started(store, key())
    with pytest.raises(UsageError, match="unknown row counts"):
        store.update_rows(key(), stagd=1)


def test_generations_rise_one_by_one(store: ControlStore) -> None:
    run = key()
    assert store.current_generation("shop", run.slice) == 1
    assert [store.raise_generation("shop", run.slice) for _ in range(3)] == [2, 3, 4]
    assert store.current_generation("shop", run.slice) == 4
    assert store.current_generation("stock", run.slice) == 1
    assert store.current_generation("shop", key(day=2).slice) == 1


def test_a_generation_that_is_learned_never_lowers_one_that_is_known(store: ControlStore) -> None:
    slice = key().slice
    for published, known in ((2, 2), (5, 5), (3, 5), (1, 5)):
        store.learn_generation("shop", slice, published)
        assert store.current_generation("shop", slice) == known
    assert store.raise_generation("shop", slice) == 6
    assert store.raise_generation("shop", slice, above=9) == 10


def test_generations_raised_at_once_are_all_different(url: str) -> None:
    raised: list[int] = []

    def work() -> None:
        with ControlStore.open(url) as store:
            raised.extend(store.raise_generation("shop", key().slice) for _ in range(5))

    in_threads(work, 6)
    assert sorted(raised) == list(range(2, 32))


def test_an_alert_is_queued_once_and_stays_until_it_is_sent(store: ControlStore) -> None:
    assert store.queue_alert("shop/1/failure", {"to": ["a@example.com"]})
    assert not store.queue_alert("shop/1/failure", {"to": ["b@example.com"]})
    store.mark_alert("shop/1/failure", sent=False, error="refused")
    (pending,) = store.pending_alerts()
    assert (pending.payload, pending.attempts, pending.error) == ({"to": ["a@example.com"]}, 1, "refused")
    store.mark_alert("shop/1/failure", sent=True)
    assert store.pending_alerts() == ()
    assert not store.queue_alert("shop/1/failure", {})


def test_metrics_count_runs_attempts_scores_and_costs(store: ControlStore) -> None:
    assert store.success_rate("shop") is None
    good, bad, running = key("a"), key("b", day=2), key("c", day=3)
    started(store, good, bad, running)
    store.record_step(good, StepResult("publish", Outcome.ERROR, Usage(1, 2, 50), attempt=1))
    store.record_step(good, StepResult("publish", Outcome.PASS, Usage(1, 3, 80), attempt=2))
    store.record_quality(good, verdict("orders", rows=4, valid=3))
    store.finish_run(good, outcome=Outcome.PASS)
    store.finish_run(bad, outcome=Outcome.FAIL)
    found = store.metrics("shop")
    assert (found.runs, found.passed, found.success_rate) == (2, 1, 0.5)
    assert (found.step_attempts, found.step_success_rate) == (2, 0.5)
    assert (found.cpu_seconds, found.peak_rss_mb, found.mean_score) == (5.0, 80.0, 0.75)
    assert store.success_rate("shop", last=1) == 0.0


def test_history_is_newest_first_and_takes_as_many_queries_for_one_run_as_for_many(store: ControlStore) -> None:
    def queries(limit: int) -> int:
        seen: list[str] = []
        engine = store._database.engine
        event.listen(engine, "before_cursor_execute", lambda *a: seen.append(a[2]))
        store.history(limit=limit)
        return len(seen)

    for number in range(1, 21):
        run = key(f"run-{number:02}", day=number)
        started(store, run)
        store.record_step(run, StepResult("publish", Outcome.PASS))
        store.record_source(run, "orders", 0, Landed())
    assert [r.key.run_id for r in store.history(limit=3)] == ["run-20", "run-19", "run-18"]
    assert store.history(pipeline="other") == ()
    one = queries(1)
    assert one <= 6
    assert queries(20) / 2 <= one  # the second listener counts each query twice


def test_recording_a_step_is_one_statement_in_one_transaction(store: ControlStore) -> None:
    run = key()
    started(store, run)
    executed: list[str] = []
    commits: list[object] = []
    event.listen(store._database.engine, "before_cursor_execute", lambda *a: executed.append(a[2]))
    event.listen(store._database.engine, "commit", commits.append)
    store.record_step(run, StepResult("publish", Outcome.PASS, summary={"rows": 1}))
    assert [text.split()[0] for text in executed if not text.startswith("BEGIN")] == ["INSERT"]
    assert len(commits) == 1
