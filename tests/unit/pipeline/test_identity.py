"""Rows told apart by input and number: one lost, doubled or swapped is seen, also where the counts agree."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_processing.errors import LedgerError
from batch_processing.pipeline.identity import (
    Tally,
    check_each_once,
    check_same_rows,
    identity_of_files,
    joined,
    less,
)
from batch_processing.pipeline.manifests import ExtractManifest, Manifests
from batch_processing.results import Landed


def tally(*numbers: int) -> Tally:
    return Tally(len(numbers), sum(numbers), sum(n * n for n in numbers))


def test_the_first_rows_are_summed_without_counting_them() -> None:
    assert Tally.of_first(100) == tally(*range(1, 101))


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((1, 2, 4), "1 rows lost"),
        ((1, 2, 3, 4, 4), "1 rows added"),
        ((1, 2, 4, 4), "as record 4 in place of record 3"),
        ((2, 2, 3, 4), "as record 2 in place of record 1"),
    ],
)
def test_one_row_lost_doubled_or_swapped_is_named(numbers: tuple[int, ...], words: str) -> None:
    with pytest.raises(LedgerError, match=words) as one:
        check_same_rows(
            "transform",
            into={"a": tally(1, 2, 3, 4)},
            out={"a": tally(*numbers)},
            where="t",
            equation="x != y",
            fix="no",
        )
    assert "breaks at transform" in str(one.value)
    assert "4 rows (numbers 10" in str(one.value)


def test_a_row_of_another_input_does_not_stand_in() -> None:
    with pytest.raises(LedgerError, match="in 2 inputs"):
        check_same_rows(
            "x", into={"a": tally(1), "b": tally(1)}, out={"a": tally(1, 1)}, where="t", equation="e", fix="f"
        )


def test_rejected_and_landed_rows_together_are_each_record_once() -> None:
    landed, rejected = {"a": tally(1, 3)}, {"a": tally(2)}
    check_each_once("extract a", joined(landed, rejected), where="a", fix="f")
    assert less(joined(landed, rejected), rejected) == landed
    with pytest.raises(LedgerError, match="extract a"):
        check_each_once("extract a", joined(landed, {"a": tally(3)}), where="a", fix="f")


def test_names_that_look_like_patterns_are_read_as_they_are(tmp_path: Path) -> None:
    for name in ("a[1].parquet", "a1.parquet"):
        rows = {"_source_file": [name] * 2, "_source_row": pa.array([1, 2], pa.int64())}
        pq.write_table(pa.table(rows), tmp_path / name)
    assert identity_of_files([str(tmp_path / "a[1].parquet")]) == {"a[1].parquet": tally(1, 2)}
    assert identity_of_files([]) == {}


def test_sums_beyond_64_bits_pass_through_a_manifest(tmp_path: Path) -> None:
    manifest = ExtractManifest("t", Landed(), identity={"a": Tally.of_first(10**9)})
    manifests = Manifests(tmp_path)
    manifests.write("extract_a", manifest, part=0)
    assert manifests.read("extract_a", ExtractManifest, part=0) == manifest
