"""batchctl in a folder of its own, with a suite."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from batch_processing.cli.main import run_cli

Command = Callable[..., tuple[int, str, str]]
NOT_NULL = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}}
POSITIVE = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "amount", "min_value": 0}}


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs batchctl in a folder with the suite `orders`; gives exit code, output and error output."""
    suites = tmp_path / "gx" / "expectations"
    suites.mkdir(parents=True)
    (suites / "orders.json").write_text(json.dumps({"name": "orders", "expectations": [NOT_NULL, POSITIVE]}))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = run_cli(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
