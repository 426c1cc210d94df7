import io
import logging

import pytest
from rich.console import Console

from batch_processing.cli.progress import Board, progress, step_note
from batch_processing.pipeline.plan import Plan, build_plan
from batch_processing.pipeline.runner import StepEvent
from batch_processing.results import Outcome, StepResult, Usage
from batch_processing.settings.models import PipelineSpec


@pytest.fixture
def plan() -> Plan:
    return build_plan(
        PipelineSpec.model_validate(
            {
                "pipeline": "tiny",
                "sources": {"orders": {"files": {"path": "in/*.csv"}, "schema": {"id": "bigint"}}},
                "transform": "tiny:transform",
                "target": {"table": "out", "mode": "append"},
            }
        )
    )


def ended(step: str, outcome: Outcome = Outcome.PASS, **summary: object) -> StepEvent:
    return StepEvent("end", step, 2, 6, StepResult(step, outcome, Usage(1.5), summary=summary))


def shown(board: Board) -> str:
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    console.print(board)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_elsewhere_than_on_a_terminal_each_event_is_a_line(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    with progress(plan) as listen:
        listen(StepEvent("start", "extract_orders[0]", 2, 6))
        listen(ended("extract_orders[0]", read=12, rejected=2, landed=10))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "[2/6] extract_orders[0] started",
        "[2/6] extract_orders[0] PASS in 1.50 s (read 12, rejected 2, landed 10)",
    ]


def test_the_board_lists_steps_that_are_still_to_come(plan: Plan) -> None:
    text = shown(Board(plan))
    assert all(step.id in text for step in plan.steps)


def test_parts_of_a_mapped_step_are_added_up(plan: Plan) -> None:
    board = Board(plan)
    for part in range(3):
        board.listen(StepEvent("start", f"extract_orders[{part}]", 2, 6))
        board.listen(ended(f"extract_orders[{part}]", read=1000, rejected=1, landed=999))
    text = shown(board)
    assert "read 3,000, rejected 3, landed 2,997" in text
    assert "4.50 s" in text
    assert text.count("extract_orders") == 1


def test_a_step_that_runs_shows_its_time_so_far(plan: Plan) -> None:
    now = iter([10.0, 14.0])
    board = Board(plan, clock=lambda: next(now))
    board.listen(StepEvent("start", "validate", 3, 6))
    assert "4.00 s" in shown(board)


def test_outcomes_do_not_depend_on_colour(plan: Plan) -> None:
    board = Board(plan)
    board.listen(ended("validate", Outcome.FAIL))
    board.listen(ended("publish", Outcome.ERROR))
    text = shown(board)
    assert "✗" in text
    assert "!" in text


@pytest.mark.parametrize(
    ("summary", "note"),
    [
        ({}, ""),
        ({"read": 5, "rejected": 0, "landed": 5, "files": 1}, "files 1, landed 5"),
        ({"read": 5, "landed": 5, "rejected": 0, "files": 0}, "landed 5"),
        ({"published": 7, "version": 3, "already": True}, "published 7, version 3, was there already"),
        ({"table": "secret", "scores": {"a": 1}}, ""),
    ],
)
def test_notes_hold_counts_only(summary: dict[str, object], note: str) -> None:
    assert step_note(summary) == note


def test_what_a_step_waits_for_is_shown_and_other_log_lines_are_not(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logging.getLogger("batch_processing.warehouse.duckdb")
    for plain in (False, True):
        with progress(plan, plain=plain):
            log.warning("waiting for %s", "w.duckdb", extra={"waiting": True})
            log.warning("something else")
        assert capsys.readouterr().err == ("" if plain else "waiting for w.duckdb\n"), "plain: the log is shown itself"
