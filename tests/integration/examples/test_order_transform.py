"""The transform of `batch_processor`, on both engines: no order lost, and the same figures."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from batch_processing.errors import UsageError
from batch_processing.spark.jobs.transform import transform

ORDERS = (
    "id bigint, customer_id bigint, ordered_at timestamp, exported_at timestamp, channel string, currency string,"
    " items int, amount decimal(12,2), note string, _source_file string, _source_row bigint"
)
CUSTOMERS = "id bigint, name string, segment string, country string, registered_on date"
RATES = "currency string, rate_date date, eur_per_unit decimal(18,8)"
DAY = date(2026, 11, 1)
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
EXPORTED = datetime(2026, 11, 2, 0, 30, tzinfo=UTC)


def order(
    number: int, *, amount: str = "10.00", currency: str = "EUR", customer: int | None = 1, at: datetime | None = NOON
) -> tuple[Any, ...]:
    return (number, customer, at, EXPORTED, "web", currency, 1, Decimal(amount), None, "orders.csv", number)


def run(spark: Any, orders: Sequence[tuple[Any, ...]]) -> list[dict[str, Any]]:
    customers = [(1, "Ada", "business", "DE", date(2026, 10, 2)), (2, "Bob", None, "FR", None)]
    rates = [("USD", DAY, Decimal("0.85505000")), ("EUR", DAY, Decimal("7.00000000"))]
    inputs = {
        "orders": spark.createDataFrame(list(orders), ORDERS),
        "customers": spark.createDataFrame(customers, CUSTOMERS),
        "rates": spark.createDataFrame(rates, RATES),
    }
    rows = transform(spark, inputs, batch_date="2026-11-01").toArrow().to_pylist()
    return sorted(rows, key=lambda row: row["id"])


def test_an_order_gets_its_customer_its_day_and_its_euros(spark: Any) -> None:
    (row,) = run(spark, [order(1, amount="49.99", currency="USD")])
    assert row == {
        "id": 1,
        "batch_date": DAY,
        "ordered_at": NOON,
        "order_date": DAY,
        "order_hour": 12,
        "weekday": 7,
        "weekday_name": "Sunday",
        "is_weekend": True,
        "days_late": 0,
        "customer_id": 1,
        "customer_known": True,
        "customer_segment": "business",
        "customer_country": "DE",
        "customer_age_days": 30,
        "channel": "web",
        "currency": "USD",
        "items": 1,
        "amount": Decimal("49.99"),
        "eur_per_unit": Decimal("0.85505000"),
        "amount_eur": Decimal("42.74"),
        "order_size": "small",
        "note": None,
    }


def test_orders_without_customer_or_rate_or_time_are_kept(spark: Any) -> None:
    rows = run(spark, [order(1, customer=99), order(2, customer=None), order(3, currency="XXX"), order(4, at=None)])
    assert [row["id"] for row in rows] == [1, 2, 3, 4]
    assert [row["customer_known"] for row in rows] == [False, False, True, True]
    assert [row["customer_segment"] for row in rows] == ["unknown", "unknown", "business", "business"]
    assert (rows[2]["amount_eur"], rows[2]["order_size"]) == (None, None)
    assert (rows[3]["order_date"], rows[3]["weekday_name"], rows[3]["batch_date"]) == (None, None, DAY)


def test_a_customer_without_segment_is_known_and_of_unknown_segment(spark: Any) -> None:
    (row,) = run(spark, [order(1, customer=2)])
    assert (row["customer_known"], row["customer_segment"], row["customer_age_days"]) == (True, "unknown", None)


def test_euros_are_euros_whatever_the_rates_say(spark: Any) -> None:
    (row,) = run(spark, [order(1, amount="12.34")])
    assert (row["eur_per_unit"], row["amount_eur"]) == (Decimal("1.00000000"), Decimal("12.34"))


def test_half_cents_go_up_and_away_from_zero_on_both_engines(spark: Any) -> None:
    # 1000.00 * 0.85505 = 855.05; 0.10 * 0.85505 = 0.085505; 100 * 0.85505 = 85.505, which is a half.
    rows = run(spark, [order(n, amount=text, currency="USD") for n, text in enumerate(("0.10", "100.00", "-100.00"))])
    assert [row["amount_eur"] for row in rows] == [Decimal("0.09"), Decimal("85.51"), Decimal("-85.51")]


def test_the_days_of_a_week_are_numbered_from_monday(spark: Any) -> None:
    week = [datetime(2026, 10, 26 + n, 23, 59, 59, tzinfo=UTC) for n in range(6)] + [NOON]
    rows = run(spark, [order(n, at=at) for n, at in enumerate(week)])
    assert [row["weekday"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert [row["is_weekend"] for row in rows] == [False] * 5 + [True] * 2
    assert [row["days_late"] for row in rows] == [6, 5, 4, 3, 2, 1, 0]


def test_size_bands_start_at_their_limits(spark: Any) -> None:
    amounts = ("0.00", "49.99", "50.00", "249.99", "250.00", "999.99", "1000.00", "1000000.00")
    rows = run(spark, [order(n, amount=text) for n, text in enumerate(amounts)])
    bands = ["small", "small", "medium", "medium", "large", "large", "extra_large", "extra_large"]
    assert [row["order_size"] for row in rows] == bands


def test_no_orders_give_no_rows_and_all_columns(spark: Any) -> None:
    assert run(spark, []) == []


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01"])
def test_a_batch_date_that_is_no_day_is_refused(spark_embedded: Any, text: str) -> None:
    with pytest.raises(UsageError, match=r"batch_date is not a day .*batch_date: "):
        transform(spark_embedded, {"orders": spark_embedded.createDataFrame([], ORDERS)}, batch_date=text)
