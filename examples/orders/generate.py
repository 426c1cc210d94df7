"""Makes a day's input for `batch_processor`: order files and a customer database, with planted faults."""

from __future__ import annotations

import csv
import gzip
import io
import math
import random
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import fields
from datetime import date, datetime, timedelta
from pathlib import Path

from examples.orders.faults import DEFAULT_FAULTS, Faults, Planted
from examples.orders.rates import BASE_RATES, rates_for

COLUMNS = ("id", "customer_id", "ordered_at", "exported_at", "channel", "currency", "items", "amount", "note")
CHANNELS = ("web", "app", "store", "phone")
SEGMENTS = ("consumer", "consumer", "consumer", "business", "public", None)
COUNTRIES = ("DE", "FR", "NL", "AT", "PL", "SE", "IT", "ES", "US", "GB", "CH")
NOTES = ("gift, please wrap", 'customer said "call first"', "leave at door\nring twice", "Grüße aus Köln", "n/a; ok")
LATIN_1_NOTE = "Grüße".encode("latin-1").decode("utf-8", "surrogateescape")
"""Written back to bytes, this is no UTF-8."""

PARTS = ("orders-00.csv", "orders-01.csv", "orders-02.csv.gz", "orders-03.csv.gz")
"""The day's files: two plain, two compressed. The last plain one may end in a cut line."""

CURRENCIES = tuple(BASE_RATES)
EURO_SHARE, UNKNOWN_CUSTOMER_SHARE, LATE_SHARE, NOTE_SHARE = 0.6, 0.004, 0.03, 0.02

Row = list[str]


def make_input(
    source: Path,
    *,
    crm: Path,
    day: date,
    seed: int,
    orders: int = 120_000,
    customers: int = 5_000,
    faults: Faults = DEFAULT_FAULTS,
) -> Planted:
    """Writes the order files of a day and the customer database. The same arguments give the same bytes.

    Args:
        source: the folder that `batch_source_path` names; files go to `orders/<day>/` in it.
        crm: the SQLite file of the customer database; made new.
        day: the slice's day.
        seed: chooses the data.
        orders: order records, the second copies of duplicates not counted.
        customers: rows in the customer database.
        faults: what to plant.

    Returns:
        What was planted.

    Raises:
        ValueError: more faults than orders, or more than one cut line.
    """
    if faults.total > orders or faults.unbalanced_quote > 1:
        raise ValueError(f"{faults.total} faults do not fit into {orders} orders, with at most one unbalanced quote")
    rng = random.Random(seed)
    kinds = _spread(rng, orders=orders, faults=faults)
    unknown = 0
    rows: list[Row] = []
    copies: list[Row] = []
    cut_line: Row | None = None
    for number in range(orders):
        kind = kinds.get(number)
        stranger = rng.random() < UNKNOWN_CUSTOMER_SHARE
        row = _order(rng, number=number, day=day, customers=customers, stranger=stranger)
        unknown += stranger and kind is None
        if kind == "unbalanced_quote":
            cut_line = row
            continue
        if kind is not None:
            _FAULTS[kind](rng, row)
        if kind == "duplicate_id":
            copies.append(list(row))
        rows.append(row)
    _write_files(source / "orders" / day.isoformat(), rows=rows, copies=copies, cut_line=cut_line)
    _write_customers(crm, rng=rng, count=customers)
    rates = len(rates_for(day, seed=seed))
    return Planted(orders=orders, faults=faults, unknown_customers=unknown, customers=customers, rates=rates)


def _spread(rng: random.Random, *, orders: int, faults: Faults) -> dict[int, str]:
    """Which order gets which fault."""
    kinds = [field.name for field in fields(faults) for _ in range(getattr(faults, field.name))]
    return dict(zip(rng.sample(range(orders), len(kinds)), kinds, strict=True))


