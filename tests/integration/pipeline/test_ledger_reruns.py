"""The row ledger of runs that were cleared, rerun, met by another run or ended half way: no break where none was lost.

The steps are carried out one by one, as Airflow's tasks are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from batch_processing.control.records import RunRecord
from batch_processing.control.store import ControlStore
from batch_processing.delta_lake import publish as publishing
from batch_processing.errors import BatchError, LedgerError
from batch_processing.pipeline import quality_steps, steps
from batch_processing.pipeline.context import open_run
from batch_processing.pipeline.hops import Hop, hops_of
from batch_processing.pipeline.manifests import Manifests, WaitManifest
from batch_processing.pipeline.verification import later_runs, verify_run
from batch_processing.results import OUTPUT_DATASET, Published
from batch_processing.settings.slices import parse_slice
from tests.services.project import GOOD_ROWS, SUITE, SmallProject

NO_ID = ",1,5.0,2026-11-01"
NEGATIVE = "301,1,-3.0,2026-11-01"
ONE_MORE = "101,1,1.0,2026-11-01"
SHORTENING = """
from pyspark.sql import functions as sf

def transform(spark, inputs):
    orders = inputs["orders"].withColumn("_source_file", sf.element_at(sf.split("_source_file", "/"), -1))
    return orders.withColumn("_source_row", sf.greatest("_source_row", sf.lit({first}).cast("bigint")))
"""


class Killed(BaseException):
    """Ends a step as a kill does: nothing is recorded."""


def carry_out(
    project: SmallProject,
    run_id: str,
    *,
    only: Collection[str] = (),
    stop: str = "",
    generation: int | None = None,
) -> BatchError | None:
    """Runs a run's steps, or `only` some, up to `stop`; gives the error that ended it."""
    loaded = project.load()
    slice = parse_slice("2026-11-01", loaded.spec.schedule)
    with open_run(
        loaded, values=project.values(), slice=slice, run_id=run_id, generation=generation, trigger="airflow"
    ) as ctx:
        for step in ctx.plan.steps:
            if only and step.id not in only:
                continue
            parts: list[int | None] = [None]
            if step.mapped_over:
                parts = list(range(len(ctx.manifests.need(step.mapped_over, WaitManifest).parts)))
            for part in parts:
                try:
                    steps.execute_step(ctx, step, part=part)
                except BatchError as error:
                    return error
            if step.id == stop:
                break
    return None


def record(project: SmallProject, run_id: str) -> RunRecord:
    with ControlStore.open(project.load().project.control_url) as control:
        return control.run(run_id)


def ledger(project: SmallProject, run_id: str) -> dict[str, Hop]:
    """What `batchctl ledger` looks at."""
    loaded = project.load()
    with ControlStore.open(loaded.project.control_url) as control:
        found = control.run(run_id)
        later = later_runs(found, control)
    key = found.key
    manifests = Manifests.of_run(loaded.project.run_folder(key.pipeline, key.slice, key.generation, key.run_id))
    seen = verify_run(found, later=later, spec=loaded.spec, values=project.values(), manifests=manifests)
    return {hop.name: hop for hop in (*hops_of(found), *seen)}


def broken(hops: dict[str, Hop]) -> list[str]:
    return [name for name, hop in hops.items() if hop.holds is False]


def data_files(project: SmallProject) -> set[Path]:
    return set(project.table.rglob("*.parquet"))


@pytest.mark.parametrize("again", ["A", "B"])
def test_a_rerun_of_a_published_slice_with_other_rows_publishes_nothing_and_breaks_nothing(
    project: SmallProject, again: str
) -> None:
    project.write_orders([*GOOD_ROWS, NO_ID])
    carry_out(project, "A")
    published = data_files(project)
    project.write_orders([*GOOD_ROWS, ONE_MORE, NO_ID, NEGATIVE])
    assert carry_out(project, again) is None
    hops = ledger(project, again)
    assert broken(hops) == []
    assert hops["publish"].equation == "staged 101 → published 100"
    assert hops["publish"].note == "already published as version 0 by run A"
    quarantine = hops["quarantine orders"]
    assert (quarantine.holds, quarantine.note) == (None, "the published run's quarantine stays")
    assert data_files(project) == published, "what the rerun staged is removed, what is published stays"
    assert carry_out(project, again, only=("publish", "load_warehouse")) is None
    assert data_files(project) == published
    project.write_orders(GOOD_ROWS)
    assert carry_out(project, again) is None
    assert broken(ledger(project, again)) == [], "without a bad row there is no manifest to say so"


