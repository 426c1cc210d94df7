"""Alerts as mails: what they say, and that nothing in them can become a header."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes, policy

import pytest

from batch_processing.alerts.event import AlertEvent
from batch_processing.alerts.message import compose, html_of, subject_of, text_of
from batch_processing.errors import SettingError

EVENT = AlertEvent(
    kind="failure",
    run="0123",
    pipeline="batch_processor",
    slice="2026-11-01T02:00:00Z",
    run_id="run-1",
    step="validate",
    outcome="FAIL",
    message="Data validation failed: score 0.91 is below the threshold 0.95",
    rows={"read": 1200, "landed": 1000, "quarantined": 90},
    score=0.91,
    report="/data/report.html",
    next_command="batchctl report run-1",
    attempt=4,
)
FACTS = (
    "batch_processor",
    "2026-11-01T02:00:00Z",
    "run-1",
    "validate (try 4)",
    "FAIL",
    "below the threshold",
    "read 1,200",
    "0.9100",
    "/data/report.html",
    "batchctl report run-1",
)


def test_both_forms_hold_every_fact() -> None:
    for text in (text_of(EVENT), html_of(EVENT)):
        for fact in FACTS:
            assert fact in text


def test_what_is_not_known_is_left_out() -> None:
    bare = text_of(replace(EVENT, rows={}, score=None, report=""))

    assert "Rows" not in bare
    assert "Score" not in bare
    assert "Report" not in bare


def test_the_subject_tells_pipeline_slice_step_and_outcome() -> None:
    assert subject_of(EVENT) == "[batch_processor] failed: slice 2026-11-01T02:00:00Z, step validate (FAIL)"


@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r", "\u2028", "\x0b", "\x00"])
def test_a_line_end_in_a_value_starts_no_header(ending: str) -> None:
    event = replace(EVENT, step=f"validate{ending}Bcc: thief@example.com")

    mail = message_from_bytes(
        compose(event, sender="batch@example.com", recipients=("a@example.com",)).as_bytes(), policy=policy.default
    )

    assert mail["Bcc"] is None
    assert mail["To"] == "a@example.com"
    assert "\n" not in mail["Subject"]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "a@example.com\r\nBcc: b@example.com",
        "a@example.com, b@example.com",
        "a b@example.com",
        "@x",
        "ä@example.com",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SettingError, match="mail address"):
        compose(EVENT, sender="batch@example.com", recipients=(address,))
    with pytest.raises(SettingError, match="mail address"):
        compose(EVENT, sender=address, recipients=("a@example.com",))


def test_markup_in_a_message_is_text() -> None:
    assert "<script>" not in html_of(replace(EVENT, message="<script>alert(1)</script>"))


def test_an_event_survives_the_outbox() -> None:
    payload = {**EVENT.to_payload(), "of_a_later_release": 1}

    assert AlertEvent.from_payload(payload) == EVENT


def test_the_parts_of_a_mapped_step_share_an_alert_and_its_tries_do_not() -> None:
    assert EVENT.dedupe_key == replace(EVENT, message="another").dedupe_key
    assert EVENT.dedupe_key != replace(EVENT, attempt=5).dedupe_key
