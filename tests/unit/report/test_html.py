import time
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from batch_processing.control.records import RunKey, RunRecord, SourceRecord
from batch_processing.report.html import render_report
from batch_processing.report.view import build_view, next_command
from batch_processing.results import (
    FileFact,
    LimitResult,
    Outcome,
    QualityResult,
    RowCounts,
    StepResult,
    table_checks_dataset,
)

from . import records

VOID = {"meta", "br", "img", "link", "input", "hr", "path", "rect", "circle", "line"}
HOSTILE = '<script>alert("1")</script>\'"><img src=x onerror=alert(1)>{{ 7*7 }}\u202e日本語\x00'


class Page(HTMLParser):
    """Reads a page: its elements, its text, and whether its tags are balanced."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.stack or self.stack[-1] != "style":
            self.text += f" {data.strip()}" if data.strip() else ""


def hostile() -> RunRecord:
    base = records.good()
    rules = tuple(replace(r, rule_id=HOSTILE + r.rule_id, message=HOSTILE) for r in records.RULES)
    return replace(
        base,
        key=RunKey(HOSTILE, records.SLICE, 1, HOSTILE + "x" * 300),
        engine=HOSTILE,
        trigger=HOSTILE,
        error=HOSTILE,
        outcome=Outcome.ERROR,
        table="/data/" + HOSTILE,
        warehouse_table=HOSTILE,
        warehouse_location=HOSTILE,
        quarantine_tables={HOSTILE: "/q/" + HOSTILE},
        steps=(StepResult(HOSTILE, Outcome.ERROR, error=HOSTILE),),
        quality=(QualityResult(HOSTILE, HOSTILE, "f", Outcome.FAIL, 0.5, 0.9, 10, 5, 5, rules, HOSTILE),),
        sources=(SourceRecord(HOSTILE, 1, 0, 1, (FileFact("/in/" + HOSTILE, 1, 1.0, "a" * 64),)),),
    )


EVERY: dict[str, Callable[[], RunRecord]] = {
    "good": records.good,
    "failed": records.failed,
    "running": records.running,
    "bare": records.bare,
    "hostile": hostile,
}


@pytest.mark.parametrize("name", EVERY)
def test_every_run_renders_to_a_balanced_page(name: str) -> None:
    page = Page(render_report(EVERY[name]()))
    assert page.tags[0][0] == "html"


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_loaded_and_no_script_runs(name: str) -> None:
    page = Page(render_report(EVERY[name]()))
    assert not {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe", "object", "form", "base"}
    for _, attributes in page.tags:
        assert not [key for key in attributes if key.startswith("on") or key == "src"]
        assert (attributes.get("href") or "file:").startswith("file:")
    policy = [a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy
    assert "default-src 'none'" in str(policy[0])


def test_hostile_names_are_shown_as_text() -> None:
    page = Page(render_report(hostile()))
    assert '<script>alert("1")</script>' in page.text
    assert "{{ 7*7 }}" in page.text


def test_a_path_that_is_no_text_still_renders() -> None:
    html = render_report(replace(records.good(), table="/data/\udcff"))
    assert html.encode("utf-8")


def test_a_passed_run_says_what_it_read_and_where_it_is() -> None:
    page = Page(render_report(records.good()))
    for words in ("PASS WITH QUARANTINE", "34,064", "711", "29,265", "97.91 %", "/srv/demo/delta/batch", "version 41"):
        assert words in page.text
    assert "What went wrong" not in page.text


def test_every_rule_is_there_with_share_severity_and_reason() -> None:
    page = Page(render_report(records.good()))
    for words in (
        "amount_in_range",
        "1.34 %",
        "403 rows are outside 0 .. 1000000",
        "warning",
        "row_count",
        "2 rules hold",
    ):
        assert words in page.text


def test_a_failed_run_shows_its_error_once_in_full_and_the_next_command() -> None:
    page = Page(render_report(records.failed()))
    assert page.text.count("orders scored 0.9122") == 1
    assert "batchctl run --slice 2026-11-01T02:00:00Z" in page.text
    assert "Nothing was published" in page.text


def test_an_error_after_the_publish_does_not_claim_that_nothing_was_published() -> None:
    run = replace(records.good(), outcome=Outcome.ERROR, error="the warehouse went away")
    assert "Version 41 of the table is published" in Page(render_report(run)).text


def test_a_running_page_reloads_itself_and_a_finished_one_does_not() -> None:
    assert 'http-equiv="refresh"' in render_report(records.running())
    assert 'http-equiv="refresh"' not in render_report(records.good())


def test_observed_values_are_left_out() -> None:
    rule = replace(records.rule("max_amount", None), observed=987654.25)
    verdict = replace(records.good().quality[0], rules=(rule,))
    assert "987654" not in render_report(replace(records.good(), quality=(verdict,)))


def test_a_full_bar_is_what_the_threshold_tolerates() -> None:
    dataset = build_view(records.good()).datasets[0]
    bars = {view.rule.rule_id: view.bar for view in dataset.rules}
    assert dataset.scale == pytest.approx(0.05)
    assert bars["amount_in_range"] == pytest.approx(100 * (403 / 29_976) / 0.05, abs=0.01)


def test_a_rule_beyond_the_tolerance_fills_its_bar_and_the_tolerance_is_marked() -> None:
    dataset = build_view(records.failed()).datasets[0]
    assert dataset.rules[0].bar == pytest.approx(100)
    assert dataset.tolerance == pytest.approx(100 * 0.05 / (1_990 / 29_976), abs=0.01)


def test_broken_rules_come_first_and_the_worst_of_them_on_top() -> None:
    names = [view.rule.rule_id for view in build_view(records.good()).datasets[0].rules]
    assert names[:4] == ["amount_in_range", "id_unique", "id_not_null", "currency_known"]


def test_the_dial_has_a_threshold_only_where_the_sources_agree_on_one() -> None:
    run = records.good()
    assert build_view(run).threshold == 0.95
    other = replace(run.quality[0], dataset="customers", threshold=1.0)
    assert build_view(replace(run, quality=(*run.quality, other))).threshold is None


def test_table_checks_alone_are_shown_without_a_score() -> None:
    run = records.good()
    checks = replace(run.quality[1], dataset=table_checks_dataset("orders"), suite="", rows=77_777, valid=77_777)
    page = Page(render_report(replace(run, quality=(checks,))))
    assert "orders: table checks" in page.text
    assert "77,777" not in page.text
    assert "against a threshold" not in page.text


def test_a_limit_stands_beside_its_rule_and_a_broken_one_comes_first_and_as_an_error() -> None:
    run = records.good()
    broken = LimitResult(
        "currency_known", "count", "broken", 9, "currency_known: 12 failing rows are above its limit 9"
    )
    waits = LimitResult("score", "worse_by", "not_judged", 0.02, "score: worse_by 0.02 is not judged yet: 1 of 3")
    verdict = replace(run.quality[0], limits=(broken, waits))
    view = build_view(replace(run, quality=(verdict,)))
    assert view.datasets[0].broken[0].rule.rule_id == "currency_known"
    text = Page(render_report(replace(run, quality=(verdict,)))).text
    assert "Limit broken: currency_known: 12 failing rows are above its limit 9" in text
    assert "Limit not judged: score: worse_by 0.02 is not judged yet: 1 of 3" in text


def test_a_rule_within_its_severity_and_beyond_its_limit_is_not_shown_as_holding() -> None:
    run = records.good()
    broken = LimitResult("no_future_dates", "share", "broken", 0.0, "no_future_dates: above")
    (view,) = build_view(replace(run, quality=(replace(run.quality[0], limits=(broken,)),))).datasets
    assert "no_future_dates" in [one.rule.rule_id for one in view.broken]
    assert "no_future_dates" not in [one.rule.rule_id for one in view.held]


def test_a_passed_run_needs_no_next_command() -> None:
    assert next_command(records.good()) == ""
    assert next_command(records.running()) == ""


@pytest.mark.parametrize("rows", [RowCounts(), RowCounts(0, 0, 0, 0, 0, 0, 0, 0), RowCounts(*[10**15] * 8)])
def test_empty_zero_and_huge_ledgers_render(rows: RowCounts) -> None:
    assert Page(render_report(replace(records.good(), rows=rows))).text


def test_a_report_renders_in_under_50_ms() -> None:
    many = tuple(records.rule(f"rule_{number}", number) for number in range(100))
    run = replace(records.good(), quality=(replace(records.good().quality[0], rules=many),))
    render_report(run)  # the template is compiled once per process
    taken = []
    for _ in range(5):
        began = time.process_time()
        render_report(run)
        taken.append(time.process_time() - began)
    assert min(taken) < 0.05
