"""Sample data for a new project: made from a seed number, with faults of every kind planted in it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

_DAYS = 3
_ORDERS_PER_DAY = 400
_CUSTOMERS = 60
_FIRST_DAY = datetime(2026, 10, 29, tzinfo=UTC)
_RATES = {"EUR": 1.0, "USD": 0.92, "GBP": 1.17, "CHF": 1.06}
_COUNTRIES = ("AT", "CH", "DE", "FR", "GB", "US")
_FIRST = ("Ada", "Alan", "Barbara", "Donald", "Edsger", "Grace", "Katherine", "Ken", "Margaret", "Niklaus")
_LAST = ("Berg", "Costa", "Dubois", "Ito", "Keller", "Novak")
_HEADER = ("id", "customer_id", "amount", "currency", "ordered_at")

Record = list[str]


@dataclass(frozen=True)
class Planted:
    """How many faults are in the sample.

    Attributes:
        orders: records in the order files.
        no_id: records without an id.
        repeated: further records with the id of an earlier one; the earlier ones are bad too.
        out_of_range: records whose amount is negative or above a million.
        no_currency: records without a currency, which is only a warning.
        unreadable: records that do not parse as declared.
    """

    orders: int
    no_id: int
    repeated: int
    out_of_range: int
    no_currency: int
    unreadable: int

    @property
    def quarantined(self) -> int:
        """Rows that break a critical rule."""
        return self.no_id + 2 * self.repeated + self.out_of_range


def write_sample(folder: Path, *, seed: int) -> Planted:
    """Writes orders (two CSV files, one gzipped), customers (SQLite) and rates (JSON lines) into a folder.

    The same seed gives the same rows.
    """
    chance = random.Random(seed)  # noqa: S311 - sample data, not a secret
    records = _orders(chance)
    planted = _plant(records, chance)
    (folder / "orders").mkdir(parents=True, exist_ok=True)
    for day in range(_DAYS):
        text = _csv(records[day::_DAYS])
        name = f"{_FIRST_DAY + timedelta(days=day):%Y-%m-%d}.csv"
        if day == _DAYS - 1:
            (folder / "orders" / f"{name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
        else:
            (folder / "orders" / name).write_bytes(text.encode())
    _write_customers(folder / "shop.sqlite", chance)
    lines = [json.dumps({"currency": currency, "eur_rate": rate}) for currency, rate in _RATES.items()]
    (folder / "rates.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return planted


def _orders(chance: random.Random) -> list[Record]:
    return [
        [
            str(100_000 + number),
            str(chance.randint(1, _CUSTOMERS)),
            f"{chance.lognormvariate(4, 1):.2f}",
            chance.choice(list(_RATES)),
            f"{_FIRST_DAY + timedelta(seconds=chance.randrange(_DAYS * 86_400)):%Y-%m-%dT%H:%M:%SZ}",
        ]
        for number in range(_DAYS * _ORDERS_PER_DAY)
    ]


def _plant(records: list[Record], chance: random.Random) -> Planted:
    """Spoils some records, each in one way only, so that the counts add up."""
    places = chance.sample(range(len(records)), 44)
    no_id, low, high = places[:6], places[6:11], places[11:15]
    no_currency, unreadable = places[15:20], places[20:26]
    originals, copies = places[26:32], places[32:38]
    for place in no_id:
        records[place][0] = ""
    for place in low:
        records[place][2] = f"-{records[place][2]}"
    for place in high:
        records[place][2] = "1000001.50"
    for place in no_currency:
        records[place][3] = ""
    for original, copy in zip(originals, copies, strict=True):
        records[copy][0] = records[original][0]
    _make_unreadable(records, unreadable)
    return Planted(
        orders=len(records),
        no_id=len(no_id),
        repeated=len(copies),
        out_of_range=len(low) + len(high),
        no_currency=len(no_currency),
        unreadable=len(unreadable),
    )


def _make_unreadable(records: list[Record], places: Sequence[int]) -> None:
    """A word for a number, a day that no month has, a field too many: in turn."""
    for turn, place in enumerate(places):
        match turn % 3:
            case 0:
                records[place][2] = "plenty"
            case 1:
                records[place][4] = "2026-02-31T00:00:00Z"
            case _:
                records[place].append("one field too many")


def _csv(records: Sequence[Record]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_HEADER, *records])
    return text.getvalue()


def _write_customers(path: Path, chance: random.Random) -> None:
    rows = [
        (number, f"{chance.choice(_FIRST)} {chance.choice(_LAST)}", chance.choice(_COUNTRIES))
        for number in range(1, _CUSTOMERS + 1)
    ]
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE customers (customer_id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT)")
        database.executemany("INSERT INTO customers VALUES (?, ?, ?)", rows)
        database.commit()
