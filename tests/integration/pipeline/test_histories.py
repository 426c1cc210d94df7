"""Random histories of slices against a model of the documents; a failure prints its seed and every operation.

More of them:

    HISTORIES=50 HISTORIES_SEED=1 pytest tests/integration/pipeline/test_histories.py
"""

from __future__ import annotations

import os
import random

import pytest

from batch_processing.cli.main import run_cli
from tests.integration.pipeline.history_model import Mode
from tests.integration.pipeline.history_operations import random_history, random_setup
from tests.integration.pipeline.history_player import Batchctl, Player, written
from tests.services.project import SmallProject

SEED = int(os.environ.get("HISTORIES_SEED", "20261101"))
ROUNDS = int(os.environ.get("HISTORIES", "1"))


@pytest.fixture
def batchctl(project: SmallProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Batchctl:
    for name, value in project.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)

    def command(*arguments: str) -> int:
        capsys.readouterr()
        return run_cli([*arguments, "--json"])

    return command


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["overwrite", "append", "replace_partitions", "merge"])
@pytest.mark.parametrize("turn", range(ROUNDS))
def test_a_history_leaves_what_the_documents_say(
    project: SmallProject, batchctl: Batchctl, mode: Mode, turn: int
) -> None:
    seed = SEED + turn
    chance = random.Random(f"{mode} {seed}")
    setup = random_setup(chance, mode)
    operations = random_history(chance)
    player = Player(project, batchctl, setup, chance)
    try:
        player.play(operations)
        player.settle()
    except Exception as error:
        error.add_note(f"seed {seed}, after operation {player.at}\n{written(setup, operations)}")
        raise
