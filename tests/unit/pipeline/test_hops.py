from dataclasses import replace

from batch_processing.pipeline.hops import Hop, hops_of
from batch_processing.results import Outcome, RowCounts, StepResult

from ..report import records  # noqa: TID252 - the sample runs are those of the report's tests


def broken(hops: tuple[Hop, ...]) -> list[str]:
    return [hop.name for hop in hops if hop.holds is False]


def test_a_good_run_holds_at_every_hop() -> None:
    hops = hops_of(records.good())
    assert broken(hops) == []
    assert {"validate", "transform", "publish", "load_warehouse"} <= {hop.name for hop in hops}


def test_each_count_that_is_off_by_one_breaks_the_hops_beside_it() -> None:
    run = records.good()
    last = {"published": ["publish", "load_warehouse"], "loaded": ["load_warehouse"]}
    for name, hops in last.items():
        counts = replace(run.rows, **{name: (getattr(run.rows, name) or 0) - 1})
        assert broken(hops_of(replace(run, rows=counts))) == hops
    source = replace(run.sources[0], read=run.sources[0].read + 1)
    assert broken(hops_of(replace(run, sources=(source, *run.sources[1:])))) == [f"extract {source.source}"]


def test_rows_that_a_merge_left_out_as_older_are_accounted_for() -> None:
    run = records.good()
    merged = replace(
        run,
        rows=RowCounts(staged=10, published=8, loaded=8),
        steps=(StepResult("publish", Outcome.PASS, summary={"superseded": 2}),),
        quality=(),
        sources=(),
    )
    assert [(hop.name, hop.holds) for hop in hops_of(merged)] == [("publish", True), ("load_warehouse", True)]
    assert broken(hops_of(replace(merged, steps=()))) == ["publish"]


def test_a_check_that_could_not_run_is_no_verdict_and_no_break() -> None:
    run = records.good()
    judged = next(result for result in run.quality if result.of_source)
    other = tuple(result for result in run.quality if result is not judged)
    hops = hops_of(replace(run, rows=RowCounts(), quality=(replace(judged, outcome=Outcome.ERROR, valid=0), *other)))
    assert [hop.holds for hop in hops if hop.name == f"validate {judged.dataset}"] == [None]


def test_a_run_that_came_to_nothing_has_no_hops() -> None:
    assert hops_of(replace(records.good(), rows=RowCounts(), quality=(), sources=(), steps=())) == ()
