"""Manifests: what one step writes, the next reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_processing.errors import StorageError
from batch_processing.pipeline.manifests import (
    ExtractManifest,
    Manifests,
    SourceVerdict,
    ValidateManifest,
    WaitManifest,
)
from batch_processing.results import FileFact, Landed, Outcome, Published, QualityResult, RuleResult

FACT = FileFact(path="/x/ä b.csv", size=3, mtime=1.25, sha256="00")


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    rule = RuleResult("r", "row", Outcome.FAIL, element_count=3, unexpected_count=1, observed={"min": None})
    quality = QualityResult("orders", "s", "f", Outcome.PASS_WITH_QUARANTINE, 2 / 3, 0.5, 3, 2, 1, (rule,))
    verdict = SourceVerdict(3, 2, 1, quality, Published("t", 4, 1, ("/t/a.parquet",), metadata={"counts": {"a": 1}}))
    for value in (
        WaitManifest("t", ((FACT,), ())),
        ExtractManifest("t", Landed(("/a",), 3, 2, 1, ("/r",), (FACT,))),
        ValidateManifest("t", "f", {"orders": verdict}),
    ):
        Manifests(tmp_path).write("step", value)
        assert Manifests(tmp_path).read("step", type(value)) == value


def test_parts_are_kept_apart(tmp_path: Path) -> None:
    manifests = Manifests(tmp_path)
    for part in range(2):
        manifests.write("extract_a", ExtractManifest(str(part), Landed()), part=part)
    assert [manifests.need("extract_a", ExtractManifest, part=part).token for part in range(2)] == ["0", "1"]


def test_a_step_that_has_not_finished_is_named(tmp_path: Path) -> None:
    assert Manifests(tmp_path).read("transform", WaitManifest) is None
    with pytest.raises(StorageError, match="step transform has left no result"):
        Manifests(tmp_path).need("transform", WaitManifest)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"token": 3}', "\x00"])
def test_a_damaged_manifest_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "wait.json").write_text(text)
    with pytest.raises(StorageError, match=r"manifest is damaged|cannot read a JSON file"):
        Manifests(tmp_path).read("wait", WaitManifest)