def test_a_run_without_a_bad_row_is_held_to_an_empty_quarantine(project: SmallProject) -> None:
    project.write_orders([*GOOD_ROWS, NO_ID])
    carry_out(project, "A", stop="validate")
    project.write_orders(GOOD_ROWS)
    carry_out(project, "A")
    hop = ledger(project, "A")["quarantine orders"]
    assert (hop.holds, hop.equation) == (True, "quarantined 0 = in the table 0")


def test_a_publish_that_is_repeated_keeps_its_own_files(project: SmallProject) -> None:
    carry_out(project, "A")
    published = data_files(project)
    assert carry_out(project, "A", only=("transform", "validate_output", "publish", "load_warehouse")) is None
    assert data_files(project) == published
    assert broken(ledger(project, "A")) == []


def test_a_load_that_comes_after_a_newer_generation_s_does_nothing(
    project: SmallProject, caplog: pytest.LogCaptureFixture
) -> None:
    carry_out(project, "first", generation=1, stop="publish")
    project.write_orders([*GOOD_ROWS, ONE_MORE])
    carry_out(project, "second", generation=2)
    with caplog.at_level(logging.WARNING):
        assert carry_out(project, "first", generation=1, only=("load_warehouse",)) is None
    assert "generation 2 is loaded" in caplog.text
    assert record(project, "first").rows.loaded is None
    assert record(project, "second").rows.loaded == 101


def test_a_late_load_of_a_version_that_was_overwritten_breaks_nothing(project: SmallProject) -> None:
    project.declaration["target"].update(mode="overwrite", partition_by=[])
    carry_out(project, "late", stop="publish")
    assert project.run(day="2026-11-02").error == ""
    assert carry_out(project, "late", only=("load_warehouse",)) is None
    hop = ledger(project, "late")["warehouse ledger"]
    assert (hop.holds, hop.note) == (None, "replaced by version 1 of the table, which is loaded")


def test_of_two_runs_that_meet_over_a_slice_the_loser_leaves_nothing_and_passes(
    project: SmallProject, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    carry_out(project, "A", stop="quality_metrics")
    staged = data_files(project)
    project.write_orders([*GOOD_ROWS, ONE_MORE])
    real = publishing.find_published

    def overtaken(*arguments: object, **named: object) -> Published | None:
        monkeypatch.setattr(publishing, "find_published", real)
        seen = real(*arguments, **named)  # type: ignore[arg-type]
        carry_out(project, "B")
        return seen

    monkeypatch.setattr(publishing, "find_published", overtaken)
    assert carry_out(project, "A", only=("publish", "load_warehouse")) is None
    assert "already published as version 0 by run B" in caplog.text
    assert not staged & data_files(project)
    assert [broken(ledger(project, run)) for run in "AB"] == [[], []]


def test_a_cleared_run_that_stops_at_the_gate_shows_the_new_try_alone(project: SmallProject) -> None:
    carry_out(project, "A", stop="validate")
    project.write_orders([*GOOD_ROWS, *[NO_ID] * 50])
    assert carry_out(project, "A") is not None
    hops = ledger(project, "A")
    assert broken(hops) == []
    assert hops["validate orders"].equation == "landed 150 = valid 100 + quarantined 50"
    assert "validate" not in hops, "the sum over all sources is of the earlier try"


def test_a_cleared_run_whose_extraction_breaks_shows_no_count_of_what_comes_after(project: SmallProject) -> None:
    project.declaration["sources"]["orders"]["files"]["files_per_task"] = 1
    project.write_orders(["201,1,5.0,2026-11-01"], name="b.csv")
    carry_out(project, "A")
    assert carry_out(project, "A", only=("extract_customers",)) is None
    project.write_orders(GOOD_ROWS[:90])
    project.write_orders(["1,2"], name="b.csv", header="a,b")
    assert carry_out(project, "A") is not None
    hops = ledger(project, "A")
    assert broken(hops) == []
    assert hops["landed orders"].equation == "landed 90 = in the files 90"
    assert not hops.keys() & {"validate orders", "transform", "publish", "load_warehouse"}


def test_a_source_of_one_part_whose_extraction_breaks_shows_nothing_of_the_earlier_try(project: SmallProject) -> None:
    carry_out(project, "A", stop="validate")
    (project.root / "crm.db").unlink()
    assert carry_out(project, "A", only=("extract_customers",)) is not None
    hops = ledger(project, "A")
    assert broken(hops) == []
    assert "extract customers" not in hops


def test_a_transform_with_other_rows_is_not_held_to_the_old_verdict_on_the_output(project: SmallProject) -> None:
    carry_out(project, "A", stop="validate_output")
    project.write_orders(GOOD_ROWS[:90])
    carry_out(project, "A", stop="transform")
    hops = ledger(project, "A")
    assert (broken(hops), hops["transform"].equation) == ([], "valid 93 → staged 90")
    assert "validate_output" not in hops


def test_a_step_that_is_run_again_alone_keeps_the_counts_and_verdicts_before_it(project: SmallProject) -> None:
    project.write_orders([*GOOD_ROWS, NO_ID])
    carry_out(project, "A", stop="validate_output")
    before = record(project, "A")
    carry_out(project, "A", only=("validate",))
    again = record(project, "A")
    assert [one.dataset for one in again.quality] == ["orders"], "judged before, and told again"
    assert again.quality[0] == before.quality[0]
    assert (again.rows.valid, again.rows.staged) == (before.rows.valid, None)
    carry_out(project, "A", only=("transform",))
    retried = record(project, "A")
    assert (retried.rows.valid, retried.rows.quarantined, retried.rows.staged) == (103, 1, 100)
    carry_out(project, "A", only=("validate_output", "quality_metrics", "publish", "load_warehouse"))
    assert {one.dataset for one in record(project, "A").quality} == {"orders", OUTPUT_DATASET}
    assert broken(ledger(project, "A")) == []


def test_a_table_check_whose_result_is_used_again_keeps_its_verdict(project: SmallProject) -> None:
    module = f"{project.module}_checks"
    text = "from batch_processing.quality import table_check\n\n@table_check\ndef some(df):\n    return True\n"
    (project.root / f"{module}.py").write_text(text)
    project.declaration["validate"]["orders"]["checks"] = [f"{module}:some"]
    carry_out(project, "A", stop="custom_validation")
    before = record(project, "A").quality
    assert len(before) == 2
    carry_out(project, "A", only=("custom_validation",))
    assert record(project, "A").quality == before


def test_a_run_without_a_verdict_is_not_held_to_a_quarantine(project: SmallProject) -> None:
    unknown = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "nosuch", "min_value": 0}}
    project.write_suite({**SUITE, "expectations": [*SUITE["expectations"], {**unknown, "severity": "critical"}]})
    project.write_orders([*GOOD_ROWS, NO_ID])
    assert carry_out(project, "A") is not None
    hop = ledger(project, "A")["quarantine orders"]
    assert (hop.holds, hop.note) == (None, "a check could not run: no verdict")


