"""`batchctl check`: judges data by a suite, with no pipeline around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batch_processing.cli.console import output_console
from batch_processing.cli.data import find_data, open_data
from batch_processing.cli.json_output import write_json
from batch_processing.cli.marks import MARKS, STYLES, words
from batch_processing.cli.places import current_project
from batch_processing.errors import TechnicalError, ValidationFailed
from batch_processing.report.text import number, percent
from batch_processing.results import Outcome, QualityResult, RuleResult, table_checks_dataset

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from batch_processing.quality.checks import Checks
    from batch_processing.quality.suite import Suite

_SEVERITY = (Outcome.PASS, Outcome.PASS_WITH_QUARANTINE, Outcome.FAIL, Outcome.ERROR)


@dataclass(frozen=True)
class CheckRequest:
    """What to judge by what: `checks` are dotted names; `html` and `data_docs` are what to write besides."""

    data: Path
    suite: str
    threshold: float = 1.0
    checks: tuple[str, ...] = ()
    as_json: bool = False
    html: Path | None = None
    data_docs: Path | None = None


@dataclass(frozen=True)
class Verdict:
    """The verdict on the rows, then the one on table checks where there are any; and GX's result JSON."""

    results: tuple[QualityResult, ...]
    gx_result: dict[str, Any]

    @property
    def outcome(self) -> Outcome:
        """The worst of them."""
        return max((result.outcome for result in self.results), key=_SEVERITY.index)

    @property
    def exit_code(self) -> int:
        if self.outcome.passed:
            return 0
        return ValidationFailed.exit_code if self.outcome is Outcome.FAIL else TechnicalError.exit_code


def check_command(request: CheckRequest) -> int:
    """Judges the data, prints the verdict, writes what was asked for, and returns the exit code.

    Raises:
        BatchError: wrong use, or data that cannot be read.
    """
    from batch_processing.quality.gate import exact_threshold

    # What is wrong with the call is told before the engine starts.
    exact_threshold(request.threshold)
    place = find_data(request.data)
    suite, checks = _rules(request.suite, request.checks)
    if request.data_docs is not None:
        from batch_processing.quality.gx import require_site_folder

        require_site_folder(request.data_docs)
    with open_data(place) as df:
        verdict = _judge(df, request, suite, checks)
    written = _write(request, verdict)
    if request.as_json:
        write_json(verdict_object(verdict))
    else:
        _print(output_console(), request, verdict, written)
    return verdict.exit_code


def verdict_object(verdict: Verdict) -> dict[str, Any]:
    """The object of `check --json`; where a rule could not judge, nothing is known of score and valid rows."""
    rows = verdict.results[0]
    judged = rows.outcome is not Outcome.ERROR
    return {
        "outcome": verdict.outcome.value,
        "exit_code": verdict.exit_code,
        "score": rows.score if judged else None,
        "threshold": rows.threshold,
        "rows": {
            "looked_at": rows.rows,
            "valid": rows.valid if judged else None,
            "bad": rows.quarantined if judged else None,
        },
        "message": "; ".join(result.message for result in verdict.results if result.message),
        "suite": {"name": rows.suite, "fingerprint": rows.fingerprint},
        "rules": [_rule_object(rule) for result in verdict.results for rule in result.rules],
        "gx_result": verdict.gx_result,
    }


def _rule_object(rule: RuleResult) -> dict[str, Any]:
    return {
        "id": rule.rule_id, "outcome": rule.outcome.value, "severity": rule.severity.value, "kind": rule.kind,
        "failing_rows": rule.unexpected_count, "failing_share": rule.failing_share, "score": rule.score,
        "message": rule.message,
    }  # fmt: skip


def _rules(suite: str, checks: Sequence[str]) -> tuple[Suite, Checks]:
    from batch_processing.quality.checks import load_checks
    from batch_processing.quality.suite import load_suite

    project = current_project()
    written = Path(suite)
    here = written.suffix == ".json" and written.is_file()  # a file that the user sees comes first
    found = load_suite(str(written.absolute()) if here else suite, suites_dir=project.suites_dir)
    return found, load_checks(checks, root=project.root)


def _judge(df: DataFrame, request: CheckRequest, suite: Suite, checks: Checks) -> Verdict:
    from batch_processing.quality.gate import decide_table_checks
    from batch_processing.quality.table_checks import run_table_checks
    from batch_processing.quality.validation import validate

    name = request.data.name or str(request.data)
    judged = validate(df, dataset=name, suite=suite, checks=checks, threshold=request.threshold)
    if not checks.table:
        return Verdict((judged.result,), judged.gx_result)
    rules = run_table_checks(df, checks, dataset=name)
    decision = decide_table_checks(rules)
    of_table = QualityResult(
        dataset=table_checks_dataset(name), suite="", fingerprint="", outcome=decision.outcome, score=decision.score,
        threshold=request.threshold, rows=judged.result.rows, valid=judged.result.rows, quarantined=0, rules=rules,
        message=decision.message,
    )  # fmt: skip
    return Verdict((judged.result, of_table), judged.gx_result)


def _write(request: CheckRequest, verdict: Verdict) -> list[Path]:
    written = []
    if request.html is not None:
        from batch_processing.report.verdict import render_verdict
        from batch_processing.storage import write_atomic

        page = render_verdict(verdict.results, outcome=verdict.outcome, data=str(request.data))
        write_atomic(request.html.absolute(), page.encode())
        written.append(request.html)
    if request.data_docs is not None:
        from batch_processing.quality.gx import build_data_docs

        written.append(build_data_docs(verdict.gx_result, name=request.data.name or "data", folder=request.data_docs))
    return written


def _print(console: Console, request: CheckRequest, verdict: Verdict, written: Sequence[Path]) -> None:
    rows, style = verdict.results[0], STYLES[verdict.outcome]
    console.print(f"[bold {style}]{MARKS[verdict.outcome]} {words(verdict.outcome)}[/]  ", end="")
    console.print(f"{request.data} against suite {rows.suite}", markup=False, soft_wrap=True)
    if rows.outcome is Outcome.ERROR:
        console.print(f"  {number(rows.rows)} rows, not all of them judged: no score\n")
    else:
        console.print(
            f"  {number(rows.valid)} of {number(rows.rows)} rows valid, score {percent(rows.score)}, "
            f"threshold {percent(rows.threshold)}\n"
        )
    lines = Table("  Rule", "Severity", "Failing", "Rows", "", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    lines.columns[2].justify = lines.columns[3].justify = "right"
    for rule in (rule for result in verdict.results for rule in result.rules):
        mark = Text(f"{MARKS[rule.outcome]} ", style=STYLES[rule.outcome]) + Text(rule.rule_id, style="default")
        share, bad = percent(rule.failing_share), number(rule.unexpected_count)
        lines.add_row(mark, rule.severity.value, share, bad, Text(rule.message))
    console.print(lines)
    for message in (result.message for result in verdict.results if result.message):
        console.print(f"\n{message}", style=style, markup=False, soft_wrap=True)
    for path in written:
        console.print(f"\nWritten: {path}", markup=False, soft_wrap=True)
