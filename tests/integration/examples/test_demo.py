"""`make demo`: a real DAG run whose summary shows exactly the faults that were planted."""

import io
import tempfile
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable
from examples.orders import demo
from examples.orders.faults import Planted
from examples.orders.generate import make_input
from filelock import FileLock

from batch_processing.control.records import RunRecord
from batch_processing.control.store import ControlStore
from batch_processing.results import Outcome, RowCounts

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

ORDERS = 30_000


def record_of(folder: Path) -> RunRecord:
    with ControlStore.open(f"sqlite:///{folder / 'home' / 'control.db'}") as control:
        return control.run(pipeline=demo.PIPELINE)


def planted_in(folder: Path, *, orders: int) -> Planted:
    return make_input(folder, crm=folder / "crm.db", day=demo.DAY, seed=demo.SEED, orders=orders)


@dataclass(frozen=True)
class Shown:
    """One demo: its folder, its exit code, what it printed, and the run as it was recorded."""

    folder: Path
    code: int
    text: str
    run: RunRecord
    planted: Planted


def show(folder: Path, *, orders: int) -> Shown:
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = demo.main(folder, orders=orders)
    with tempfile.TemporaryDirectory() as place:
        again = Path(place)
        planted = make_input(again, crm=again / "crm.db", day=demo.DAY, seed=demo.SEED, orders=orders)
    with ControlStore.open(f"sqlite:///{folder / 'home' / 'control.db'}") as control:
        return Shown(folder, code, printed.getvalue(), control.run(pipeline=demo.PIPELINE), planted)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return show(tmp_path_factory.mktemp("demo"), orders=ORDERS)


def test_the_demo_counts_what_was_planted_and_publishes_the_rest(shown: Shown) -> None:
    run, planted = shown.run, shown.planted
    others = planted.customers + planted.rates
    assert shown.code == 0
    assert run.outcome is Outcome.PASS_WITH_QUARANTINE
    assert run.rows == RowCounts(
        read=planted.records + others,
        rejected=planted.rejected,
        landed=planted.landed + others,
        quarantined=planted.quarantined,
        valid=planted.valid + others,
        staged=planted.valid,
        published=planted.valid,
        loaded=planted.valid,
    )
    (orders,) = [quality for quality in run.quality if quality.suite == "batch_suite"]
    assert {rule.rule_id: rule.unexpected_count for rule in orders.rules} == planted.broken_rules
    assert orders.score == planted.score
    (output,) = [quality for quality in run.quality if quality.suite == "batch_output_suite"]
    unknown = {rule.rule_id: rule.unexpected_count for rule in output.rules}["customer_known"]
    assert unknown == planted.unknown_customers


def test_the_summary_names_the_counts_the_places_and_the_next_command(shown: Shown) -> None:
    planted = shown.planted
    for count in (planted.rejected, planted.quarantined, planted.valid, *planted.broken_rules.values()):
        assert f"{count:,}" in shown.text
    for place in (shown.run.table, shown.run.report, str(shown.folder / "warehouse.duckdb")):
        assert place in shown.text
    assert "Next: BATCH_HOME=" in shown.text


def test_other_readers_find_what_the_summary_says(shown: Shown) -> None:
    planted, run = shown.planted, shown.run
    table: Any = DeltaTable(run.table).to_pyarrow_table()
    assert table.num_rows == planted.valid
    assert set(table["batch_date"].to_pylist()) == {date(2026, 11, 1)}
    assert len(set(table["id"].to_pylist())) == planted.valid
    assert table["amount_eur"].null_count == 0
    quarantine: Any = DeltaTable(run.quarantine_tables["orders"]).to_pyarrow_table()
    reasons = Counter(reason for found in quarantine["_reasons"].to_pylist() for reason in found)
    assert quarantine.num_rows == planted.quarantined
    assert dict(reasons) == planted.broken_rules
    with duckdb.connect(shown.folder / "warehouse.duckdb", read_only=True) as session:
        ((rows, ids),) = session.execute("SELECT count(*), count(DISTINCT id) FROM batch").fetchall()
    assert (rows, ids) == (planted.valid, planted.valid)
    assert Path(run.report).is_file()


def test_a_second_demo_starts_fresh_and_ends_the_same(shown: Shown) -> None:
    again = show(shown.folder, orders=ORDERS)
    assert again.code == 0
    assert (again.run.rows, again.run.score, again.run.version) == (shown.run.rows, shown.run.score, 0)


def test_input_that_is_too_bad_fails_the_demo_and_publishes_nothing(shown: Shown) -> None:
    bad = show(shown.folder, orders=2_000)
    assert bad.code == 1
    assert bad.run.outcome is Outcome.FAIL
    assert bad.run.rows.published is None
    assert not (bad.folder / "delta" / "batch" / "_delta_log").exists()
    assert Path(bad.run.report).is_file()
    assert "Data validation failed" in bad.text
    assert "batchctl report" in bad.text


def test_a_second_demo_at_the_same_time_is_kept_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FileLock(tmp_path / demo.LOCK):
        assert demo.main(tmp_path, orders=2_000) == 3
    assert "another demo is running" in capsys.readouterr().err
