"""The history that limits look at: published slices that passed, by their place in time and not by when they ran."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from batch_processing.control.records import RunKey
from batch_processing.control.store import ControlStore
from batch_processing.pipeline.limits import history_for
from batch_processing.quality.limits import Limit, judge_limits
from batch_processing.results import LimitResult, Outcome, Published, QualityResult, RuleResult, Slice


def day(number: int) -> Slice:
    start = datetime(2026, 11, number, 2, tzinfo=UTC)
    return Slice(start, start + timedelta(days=1))


def ran(
    store: ControlStore,
    number: int,
    *,
    bad: int,
    rows: int = 100,
    run_id: str = "r",
    pipeline: str = "shop",
    generation: int = 1,
    outcome: Outcome = Outcome.PASS_WITH_QUARANTINE,
    dataset: str | None = "orders",
    nulls: int = 0,
    published: bool = True,
) -> None:
    """One run of a slice whose verdict says how many of its rows were bad."""
    key = RunKey(pipeline, day(number), generation, run_id)
    store.start_run(key, engine="embedded", trigger="cli")
    if dataset is not None:
        rule = RuleResult("r", "row", Outcome.FAIL, element_count=rows, unexpected_count=bad, missing_count=nulls)
        score = 1 - bad / rows if rows else 1.0
        store.record_quality(key, QualityResult(dataset, "s", "", outcome, score, 0.0, rows, rows - bad, bad, (rule,)))
    if published:
        store.record_published(key, Published("/lake/orders", number, rows - bad))


def bad_rows(store: ControlStore, before: int, *, last: int = 7, dataset: str = "orders") -> list[int]:
    return [one.quarantined for one in store.earlier_verdicts("shop", day(before), dataset=dataset, last=last)]


def test_earlier_is_by_the_slice_however_the_backfill_ran(store: ControlStore) -> None:
    for number in (4, 2, 8, 3, 1, 9, 5):
        ran(store, number, bad=number)
    assert bad_rows(store, 5) == [4, 3, 2, 1]
    assert bad_rows(store, 5, last=2) == [4, 3]
    assert bad_rows(store, 1) == []


def test_only_what_passed_and_was_published_counts(store: ControlStore) -> None:
    ran(store, 1, bad=1)
    ran(store, 2, bad=2, outcome=Outcome.FAIL, published=False)
    ran(store, 3, bad=3, outcome=Outcome.PASS, published=False)
    ran(store, 4, bad=4, outcome=Outcome.ERROR)
    ran(store, 5, bad=0, outcome=Outcome.PASS)
    assert bad_rows(store, 9) == [0, 1]


def test_a_slice_without_rows_leaves_its_place_to_those_before_it(store: ControlStore) -> None:
    for number in (1, 2, 3, 5):
        ran(store, number, bad=number)
    for number in (4, 6, 7):
        ran(store, number, bad=0, rows=0, outcome=Outcome.PASS)
    assert bad_rows(store, 8, last=3) == [5, 3, 2]


def test_other_pipelines_and_datasets_do_not_count(store: ControlStore) -> None:
    ran(store, 1, bad=1)
    ran(store, 2, bad=2, pipeline="other")
    ran(store, 3, bad=3, dataset="staged output")
    assert bad_rows(store, 9) == [1]
    assert bad_rows(store, 9, dataset="staged output") == [3]


def test_a_slice_counts_once_by_its_newest_published_generation(store: ControlStore) -> None:
    ran(store, 1, bad=1)
    ran(store, 1, bad=11, generation=2, run_id="again")
    ran(store, 1, bad=22, generation=3, run_id="failed", outcome=Outcome.FAIL, published=False)
    ran(store, 2, bad=2)
    ran(store, 2, bad=2, run_id="met the first one")
    ran(store, 3, bad=3)
    ran(store, 3, bad=0, generation=2, run_id="not judged any more", dataset=None)
    assert bad_rows(store, 9) == [2, 11]


def test_runs_of_the_slice_itself_never_count(store: ControlStore) -> None:
    ran(store, 1, bad=1)
    ran(store, 2, bad=2)
    ran(store, 2, bad=3, generation=2, run_id="again")
    assert bad_rows(store, 2) == [1]


def of_history(store: ControlStore, number: int, name: str, limit: Limit) -> tuple[list[int], LimitResult]:
    """The history a run of this slice is given for one limit, and what comes of the limit with 10 of 100 rows bad."""
    ctx: Any = SimpleNamespace(control=store, spec=SimpleNamespace(pipeline="shop"), slice=day(number))
    limits = {name: limit}
    history = history_for(ctx, "orders", limits)
    rule = RuleResult("r", "row", Outcome.FAIL, element_count=100, unexpected_count=10)
    (found,) = judge_limits(limits, [rule], rows=100, bad=10, history=history)
    return [one.quarantined for one in history], found


def test_slices_that_have_nothing_to_compare_with_do_not_switch_a_limit_off(store: ControlStore) -> None:
    for number in (1, 2, 3, 4):
        ran(store, number, bad=number)
    ran(store, 5, bad=0, rows=0, outcome=Outcome.PASS)
    for number in (6, 7, 8):
        ran(store, number, bad=0, nulls=100, outcome=Outcome.PASS)
    limit = Limit(worse_by=0.01, last=3)
    _, found = of_history(store, 9, "r", limit)
    assert (found.state, found.slices, found.median) == ("broken", 3, 0.03)
    given, found = of_history(store, 6, "score", limit)
    assert given == [4, 3, 2]
    assert (found.state, found.slices, found.median) == ("broken", 3, 0.97)


def test_the_search_for_slices_to_compare_with_ends(store: ControlStore) -> None:
    for number in range(1, 7):
        ran(store, number, bad=number)
    given, _ = of_history(store, 7, "r", Limit(worse_by=0.01, last=1))
    assert given == [6, 5, 4, 3]


def test_limits_come_back_as_they_were_recorded(store: ControlStore) -> None:
    key = RunKey("shop", day(1), 1, "r")
    store.start_run(key, engine="embedded", trigger="cli")
    limit = LimitResult("score", "worse_by", "held", 0.02, "score 0.99 is ...", observed=0.99, median=0.98, slices=5)
    rule = RuleResult("r", "row", Outcome.PASS, element_count=10, unexpected_count=0)
    verdict = QualityResult("orders", "s", "", Outcome.PASS, 0.99, 0.9, 100, 99, 1, (rule,), limits=(limit,))
    store.record_quality(key, verdict)
    found = store.record(key)
    assert found is not None
    assert found.quality == (verdict,)
