"""Limits against history, run by run: earlier is by the slice, whenever it ran."""

from __future__ import annotations

import json

import duckdb
import pytest
from deltalake import DeltaTable

from batch_processing.cli.main import run_cli
from batch_processing.control.records import RunRecord
from batch_processing.control.store import ControlStore
from batch_processing.results import LimitResult, Outcome
from tests.services.project import SmallProject


class Shop:
    """The small project, whose days have 100 orders each; batchctl runs them in this process."""

    def __init__(self, project: SmallProject) -> None:
        project.declaration["validate"]["orders"] |= {
            "threshold": 0.8,
            "limits": {"score": {"worse_by": 0.05, "at_least": 2}},
        }
        project.load()
        self.project = project

    def __call__(self, command: str, day: int, *, bad: int) -> int:
        amounts = [-1 if number <= bad else number for number in range(1, 101)]
        self.project.write_orders([f"{n},{n % 3 + 1},{a},2026-11-0{day}" for n, a in enumerate(amounts, start=1)])
        return run_cli([command, "--slice", f"2026-11-0{day}", "--json"])

    @property
    def last(self) -> RunRecord:
        with ControlStore.open(self.project.load().project.control_url) as control:
            return control.history(pipeline="orders", limit=1)[0]

    @property
    def limit(self) -> LimitResult:
        return self.last.quality[0].limits[0]

    def days(self) -> dict[int, int]:
        """Day -> its rows in the table; the warehouse has the same."""
        table = DeltaTable(str(self.project.table)).to_pyarrow_table()["day"].to_pylist()
        with duckdb.connect(str(self.project.warehouse), read_only=True) as warehouse:
            served = dict(warehouse.execute("SELECT day(day), count(*) FROM orders GROUP BY 1").fetchall())
        found = {one.day: table.count(one) for one in table}
        assert found == served
        return found


@pytest.fixture
def shop(project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> Shop:
    for name, value in project.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)
    return Shop(project)


def test_a_slice_is_judged_against_the_slices_before_it_and_no_others(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [shop("run", day, bad=2) for day in (2, 3)] == [0, 0]
    assert (shop.limit.state, shop.limit.slices) == ("not_judged", 1)
    assert shop("run", 4, bad=7) == 0
    assert (shop.limit.state, shop.limit.slices, shop.limit.median) == ("held", 2, 0.98)
    assert shop.days() == {2: 98, 3: 98, 4: 93}

    capsys.readouterr()
    assert shop("run", 5, bad=8) == 1
    assert (
        "orders: score 0.92 is below 0.93, the median 0.98 of 3 earlier slices minus 0.05 (8 of 100 rows broke a rule)"
        in json.loads(capsys.readouterr().out)["error"]
    )
    assert (shop.last.outcome, shop.last.version) == (Outcome.FAIL, None)
    assert shop.days() == {2: 98, 3: 98, 4: 93}

    assert shop("reprocess", 2, bad=15) == 0, "nothing is before it, and what came later says nothing about it"
    assert (shop.limit.state, shop.limit.slices) == ("not_judged", 0)
    assert shop.days() == {2: 85, 3: 98, 4: 93}

    assert shop("run", 5, bad=12) == 0, "judged against 0.85, 0.98 and 0.93: the day made anew counts as it is now"
    assert (shop.limit.state, shop.limit.slices, shop.limit.median) == ("held", 3, 0.93)
