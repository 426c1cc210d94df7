"""The embedded engine's memory pool is sized from what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_processing.errors import SettingError
from batch_processing.spark.memory import available_bytes, pool_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (None, 4 << 30),
        ("25%", 2 << 30),
        ("1g", 1 << 30),
        ("1.5G", 3 << 29),
        ("512m", 512 << 20),
        ("100 MiB", 100 << 20),
    ],
)
def test_sizes_and_shares(text: str | None, size: int) -> None:
    assert pool_bytes(text, available=8 << 30) == size


@pytest.mark.parametrize("text", ["", "lots", "-1g", "1m", "0"])
def test_what_is_no_usable_size_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"engine\.memory"):
        pool_bytes(text, available=8 << 30)


def test_a_container_limit_counts(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("1048576\n")
    assert available_bytes(cgroup_files=(str(limit),)) == 1 << 20
    limit.write_text("max\n")
    assert available_bytes(cgroup_files=(str(limit), str(tmp_path / "none"))) > 1 << 20
