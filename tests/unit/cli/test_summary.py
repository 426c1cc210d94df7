from dataclasses import replace
from pathlib import Path

import pytest

from batch_processing.cli.failure import RUN_KEYS
from batch_processing.cli.summary import next_command, print_summary, run_object
from batch_processing.results import LimitResult, Outcome, RowCounts, RunResult

from ..report import records  # noqa: TID252 - the sample runs are those of the report's tests


def result(**changes: object) -> RunResult:
    run = records.good()
    base = RunResult(
        "batch_processor", run.key.slice, 1, "r-1", "embedded", run.outcome, run.score, run.rows, run.steps,
        table=run.table, version=41, warehouse_table="batch", warehouse_location="w.duckdb", report="/r/report.html",
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def printed(what: RunResult, capsys: pytest.CaptureFixture[str]) -> str:
    print_summary(what, record=records.good(), folder=Path("/r"), log=Path("/r/run.log"))
    return capsys.readouterr().out


def test_the_object_has_the_promised_keys_in_order() -> None:
    document = run_object(result())
    assert tuple(document) == RUN_KEYS
    assert list(document["rows"]) == [
        "read", "rejected", "landed", "quarantined", "valid", "staged", "published", "loaded",
    ]  # fmt: skip
    assert document["delta"] == {"table": "/srv/demo/delta/batch", "version": 41}
    assert document["warehouse"] == {"table": "batch"}
    assert set(document["steps"][0]) == {"id", "outcome", "seconds", "peak_rss_mb"}


def test_a_failed_run_s_object_has_error_and_exit_code() -> None:
    document = run_object(result(outcome=Outcome.FAIL, error="bad", exit_code=1))
    assert (document["error"], document["exit_code"]) == ("bad", 1)


def test_the_summary_says_what_was_counted_and_where_things_are(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(result(), capsys)
    for words in ("PASS WITH QUARANTINE", "34,064", "26", "711", "29,265", "97.91 %", "version 41", "w.duckdb",
                  "/r/report.html", "/r/run.log", "_quarantine", "Next: batchctl report --open"):  # fmt: skip
        assert words in text


def test_a_failed_run_ends_with_its_error_and_its_report(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(result(outcome=Outcome.FAIL, error="too bad [orders]", exit_code=1), capsys)
    assert "too bad [orders]" in text
    assert text.rstrip().endswith("batchctl report r-1 --open")


def test_a_slice_that_was_published_before_says_how_to_make_it_anew(capsys: pytest.CaptureFixture[str]) -> None:
    what = result(outcome=Outcome.PASS, rows=RowCounts(published=5, loaded=5))
    assert "batchctl reprocess --slice 2026-11-01T02:00:00Z" in printed(what, capsys)
    assert next_command(what) == "batchctl history"


def test_no_colour_codes_are_written_where_it_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b" not in printed(result(), capsys)


def test_a_limit_that_nobody_held_the_data_to_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    run = records.good()
    held = LimitResult("id_unique", "count", "held", 9, "id_unique: 3 failing rows are within its limit 9")
    waits = LimitResult("score", "worse_by", "not_judged", 0.02, "score: worse_by 0.02 is not judged yet: 1 of 3")
    run = replace(run, quality=(replace(run.quality[0], limits=(held, waits)),))
    print_summary(result(), record=run, folder=Path("/r"), log=Path("/r/run.log"))
    text = capsys.readouterr().out
    assert "orders: score: worse_by 0.02 is not judged yet: 1 of 3" in text
    assert "id_unique" not in text