@pytest.mark.parametrize("tries", [1, 2])
def test_a_run_that_was_killed_before_its_quarantine_is_not_held_to_it(
    project: SmallProject, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    project.write_orders([*GOOD_ROWS, *[NO_ID] * tries])
    if tries == 2:
        carry_out(project, "A", stop="validate")
        project.write_orders([*GOOD_ROWS, NO_ID])

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(quality_steps, "_quarantine", killed)
    with pytest.raises(Killed):
        carry_out(project, "A")
    hops = ledger(project, "A")
    assert broken(hops) == []
    assert hops["quarantine orders"].note == "validate did not come to its end"


def test_a_transform_may_shorten_the_names_of_the_inputs(project: SmallProject) -> None:
    project.write_transform(SHORTENING.format(first=1))
    project.declaration["transform"] = {"function": f"{project.module}:transform", "preserves_rows": True}
    assert carry_out(project, "A", stop="transform") is None


def test_a_transform_that_shortens_the_names_and_swaps_a_row_is_still_a_break(project: SmallProject) -> None:
    project.write_transform(SHORTENING.format(first=2))
    project.declaration["transform"] = {"function": f"{project.module}:transform", "preserves_rows": True}
    error = carry_out(project, "A", stop="transform")
    assert isinstance(error, LedgerError)
    assert "the row ledger breaks at transform" in str(error)
    assert data_files(project) == set()


def test_a_transform_that_loses_a_row_leaves_no_staged_file(project: SmallProject) -> None:
    project.write_transform('def transform(spark, inputs):\n    return inputs["orders"].limit(99)\n')
    project.declaration["transform"] = {"function": f"{project.module}:transform", "preserves_rows": True}
    assert isinstance(carry_out(project, "A"), LedgerError)
    assert data_files(project) == set()


def test_a_quarantine_that_does_not_add_up_leaves_no_staged_file(
    project: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_orders([*GOOD_ROWS, NO_ID])
    real: Callable[..., object] = quality_steps.check_split

    def lost(*arguments: object, **named: object) -> None:
        real(*arguments, **named)
        raise LedgerError("the row ledger breaks at validate orders: 1 rows lost", fix="report this")

    monkeypatch.setattr(quality_steps, "check_split", lost)
    assert isinstance(carry_out(project, "A"), LedgerError)
    assert not list((project.root / "home" / "quarantine").rglob("*.parquet"))
