import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from batch_processing.cli import failure, main
from batch_processing.cli.main import run_cli
from batch_processing.errors import MESSAGE_LIMIT, DataError, SourceMissing, UsageError

HEAVY = ["pyspark", "duckdb", "pyarrow", "deltalake", "great_expectations", "airflow", "sqlalchemy", "httpx"]
GOOD = """
pipeline: tiny
sources:
  orders:
    files: {path: "{{ project }}/in/*.csv"}
    schema: {id: bigint}
transform: tiny:transform
target: {table: "{{ project }}/out", mode: append}
"""
COMMANDS = (
    "init", "validate", "plan", "run", "reprocess", "backfill", "history", "report", "ledger", "quarantine", "maintain",
)  # fmt: skip
BAD = GOOD.replace("sources:", "souces:").replace("append", "apend")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("BATCH_HOME", "BATCH_CONTROL_STORE", "BATCH_SETTINGS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def raising(error: BaseException) -> object:
    def command(*_: object, **__: object) -> int:
        raise error

    return command


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize("asked", ["--help", "-h"])
def test_help_is_on_standard_output_also_beside_json(capsys: pytest.CaptureFixture[str], asked: str) -> None:
    assert run_cli(["check", "--json", asked]) == 0
    assert "--threshold" in capsys.readouterr().out


def test_no_command_at_all_shows_the_help_and_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli([]) == 2
    assert "history" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [(["rnu"], "'run'"), (["run", "--slcie", "x"], "--slice"), (["histroy", "--json"], "'history'")],
)
def test_a_mistyped_word_gets_a_suggestion(arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(arguments) == 2
    captured = capsys.readouterr()
    assert hint in captured.err
    assert "Traceback" not in captured.err


def test_wrong_use_with_json_prints_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["run", "--json", "--bogus"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == 2
    assert "--bogus" in document["error"]
    assert set(failure.RUN_KEYS) <= document.keys()


def test_a_valid_declaration_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pipeline.yml").write_text(GOOD)
    assert run_cli(["validate"]) == 0
    assert "tiny is valid" in capsys.readouterr().out


def test_all_problems_of_a_declaration_come_at_once_with_file_line_and_key(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pipeline.yml").write_text(BAD)
    assert run_cli(["validate"]) == 2
    err = capsys.readouterr().err
    assert "pipeline.yml:3: souces" in err
    assert "sources" in err
    assert re.search(r"pipeline.yml:8: target.mode: .*append", err)


def test_problems_of_a_declaration_are_data_in_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pipeline.yml").write_text(BAD)
    assert run_cli(["run", "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert {problem["key"] for problem in document["problems"]} >= {"souces", "target.mode"}


def test_plan_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pipeline.yml").write_text(GOOD)
    (folder / "in").mkdir()
    (folder / "in" / "a.csv").write_text("id\n1\n")
    before = sorted(folder.rglob("*"))
    assert run_cli(["plan", "--slice", "2026-11-01"]) == 0
    out = capsys.readouterr().out
    assert "2026-11-01T00:00:00Z" in out
    assert "a.csv" in out
    assert "mode append" in out
    assert "extract_orders" in out
    assert sorted(folder.rglob("*")) == before


def test_plan_names_the_variable_that_is_not_set(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pipeline.yml").write_text(GOOD.replace("{{ project }}/in", "{{ var.value.inbox }}"))
    assert run_cli(["plan"]) == 2
    assert "'inbox' is not set" in capsys.readouterr().err
    assert run_cli(["plan", "--set", "inbox=/nowhere"]) == 0
    assert "/nowhere/*.csv (csv): no file matches yet" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["history"], ["report"], ["ledger"]])
def test_looking_back_where_nothing_ran_says_so_and_makes_nothing(
    folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(command) == 2
    assert "no run is recorded" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("wrong", where="here", found="that", fix="this"), 2),
        (DataError("bad data"), 1),
        (SourceMissing("x" * 2 * MESSAGE_LIMIT), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_error_has_its_exit_code_and_no_traceback(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "app", raising(error))
    assert run_cli(["run", "--json"]) == code
    captured = capsys.readouterr()
    assert json.loads(captured.out)["exit_code"] == code
    assert "Traceback" not in captured.err


def test_an_unexpected_error_is_one_line_and_its_traceback_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(main, "app", raising(ZeroDivisionError("secret value")))
    assert run_cli(["run"]) == 3
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "secret" not in err
    (kept,) = tmp_path.glob("batchctl-*.log")
    assert str(kept) in err
    assert "ZeroDivisionError" in kept.read_text()


@pytest.mark.parametrize("command", ["--help", "validate"])
def test_quick_commands_import_nothing_heavy_and_are_quick(folder: Path, command: str) -> None:
    (folder / "pipeline.yml").write_text(GOOD)
    code = (
        "import sys\nfrom batch_processing.cli.main import run_cli\n"
        f"code = run_cli([{command!r}])\n"
        f"heavy = {HEAVY!r}\n"
        "sys.exit(code or ','.join(name for name in heavy if name in sys.modules) or 0)"
    )
    fastest = 60.0
    for _ in range(3):
        began = os.times()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
        ended = os.times()
        assert done.returncode == 0, done.stderr
        fastest = min(
            fastest, ended.children_user + ended.children_system - began.children_user - began.children_system
        )
    # CPU seconds, so that a busy machine does not decide.
    assert fastest < (0.5 if command == "--help" else 1.0)


def test_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["--version"]) == 0
    assert re.fullmatch(r"batchctl \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    script = f"{sys.executable} -m batch_processing.cli.main --help | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
