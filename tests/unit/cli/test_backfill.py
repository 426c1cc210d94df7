from datetime import UTC, datetime, timedelta

import pytest

from batch_processing.cli.backfill import NOT_RUN, PUBLISHED, Backfill, backfill_object
from batch_processing.cli.workers import WorkerEnd
from batch_processing.results import Slice

FIRST = datetime(2026, 11, 1, tzinfo=UTC)
SLICES = tuple(Slice(FIRST + timedelta(days=n), FIRST + timedelta(days=n + 1)) for n in range(4))


def ended(*codes: int) -> Backfill:
    outcomes = {0: "PASS", 1: "FAIL"}
    ends = {
        part: WorkerEnd(part, code, 1.0, {"outcome": outcomes.get(code)})
        for part, code in zip(SLICES, codes, strict=False)
    }
    return Backfill(SLICES, ends=ends)


@pytest.mark.parametrize(
    ("codes", "worst"), [((), 0), ((0, 0), 0), ((0, 1, 0), 1), ((1, 3, 0), 3), ((3, 1), 3), ((1, 2), 2)]
)
def test_the_exit_code_is_the_worst_of_the_slices(codes: tuple[int, ...], worst: int) -> None:
    assert ended(*codes).exit_code == worst


def test_each_slice_says_how_it_ended_or_why_it_did_not_run() -> None:
    backfill = ended(0, 3)
    backfill.skipped = {SLICES[2]: PUBLISHED}
    document = backfill_object("orders", backfill)
    assert [part["outcome"] for part in document["slices"]] == ["PASS", "ERROR", PUBLISHED, NOT_RUN]
    assert (document["run"], document["passed"], document["skipped"], document["exit_code"]) == (2, 1, 1, 3)