def _order(rng: random.Random, *, number: int, day: date, customers: int, stranger: bool) -> Row:
    late = 1 + int(rng.random() * 5) if rng.random() < LATE_SHARE else 0
    minute, second = divmod(int(rng.random() * 86_400), 60)
    currency = "EUR" if rng.random() < EURO_SHARE else _pick(rng, CURRENCIES)
    amount = min(math.exp(rng.gauss(4.2, 1.1)), 900_000.0)
    return [
        f"{day:%y%m%d}{number:07d}",
        str(customers + 1 + int(rng.random() * 1_000) if stranger else 1 + int(rng.random() * customers)),
        f"{day - timedelta(days=late)}T{minute // 60:02d}:{minute % 60:02d}:{second:02d}Z",
        f"{day + timedelta(days=1)}T00:30:00Z",
        _pick(rng, CHANNELS),
        currency,
        str(1 + int(rng.random() * 9)),
        f"{amount:.2f}",
        _pick(rng, NOTES) if rng.random() < NOTE_SHARE else "",
    ]


def _pick(rng: random.Random, values: Sequence[str]) -> str:
    """As `rng.choice`, at a third of its time: it is called for every order."""
    return values[int(rng.random() * len(values))]


def _set(column: str, value: Callable[[random.Random, Row], str]) -> Callable[[random.Random, Row], None]:
    place = COLUMNS.index(column)

    def change(rng: random.Random, row: Row) -> None:
        row[place] = value(rng, row)

    return change


def _bad_amount(rng: random.Random, _: Row) -> str:
    return f"{rng.choice((-1, 1)) * (1_000_001 + rng.randrange(9_000_000))}.{rng.randrange(100):02d}"


def _after_export(rng: random.Random, row: Row) -> str:
    exported = datetime.fromisoformat(row[COLUMNS.index("exported_at")])
    return f"{exported + timedelta(days=rng.randint(1, 400)):%Y-%m-%dT%H:%M:%SZ}"


def _null_id_and_amount(rng: random.Random, row: Row) -> None:
    _FAULTS["null_id"](rng, row)
    _FAULTS["amount_out_of_range"](rng, row)


def _shorten(rng: random.Random, row: Row) -> None:
    del row[rng.randint(2, 6) :]


def _lengthen(_: random.Random, row: Row) -> None:
    row.append("surplus")


_FAULTS: dict[str, Callable[[random.Random, Row], None]] = {
    "null_id": _set("id", lambda _rng, _row: ""),
    "duplicate_id": lambda _rng, _row: None,
    "amount_out_of_range": _set("amount", _bad_amount),
    "future_date": _set("ordered_at", _after_export),
    "null_id_and_amount": _null_id_and_amount,
    "too_few_columns": _shorten,
    "too_many_columns": _lengthen,
    "bad_number": _set("amount", lambda rng, _row: rng.choice(("12.3O", "free", "1.2.3"))),
    "bad_timestamp": _set("ordered_at", lambda rng, _row: rng.choice(("yesterday", "2026-13-01T00:00:00Z", "24:00"))),
    "not_utf8": _set("note", lambda _rng, _row: LATIN_1_NOTE),
}


def _write_files(folder: Path, *, rows: Sequence[Row], copies: Sequence[Row], cut_line: Row | None) -> None:
    """Deals the rows over the day's files; a copy goes into another file than most of the orders around it."""
    folder.mkdir(parents=True, exist_ok=True)
    size = -(-len(rows) // len(PARTS))
    for index, name in enumerate(PARTS):
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows[index * size : (index + 1) * size])
        writer.writerows(copies[index :: len(PARTS)])
        if cut_line is not None and index == 1:
            text.write(",".join(cut_line[:-1]) + ',"cut off in the mid')
        data = text.getvalue().encode("utf-8", "surrogateescape")
        path = folder / name
        path.write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)


def _write_customers(path: Path, *, rng: random.Random, count: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    first = date(2015, 1, 1)
    rows = [
        (
            number,
            f"Customer {number}",
            rng.choice(SEGMENTS),
            rng.choice(COUNTRIES),
            (first + timedelta(days=rng.randrange(3_600))).isoformat(),
        )
        for number in range(1, count + 1)
    ]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, segment TEXT, country TEXT NOT NULL,"
            " registered_on TEXT NOT NULL)"
        )
        database.executemany("INSERT INTO customers VALUES (?, ?, ?, ?, ?)", rows)
