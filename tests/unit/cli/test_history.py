import json
from pathlib import Path

import pytest

from batch_processing.cli.history import run_facts, step_figures
from batch_processing.cli.main import run_cli
from batch_processing.control.records import RunKey
from batch_processing.control.store import ControlStore
from batch_processing.results import Outcome

from ..report import records  # noqa: TID252 - the sample runs are those of the report's tests


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BATCH_HOME", raising=False)
    monkeypatch.delenv("BATCH_CONTROL_STORE", raising=False)
    (tmp_path / ".batch").mkdir()
    with ControlStore.open(f"sqlite:///{tmp_path}/.batch/control.db") as control:
        for number, outcome in enumerate((Outcome.PASS, Outcome.FAIL)):
            key = RunKey("shop", records.SLICE, 1, f"run-{number}")
            control.start_run(key, engine="embedded", trigger="cli")
            control.record_step(key, records.step("validate", 0, 2.0, outcome=outcome, error="bad" if number else ""))
            control.record_quality(key, records.good().quality[0])
            control.finish_run(key, outcome=outcome)
    return tmp_path


def test_history_shows_runs_steps_and_rates(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["history"]) == 0
    out = capsys.readouterr().out
    for words in ("run-0", "run-1", "FAIL", "97.63 %", "validate", "50 % passed", "2.00 s", "240 MiB"):
        assert words in out


def test_history_as_json_is_one_object_with_figures_per_run_and_step(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["history", "--json", "--pipeline", "shop", "--limit", "1"]) == 0
    document = json.loads(capsys.readouterr().out)
    (run,) = document["runs"]
    assert run["run_id"] == "run-1"
    assert run["cpu_seconds"] == 1.6
    assert run["peak_rss_mb"] == 240
    assert run["step_success"] == 0
    assert run["steps"][0]["seconds"] == 2.0
    assert document["pipelines"][0]["success_rate"] == 0.5


def test_history_of_another_pipeline_is_empty_not_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["history", "--pipeline", "nothing"]) == 0
    assert "no run of nothing" in capsys.readouterr().out


def test_report_writes_the_page_of_the_latest_run_and_prints_its_path(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["report"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.is_relative_to(folder / ".batch" / "runs")
    assert "run-1" in path.read_text(encoding="utf-8")


def test_report_takes_the_start_of_an_id_and_suggests_for_an_unknown_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["report", "run-0"]) == 0
    assert run_cli(["report", "rum-9"]) == 2
    assert "run-" in capsys.readouterr().err


def test_figures_of_a_step_count_its_parts_and_leave_out_what_still_runs() -> None:
    figures = {step.step: step for step in step_figures([records.good(), records.running()])}
    assert figures["extract_orders"].ended == 3
    assert figures["wait_for_orders"].ended == 2
    assert figures["validate"].peak_rss_mb == 1330


def test_facts_of_a_run_that_still_goes_on_have_no_end() -> None:
    facts = run_facts(records.running())
    assert facts["ended_at"] is None
    assert facts["seconds"] is None
    json.dumps(facts)
