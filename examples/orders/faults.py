"""What is wrong with the demo's orders, on purpose: how much of each kind, and what a run must then say."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Faults:
    """How many faults of each kind to plant. No record gets two of them.

    Attributes:
        null_id: orders without an id.
        duplicate_id: orders sent twice; both of the two rows break the rule.
        amount_out_of_range: amounts below 0 or above 1,000,000.
        future_date: orders placed after the moment their file was exported.
        null_id_and_amount: orders with the first and the third fault at once.
        too_few_columns: lines cut short.
        too_many_columns: lines with a field too many.
        bad_number: an amount that is no number.
        bad_timestamp: an `ordered_at` that is no time.
        not_utf8: a note in another encoding.
        unbalanced_quote: a last line that was cut inside a quoted field; at most one per file.
    """

    null_id: int = 240
    duplicate_id: int = 180
    amount_out_of_range: int = 300
    future_date: int = 150
    null_id_and_amount: int = 30
    too_few_columns: int = 40
    too_many_columns: int = 40
    bad_number: int = 40
    bad_timestamp: int = 40
    not_utf8: int = 20
    unbalanced_quote: int = 1

    @classmethod
    def none(cls) -> Faults:
        """Clean input."""
        return cls(**{field.name: 0 for field in fields(cls)})

    @property
    def total(self) -> int:
        """Records with a fault, the second copies of duplicates not counted."""
        return sum(getattr(self, field.name) for field in fields(self))


DEFAULT_FAULTS = Faults()


@dataclass(frozen=True)
class Planted:
    """What the generator wrote, and so what a run over it must count.

    Attributes:
        orders: order records, the second copies of duplicates not counted.
        faults: what was planted.
        unknown_customers: good orders whose customer is in no export; they are kept.
        customers: rows of the customer database.
        rates: rates the API has for the day.
    """

    orders: int
    faults: Faults
    unknown_customers: int
    customers: int
    rates: int

    @property
    def records(self) -> int:
        """Order records in the files: what a run reads."""
        return self.orders + self.faults.duplicate_id

    @property
    def rejected(self) -> int:
        """Records that cannot be read as the declared schema."""
        faults = self.faults
        lines = faults.too_few_columns + faults.too_many_columns
        return lines + faults.bad_number + faults.bad_timestamp + faults.not_utf8 + faults.unbalanced_quote

    @property
    def landed(self) -> int:
        """Records that can."""
        return self.records - self.rejected

    @property
    def broken_rules(self) -> dict[str, int]:
        """Rows that break each rule of `batch_suite` and each row check, by rule id."""
        faults = self.faults
        return {
            "id_not_null": faults.null_id + faults.null_id_and_amount,
            "id_unique": 2 * faults.duplicate_id,
            "amount_in_range": faults.amount_out_of_range + faults.null_id_and_amount,
            "no_future_dates": faults.future_date,
        }

    @property
    def quarantined(self) -> int:
        """Rows that break at least one of them."""
        faults = self.faults
        ids = faults.null_id + 2 * faults.duplicate_id + faults.null_id_and_amount
        return ids + faults.amount_out_of_range + faults.future_date

    @property
    def valid(self) -> int:
        """Rows that break none: what is published."""
        return self.landed - self.quarantined

    @property
    def score(self) -> float:
        """Valid rows / landed rows of the orders."""
        return self.valid / self.landed
