"""Numbers, times and sizes as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")

NOTHING = "—"
"""What stands where nothing is known."""


def number(value: int | None) -> str:
    """`1,234,567`; from a trillion on `1.23 T`; a dash for None."""
    if value is None:
        return NOTHING
    if abs(value) >= 10**12:
        return f"{value / 10**12:,.2f} T"
    return f"{value:,}"


def percent(share: float | None) -> str:
    """A share as a percentage that never rounds to the perfect or the empty value.

    99.9996 % is not 100 %, and one row in a billion is not 0 %.
    """
    if share is None:
        return NOTHING
    if share in (0.0, 1.0):
        return f"{share * 100:.0f} %"
    value = share * 100
    if 0 < value < 0.01:
        return "< 0.01 %"
    if 99.99 < value < 100:
        return "> 99.99 %"
    return f"{value:.2f}".rstrip("0").rstrip(".") + " %"


def duration(seconds: float | None) -> str:
    """`0.42 s`, `12.3 s`, `4 min 05 s`, `2 h 03 min`; a dash for None."""
    if seconds is None:
        return NOTHING
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def memory(mebibytes: float | None) -> str:
    """`312 MiB`, `3.1 GiB`; a dash for None and for nothing measured."""
    if not mebibytes:
        return NOTHING
    return f"{mebibytes:,.0f} MiB" if mebibytes < 1024 else f"{mebibytes / 1024:,.1f} GiB"


def size(count: int | None) -> str:
    """Bytes as `14 B`, `3.2 MiB`; a dash for None."""
    if count is None:
        return NOTHING
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_SIZES) - 1:
        value, unit = value / 1024, unit + 1
    return f"{count:,} B" if unit == 0 else f"{value:,.1f} {_SIZES[unit]}"


def moment(when: datetime | None) -> str:
    """`2026-11-01 02:00:00 UTC`; a dash for None. A time without zone counts as UTC."""
    if when is None:
        return NOTHING
    aware = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return aware.strftime("%Y-%m-%d %H:%M:%S UTC")
