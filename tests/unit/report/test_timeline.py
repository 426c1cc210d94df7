from datetime import timedelta

from batch_processing.report.timeline import timeline
from batch_processing.results import Outcome, StepResult, Usage

from .records import START, step


def test_parts_of_a_mapped_step_share_a_row() -> None:
    rows = timeline([step("extract_orders[0]", 0, 2), step("extract_orders[1]", 1, 3), step("validate", 4, 1)]).rows
    assert [(row.name, row.parts) for row in rows] == [("extract_orders", 2), ("validate", 1)]
    assert rows[0].seconds == 4
    assert rows[0].cpu_seconds == 4


def test_segments_stay_inside_the_lane() -> None:
    rows = timeline([step("a", 0, 100), step("b", 100, 0.0001), step("c", 99.999, 0.001)]).rows
    for row in rows:
        for segment in row.segments:
            assert segment.width > 0
            assert segment.left >= 0
            assert segment.left + segment.width <= 100


def test_the_worst_part_gives_the_row_its_outcome() -> None:
    rows = timeline(
        [step("e[0]", 0, 1), step("e[1]", 0, 1, outcome=Outcome.ERROR, error="gone"), step("e[2]", 0, 1)]
    ).rows
    assert rows[0].outcome is Outcome.ERROR
    assert rows[0].errors == ("gone",)


def test_a_running_step_reaches_to_now() -> None:
    steps = [step("a", 0, 10), step("b", 10, 0, outcome=Outcome.RUNNING)]
    found = timeline(steps, now=START + timedelta(seconds=20))
    assert found.seconds == 20
    assert found.rows[1].segments[0].width == 50


def test_a_step_without_times_has_no_bar() -> None:
    found = timeline([StepResult("a", Outcome.PASS, Usage(3.0, 1.0, 5.0))])
    assert found.rows[0].segments == ()
    assert found.rows[0].seconds == 3.0


def test_no_steps_is_an_empty_timeline() -> None:
    assert timeline([]).rows == ()
