"""Runs to render: what the control store might hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from batch_processing.control.records import RunKey, RunRecord, SourceRecord
from batch_processing.results import (
    FileFact,
    Outcome,
    QualityResult,
    RowCounts,
    RuleResult,
    Severity,
    Slice,
    StepResult,
    Usage,
)

START = datetime(2026, 11, 2, 2, 0, 7, tzinfo=UTC)
SLICE = Slice(datetime(2026, 11, 1, 2, tzinfo=UTC), datetime(2026, 11, 2, 2, tzinfo=UTC))


def step(
    name: str,
    at: float,
    seconds: float,
    *,
    outcome: Outcome = Outcome.PASS,
    attempt: int = 1,
    error: str = "",
    memory: float = 240.0,
) -> StepResult:
    begin = START + timedelta(seconds=at)
    return StepResult(
        name,
        outcome,
        Usage(seconds, seconds * 0.8, memory),
        error=error,
        attempt=attempt,
        started_at=begin,
        ended_at=None if outcome is Outcome.RUNNING else begin + timedelta(seconds=seconds),
    )


def rule(
    rule_id: str,
    bad: int | None,
    *,
    rows: int = 29_976,
    severity: Severity = Severity.CRITICAL,
    outcome: Outcome | None = None,
    message: str = "",
    expectation_type: str = "",
    column: str = "",
) -> RuleResult:
    verdict = outcome or (Outcome.FAIL if bad else Outcome.PASS)
    return RuleResult(
        rule_id,
        "table" if bad is None else "row",
        verdict,
        severity,
        None if bad is None else rows,
        bad,
        0,
        message=message,
        expectation_type=expectation_type,
        column=column,
    )


NULLS, TWINS, RANGE = (f"expect_column_values_to_be_{what}" for what in ("given", "unique", "between"))
RULES = (
    rule("id_not_null", 61, message="61 rows have no id", expectation_type=NULLS, column="id"),
    rule("id_unique", 248, message="248 rows share their id", expectation_type=TWINS, column="id"),
    rule("amount_in_range", 403, message="403 rows are outside 0 .. 1000000", expectation_type=RANGE, column="amount"),
    rule("currency_known", 12, severity=Severity.WARNING, message="12 rows have a currency without a rate"),
    rule("row_count", None, expectation_type="expect_table_row_count_to_be_between"),
    rule("no_future_dates", 0),
)  # fmt: skip


def good() -> RunRecord:
    """A run that passed with quarantine."""
    inputs = tuple(
        FileFact(f"/srv/demo/source/orders/2026-11-0{day}.csv", 912_000 + day, 1.0, f"{day}f3c" * 16)
        for day in (1, 2, 3)
    )
    return RunRecord(
        key=RunKey("batch_processor", SLICE, 1, "scheduled__2026-11-02T02:00:00+00:00"),
        engine="embedded",
        trigger="airflow",
        outcome=Outcome.PASS_WITH_QUARANTINE,
        score=0.97912,
        rows=RowCounts(34_064, 26, 34_038, 711, 33_327, 29_265, 29_265, 29_265),
        started_at=START,
        ended_at=START + timedelta(seconds=21.4),
        report="/srv/demo/.batch/runs/batch_processor/2026-11-01T020000Z/g1/run/report.html",
        table="/srv/demo/delta/batch",
        version=41,
        quarantine_tables={"orders": "/srv/demo/delta/_quarantine/batch_processor/orders"},
        warehouse_table="batch",
        warehouse_location="/srv/demo/warehouse.duckdb",
        steps=(
            step("wait_for_orders", 0, 1.1, memory=88),
            step("extract_customers", 0.1, 0.7, memory=120),
            step("extract_rates", 0.2, 2.3, attempt=2, memory=96),
            step("extract_orders[0]", 1.2, 1.9, memory=240),
            step("extract_orders[1]", 1.3, 1.4, memory=231),
            step("extract_orders[2]", 3.2, 1.7, memory=236),
            step("validate", 5.0, 4.8, outcome=Outcome.PASS_WITH_QUARANTINE, memory=1330),
            step("custom_validation", 9.9, 1.1, memory=410),
            step("transform", 11.1, 5.6, memory=1420),
            step("validate_output", 16.8, 2.2, memory=690),
            step("quality_metrics", 19.1, 0.2, memory=120),
            step("publish", 19.4, 0.09, memory=140),
            step("load_warehouse", 19.6, 1.7, memory=380),
        ),
        quality=(
            QualityResult(
                "orders", "batch_suite", "9a7f31c04b22de10", Outcome.PASS_WITH_QUARANTINE, 0.97628, 0.95,
                29_976, 29_265, 711, RULES,
            ),
            QualityResult(
                "staged output", "batch_output_suite", "1bb0c6d2a94e0f77", Outcome.PASS, 1.0, 1.0,
                29_265, 29_265, 0, (rule("amount_eur_not_null", 0), rule("row_count", None)),
            ),
        ),
        sources=(
            SourceRecord("orders", 30_002, 26, 29_976, inputs),
            SourceRecord("customers", 4_000, 0, 4_000),
            SourceRecord("rates", 62, 0, 62),
        ),
    )  # fmt: skip


def failed() -> RunRecord:
    """A run whose gate closed."""
    message = (
        "Data validation failed: orders scored 0.9122, the threshold is 0.95 [orders, suite batch_suite]. "
        "Found: 2,632 of 29,976 rows broke critical rules, most of them amount_in_range (1,990). "
        "To do: look at the quarantine, correct the source or the rule, then run the slice again"
    )
    verdict = QualityResult(
        "orders", "batch_suite", "9a7f31c04b22de10", Outcome.FAIL, 0.9122, 0.95, 29_976, 27_344, 2_632,
        (rule("amount_in_range", 1_990), *RULES[:2], *RULES[3:]), "score 0.9122 is below the threshold 0.95",
    )  # fmt: skip
    base = good()
    return replace(
        base,
        outcome=Outcome.FAIL,
        score=0.9227,
        rows=RowCounts(34_064, 26, 34_038, 2_632, 31_406),
        error=message,
        version=None,
        warehouse_location="",
        steps=(*base.steps[:6], step("validate", 5.0, 4.8, outcome=Outcome.FAIL, error=message)),
        quality=(verdict,),
    )


def running() -> RunRecord:
    """A run that has only begun."""
    return RunRecord(
        key=RunKey("batch_processor", SLICE, 2, "manual"),
        engine="",
        trigger="cli",
        outcome=Outcome.RUNNING,
        score=None,
        rows=RowCounts(),
        started_at=START,
        steps=(step("wait_for_orders", 0, 1.0), step("extract_orders[0]", 1.0, 0.0, outcome=Outcome.RUNNING)),
    )


def bare() -> RunRecord:
    """The least a record can hold."""
    return RunRecord(RunKey("p", SLICE, 1, "r"), "", "", Outcome.ERROR, None, RowCounts(), START)
