"""The demo's input: the same from the same seed, and with exactly the faults it says."""

import csv
import gzip
import io
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import fields, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pytest
from examples.orders.faults import Faults, Planted
from examples.orders.generate import COLUMNS, PARTS, make_input
from examples.orders.rates import BASE_RATES, rates_for

DAY = date(2026, 11, 1)
SMALL = Faults(
    null_id=7,
    duplicate_id=5,
    amount_out_of_range=6,
    future_date=4,
    null_id_and_amount=3,
    too_few_columns=2,
    too_many_columns=2,
    bad_number=2,
    bad_timestamp=2,
    not_utf8=2,
    unbalanced_quote=1,
)


def make(folder: Path, *, seed: int = 1, orders: int = 2_000, faults: Faults = SMALL) -> Planted:
    return make_input(folder, crm=folder / "crm.db", day=DAY, seed=seed, orders=orders, customers=50, faults=faults)


def texts(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted((folder / "orders" / DAY.isoformat()).iterdir()):
        data = path.read_bytes()
        found[path.name] = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "surrogateescape")
    return found


def records(folder: Path) -> list[list[str]]:
    """Every record of every file, read by Python's own CSV reader; a cut last line ends at the end of its file."""
    return [row for text in texts(folder).values() for row in list(csv.reader(io.StringIO(text, newline="")))[1:]]


def readable(row: list[str]) -> bool:
    try:
        values = dict(zip(COLUMNS, row, strict=True))
        values["note"].encode()
        Decimal(values["amount"])
        datetime.fromisoformat(values["ordered_at"])
    except (ValueError, InvalidOperation):
        return False
    return "cut off" not in values["note"]


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make(tmp_path / name)
    files = [sorted((tmp_path / name / "orders").rglob("*.csv*")) for name in ("a", "b")]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
    assert [path.name for path in files[0]] == list(PARTS)


def test_another_seed_gives_other_orders(tmp_path: Path) -> None:
    make(tmp_path / "a", seed=1)
    make(tmp_path / "b", seed=2)
    assert texts(tmp_path / "a") != texts(tmp_path / "b")


def test_the_planted_counts_are_those_an_independent_reader_finds(tmp_path: Path) -> None:
    planted = make(tmp_path)
    rows = records(tmp_path)
    good = [dict(zip(COLUMNS, row, strict=True)) for row in rows if readable(row)]
    ids = Counter(row["id"] for row in good if row["id"])
    broken = {
        "id_not_null": [row["id"] == "" for row in good],
        "id_unique": [ids[row["id"]] > 1 for row in good],
        "amount_in_range": [not 0 <= Decimal(row["amount"]) <= 1_000_000 for row in good],
        "no_future_dates": [
            datetime.fromisoformat(row["ordered_at"]) > datetime.fromisoformat(row["exported_at"]) for row in good
        ],
    }
    assert len(rows) == planted.records
    assert len(rows) - len(good) == planted.rejected
    assert {rule: sum(hits) for rule, hits in broken.items()} == planted.broken_rules
    assert sum(any(hits) for hits in zip(*broken.values(), strict=True)) == planted.quarantined
    assert planted.landed == planted.quarantined + planted.valid


def test_unknown_customers_are_counted_among_the_good_orders(tmp_path: Path) -> None:
    planted = make(tmp_path, faults=Faults.none())
    with closing(sqlite3.connect(tmp_path / "crm.db")) as database:
        known = {str(row[0]) for row in database.execute("SELECT id FROM customers")}
    assert len(known) == planted.customers == 50
    assert sum(row[COLUMNS.index("customer_id")] not in known for row in records(tmp_path)) == planted.unknown_customers
    assert planted.unknown_customers > 0


def test_clean_input_has_no_fault_at_all(tmp_path: Path) -> None:
    planted = make(tmp_path, faults=Faults.none())
    assert (planted.rejected, planted.quarantined, planted.score) == (0, 0, 1.0)
    assert all(readable(row) for row in records(tmp_path))


def test_notes_need_a_real_csv_reader(tmp_path: Path) -> None:
    make(tmp_path, faults=Faults.none())
    notes = {row[COLUMNS.index("note")] for row in records(tmp_path)}
    assert any("\n" in note for note in notes)
    assert any('"' in note for note in notes)
    assert any("," in note for note in notes)


def test_the_cut_line_is_the_last_of_a_plain_file(tmp_path: Path) -> None:
    make(tmp_path)
    assert [name for name, text in texts(tmp_path).items() if text.endswith('"cut off in the mid')] == [PARTS[1]]


@pytest.mark.parametrize("field", [field.name for field in fields(Faults)])
def test_each_fault_can_be_planted_alone(tmp_path: Path, field: str) -> None:
    planted = make(tmp_path, faults=replace(Faults.none(), **{field: 1}))
    hits = planted.rejected + planted.quarantined
    assert hits == (2 if field == "duplicate_id" else 1)


def test_the_demo_as_shipped_stays_above_the_threshold() -> None:
    planted = Planted(orders=120_000, faults=Faults(), unknown_customers=0, customers=5_000, rates=13)
    assert 0.95 < planted.score < 1.0


@pytest.mark.parametrize(("orders", "faults"), [(3, SMALL), (100, replace(SMALL, unbalanced_quote=2))])
def test_faults_that_do_not_fit_are_refused(tmp_path: Path, orders: int, faults: Faults) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        make(tmp_path, orders=orders, faults=faults)


def test_rates_are_the_day_s_own_and_repeat() -> None:
    first = rates_for(DAY, seed=1)
    assert first == rates_for(DAY, seed=1)
    assert first != rates_for(date(2026, 11, 2), seed=1)
    assert [rate["currency"] for rate in first] == list(BASE_RATES)
    assert all(Decimal(rate["eur_per_unit"]) > 0 for rate in first)
