from datetime import UTC, datetime, timedelta, timezone

import pytest

from batch_processing.report import text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "—"), (0, "0"), (1_234_567, "1,234,567"), (3_000_000_000, "3,000,000,000"), (1_234_000_000_000, "1.23 T")],
)
def test_counts_are_grouped_and_trillions_shortened(value: int | None, shown: str) -> None:
    assert text.number(value) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (None, "—"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.95, "95 %"),
        (0.97912, "97.91 %"),
        (1e-9, "< 0.01 %"),
        (1 - 1e-9, "> 99.99 %"),
    ],
)
def test_a_share_never_rounds_to_none_or_to_all(share: float | None, shown: str) -> None:
    assert text.percent(share) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "—"),
        (0.0, "0.00 s"),
        (9.994, "9.99 s"),
        (9.996, "10.0 s"),
        (59.96, "1 min 00 s"),
        (245, "4 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7_380, "2 h 03 min"),
    ],
)
def test_durations_keep_the_unit_a_person_would_use(seconds: float | None, shown: str) -> None:
    assert text.duration(seconds) == shown


def test_memory_and_sizes_name_binary_units() -> None:
    assert (text.memory(None), text.memory(0.0), text.memory(312.4), text.memory(3174.0)) == (
        "—",
        "—",
        "312 MiB",
        "3.1 GiB",
    )
    assert (text.size(None), text.size(14), text.size(3_355_443)) == ("—", "14 B", "3.2 MiB")


def test_moments_are_shown_in_utc() -> None:
    there = timezone(timedelta(hours=9))
    assert text.moment(datetime(2026, 11, 1, 11, tzinfo=there)) == "2026-11-01 02:00:00 UTC"
    assert text.moment(datetime(2026, 11, 1, 2, tzinfo=UTC)) == "2026-11-01 02:00:00 UTC"
    assert text.moment(None) == "—"
