"""A reader that polls the table while runs fail their audit never sees a row of theirs."""

from __future__ import annotations

import threading
from pathlib import Path

from deltalake import DeltaTable

from batch_processing.results import Outcome
from tests.services.project import OUTPUT_SUITE, SmallProject

READS = 1_000
FORBIDDEN = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "amount", "max_value": -1}}


class Reader(threading.Thread):
    """Reads the whole table again and again, and keeps what it saw: rows, and the highest id."""

    def __init__(self, table: Path) -> None:
        super().__init__(daemon=True)
        self.table, self.seen, self.enough = table, [], threading.Event()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self.enough.is_set():
                ids = DeltaTable(str(self.table)).to_pyarrow_table(columns=["id"])["id"]
                self.seen.append((len(ids), max(ids.to_pylist())))
        except Exception as error:  # noqa: BLE001 - given to the test
            self.error = error


def test_a_thousand_reads_beside_failing_audits_see_no_unaudited_row(project: SmallProject) -> None:
    assert project.run().outcome is Outcome.PASS
    project.write_suite({**OUTPUT_SUITE, "expectations": [*OUTPUT_SUITE["expectations"], FORBIDDEN]})
    project.write_orders([f"{n},1,1.5,2026-11-02" for n in range(200, 300)])
    reader = Reader(project.table)
    reader.start()
    runs = 0
    try:
        while len(reader.seen) < READS and reader.error is None:
            found = project.run(day="2026-11-02")
            assert (found.outcome, found.rows.published) == (Outcome.FAIL, None)
            runs += 1
    finally:
        reader.enough.set()
        reader.join()
    assert reader.error is None
    assert runs
    assert len(reader.seen) >= READS
    assert set(reader.seen) == {(100, 100)}
    assert DeltaTable(str(project.table)).version() == 0
