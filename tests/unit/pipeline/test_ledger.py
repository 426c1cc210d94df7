"""The row ledger's equations."""

from __future__ import annotations

import pytest

from batch_processing.errors import LedgerError
from batch_processing.pipeline.ledger import (
    check_landed,
    check_loaded,
    check_preserved,
    check_published,
    check_validated,
)
from batch_processing.results import Landed


def test_equal_counts_pass_at_every_hop() -> None:
    check_landed("orders", Landed(read=10, landed=7, rejected=3))
    check_validated("orders", landed=7, valid=5, quarantined=2)
    check_preserved(valid=5, staged=5, source="orders")
    check_published(staged=5, published=5, table="t")
    check_loaded(published=5, loaded=5, table="t")


@pytest.mark.parametrize(
    ("call", "hop", "numbers"),
    [
        (lambda: check_landed("orders", Landed(read=10, landed=7, rejected=2)), "extract orders", "1 rows lost"),
        (lambda: check_landed("orders", Landed(read=10, landed=7, rejected=4)), "extract orders", "1 rows added"),
        (lambda: check_validated("orders", landed=7, valid=5, quarantined=1), "validate orders", "1 rows lost"),
        (lambda: check_preserved(valid=5, staged=6, source="orders"), "transform", "1 rows added"),
        (lambda: check_published(staged=5, published=4, table="t"), "publish", "1 rows lost"),
        (lambda: check_loaded(published=5, loaded=7, table="t"), "load_warehouse", "2 rows added"),
    ],
)
def test_one_row_too_few_or_too_many_names_the_hop_and_the_numbers(call: object, hop: str, numbers: str) -> None:
    with pytest.raises(LedgerError) as caught:
        call()  # type: ignore[operator]
    assert hop in str(caught.value)
    assert numbers in str(caught.value)
