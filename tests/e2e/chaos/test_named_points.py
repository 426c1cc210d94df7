"""A run killed at any named point, and run again, leaves what one clean run leaves."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pytest

from tests.e2e.chaos.points import MERGE_POINTS, POINTS
from tests.e2e.chaos.trials import Scene, Trials

WAYS = ("run", "retry")
FILLED, EMPTY, MERGE, LATE = Scene(), Scene(empty=True), Scene("merge"), Scene("merge", late=True)
ON_AN_EMPTY_TABLE = (
    "control: the run started",
    "quarantine: before its commit",
    "quarantine: after its commit",
    "publish: before the commit",
    "publish: at the log entry",
    "publish: after the commit",
    "warehouse: table made",
    "warehouse: before its commit",
)
CASES = [
    *((point, FILLED) for point in POINTS),
    *((point, EMPTY) for point in ON_AN_EMPTY_TABLE),
    *((point, MERGE) for point in ("publish: before the commit", "publish: after the commit")),
    *((point, LATE) for point in MERGE_POINTS),
]
"""Every other case is run again as batchctl does, the others are retried as Airflow does; the sweep does both."""

Outcomes = dict[tuple[str, Scene], Future[list[str]]]


@pytest.fixture(scope="module")
def outcomes(trials: Trials, request: pytest.FixtureRequest) -> Iterator[Outcomes]:
    """The trials of the tests that were asked for, two at a time."""
    wanted = {item.callspec.params["case"] for item in request.session.items if hasattr(item, "callspec")
              and "case" in item.callspec.params and item.module is request.module}  # fmt: skip
    with ThreadPoolExecutor(2) as pool:
        yield {
            case: pool.submit(partial(trials.kill_at, *case, ways=(WAYS[number % 2],)))
            for number, case in enumerate(CASES)
            if case in wanted
        }


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}, {case[1]}")
def test_a_killed_run_ends_as_a_clean_one(outcomes: Outcomes, case: tuple[str, Scene]) -> None:
    assert outcomes[case].result() == []


def test_there_are_at_least_twenty_points() -> None:
    assert len(POINTS) >= 20
