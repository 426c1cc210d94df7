"""The suites that are judged, and the orders they judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Rule = dict[str, Any]


def _rule(kind: str, column: str, **kwargs: Any) -> Rule:
    return {"type": f"expect_column_{kind}", "kwargs": {"column": column, **kwargs}}


THREE: list[Rule] = [
    _rule("values_to_not_be_null", "id"),
    _rule("values_to_be_unique", "id"),
    _rule("values_to_be_between", "amount", min_value=0, max_value=1_000_000),
]

CURRENCIES = ["EUR", "USD", "GBP", "JPY"]
STATES = ["new", "paid", "sent", "done", "back"]


def _round(turn: int) -> list[Rule]:
    """One rule for each of ten columns; every turn has other ones, and all hold."""
    more = turn + 1
    return [
        _rule("values_to_not_be_null", "id") if turn else _rule("values_to_be_unique", "id"),
        _rule("values_to_be_between", "customer_id", min_value=-turn, max_value=100_000 + turn),
        _rule("values_to_be_between", "amount", min_value=-turn, max_value=1_000_000 + turn),
        _rule("values_to_be_between", "discount", min_value=-turn, max_value=100 + turn),
        _rule("values_to_be_between", "quantity", min_value=-turn, max_value=100 + turn),
        _rule("values_to_be_between", "day", min_value=f"2026-10-{more:02}", max_value=f"2026-12-{more:02}"),
        _rule("values_to_be_in_set", "currency", value_set=[*CURRENCIES, f"X{turn:02}"]),
        _rule("values_to_be_in_set", "status", value_set=[*STATES, f"state {turn}"]),
        _rule("value_lengths_to_be_between", "note", min_value=1, max_value=10 + turn),
        _rule("values_to_match_regex", "country", regex=f"^[A-Z]{{2,{more + 1}}}$"),
    ]


SUITES: dict[str, list[Rule]] = {
    "three": THREE,
    "10": _round(0),
    "100": [rule for turn in range(10) for rule in _round(turn)],
}
"""Name -> expectations."""


def make_orders(folder: Path, rows: int, *, wide: bool = False) -> Path:
    """Orders with unique ids and values in range: every rule holds, so each contender does its least work.

    Args:
        folder: where to.
        rows: how many.
        wide: with the further columns of the suites of 10 and 100 rules.
    """
    import duckdb

    path = folder / "orders.parquet"
    more = (
        f", (hash(i * 3) % 10000) / 100.0 AS discount, CAST(hash(i * 5) % 100 AS INTEGER) AS quantity, "
        f"{_one_of(CURRENCIES)} AS currency, {_one_of(STATES)} AS status, {_one_of(['DE', 'FR', 'IT'])} AS country"
    )
    with duckdb.connect() as memory:
        memory.execute("SET enable_progress_bar = false")
        memory.execute(
            "COPY (SELECT i AS id, hash(i) % 100000 AS customer_id, (hash(i * 7) % 100000000) / 100.0 AS amount, "
            f"DATE '2026-11-01' + CAST(i % 30 AS INTEGER) AS day, 'note ' || (i % 1000) AS note{more if wide else ''} "
            f"FROM range({rows}) t(i)) TO '{path}' (FORMAT parquet)"
        )
    return path


def _one_of(words: list[str]) -> str:
    return f"{words!r}[1 + CAST(hash(i) % {len(words)} AS INTEGER)]"
