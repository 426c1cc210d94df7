"""Currency rates for the demo: the European Central Bank's kind of list, made from a seed number."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from examples.local_api import LocalApi

BASE_RATES = {
    "USD": "0.86", "GBP": "1.14", "CHF": "1.07", "SEK": "0.091", "NOK": "0.086", "DKK": "0.1339", "PLN": "0.235",
    "CZK": "0.0411", "HUF": "0.00257", "RON": "0.1967", "JPY": "0.0057", "CAD": "0.615", "AUD": "0.565",
}  # fmt: skip
"""EUR for one unit, around which a day's rate moves by up to one percent."""

PAGE_SIZE = 5
"""Small, so that the thirteen rates need three pages."""


def rates_for(day: date, *, seed: int) -> list[dict[str, str]]:
    """That day's rates, as the API serves them: decimal numbers as text, as money APIs send them."""
    rng = random.Random(f"{seed} {day}")
    step = Decimal("0.00000001")
    return [
        {
            "currency": currency,
            "rate_date": day.isoformat(),
            "eur_per_unit": str((Decimal(base) * (1 + Decimal(rng.randint(-100, 100)) / 10_000)).quantize(step)),
        }
        for currency, base in BASE_RATES.items()
    ]


def rates_api(*, seed: int, token: str) -> LocalApi:
    """The API `GET /rates?date=2026-11-01`, in pages of five, for who has the token."""

    def records(params: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        try:
            day = date.fromisoformat(params.get("date", ""))
        except ValueError:
            return []
        return rates_for(day, seed=seed)

    return LocalApi("/rates", key="rates", records=records, page_size=PAGE_SIZE, token=token)
