"""Mails through a real SMTP server, and what happens where there is none."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest

from batch_processing.airflow_support.local_servers import free_port
from batch_processing.alerts.event import AlertEvent, event_of_run
from batch_processing.alerts.mail import notify, notify_failure, send_pending
from batch_processing.alerts.message import compose
from batch_processing.alerts.transport import MailServer, send_mail
from batch_processing.control.records import RunKey, RunRecord
from batch_processing.control.store import ControlStore
from batch_processing.errors import AlertError, SettingError
from batch_processing.results import Outcome, Slice, StepResult
from batch_processing.settings.models import PipelineSpec
from batch_processing.settings.values import Connection
from tests.services.smtp import Mailbox, smtp_server

KEY = RunKey("orders", Slice(datetime(2026, 11, 1, 2, tzinfo=UTC), datetime(2026, 11, 2, 2, tzinfo=UTC)), 1, "run-1")


class Given:
    """Values that know one connection, or none."""

    def __init__(self, connection: Connection | None) -> None:
        self.given = connection

    def variable(self, name: str) -> str:
        raise SettingError(f"no variable {name}")

    def connection(self, conn_id: str) -> Connection:
        if self.given is None or conn_id != self.given.conn_id:
            raise SettingError(f"connection {conn_id!r} is not set")
        return self.given


def _spec(**alerts: object) -> PipelineSpec:
    return PipelineSpec.model_validate(
        {
            "pipeline": "orders",
            "sources": {"orders": {"files": {"path": "x"}, "schema": {"id": "bigint"}}},
            "transform": "jobs:transform",
            "target": {"table": "t", "mode": "overwrite"},
            "alerts": {"email": ["alert@company.com", "second@company.com"], **alerts},
        }
    )


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlStore]:
    with ControlStore.open(f"sqlite:///{tmp_path}/control.db") as store:
        store.start_run(KEY, engine="embedded", trigger="cli")
        store.record_step(KEY, StepResult("extract_orders[2]", Outcome.ERROR, error="the file is damaged"))
        store.update_rows(KEY, read=12, rejected=2)
        store.record_report(KEY, "/data/report.html")
        store.finish_run(KEY, outcome=Outcome.ERROR, error="the file is damaged")
        yield store


@pytest.fixture
def record(control: ControlStore) -> RunRecord:
    return control.run("run-1")


def _refused() -> Connection:
    extra = {"disable_ssl": True, "disable_tls": True, "retry_limit": 1}
    return Connection("smtp_default", "smtp", "127.0.0.1", free_port(), None, None, None, extra)


def test_a_failed_run_mails_everyone_named_once(smtp: Mailbox, control: ControlStore, record: RunRecord) -> None:
    for _ in range(2):
        notify_failure(
            record, error="the file is damaged", spec=_spec(), values=Given(smtp.connection()), control=control
        )

    (mail,) = smtp.messages
    assert smtp.recipients == [["alert@company.com", "second@company.com"]]
    assert mail["From"] == "batch@example.com"
    assert mail.get_content_type() == "multipart/alternative"
    for kind in ("plain", "html"):
        body = mail.get_body((kind,))
        assert body is not None
        for fact in (
            "orders",
            "extract_orders",
            "ERROR",
            "the file is damaged",
            "read 12",
            "/data/report.html",
            "batchctl report run-1",
        ):
            assert fact in body.get_content()
    assert control.pending_alerts() == ()


@pytest.mark.parametrize(("kind", "mails"), [("failure", 0), ("retry", 1), ("success", 0)])
def test_only_what_is_asked_for_is_told(
    smtp: Mailbox, control: ControlStore, record: RunRecord, kind: str, mails: int
) -> None:
    event = event_of_run(record, kind=kind)  # type: ignore[arg-type]

    notify(event, spec=_spec(on=["retry"]), values=Given(smtp.connection()), control=control)

    assert len(smtp.messages) == mails


def test_a_run_without_a_mail_connection_says_so_once(
    control: ControlStore, record: RunRecord, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for attempt in (1, 2):
            notify(
                event_of_run(record, kind="failure", attempt=attempt), spec=_spec(), values=Given(None), control=control
            )

    (warning,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert "no mail is sent" in warning.getMessage()
    assert control.pending_alerts() == ()


def test_a_mail_that_no_server_takes_stays_in_the_outbox_and_goes_out_with_the_next_run(
    smtp: Mailbox, control: ControlStore, record: RunRecord, caplog: pytest.LogCaptureFixture
) -> None:
    notify_failure(record, error="the file is damaged", spec=_spec(), values=Given(_refused()), control=control)

    assert [one.levelname for one in caplog.records if "was not sent" in one.getMessage()] == ["ERROR"]
    (waiting,) = control.pending_alerts()
    assert (waiting.attempts, "refused" in waiting.error) == (1, True)

    assert send_pending(values=Given(smtp.connection()), control=control) == 1
    assert send_pending(values=Given(smtp.connection()), control=control) == 0
    assert len(smtp.messages) == 1
    assert control.pending_alerts() == ()


def test_a_server_that_comes_up_late_gets_the_mail() -> None:
    port = free_port()
    connection = Connection(
        "smtp_default", "smtp", "127.0.0.1", port, None, None, None,
        {"disable_ssl": True, "disable_tls": True, "from_email": "a@example.com"},
    )  # fmt: skip
    ready, done = threading.Event(), threading.Event()
    boxes: list[Mailbox] = []

    def serve() -> None:
        with smtp_server(port=port) as mailbox:
            boxes.append(mailbox)
            ready.set()
            done.wait(30)

    thread = threading.Thread(target=serve)

    def pause(_: float) -> None:
        if not thread.ident:
            thread.start()
        ready.wait(10)

    send_mail(connection, _mail(), sleep=pause)
    done.set()
    thread.join()

    assert len(boxes[0].messages) == 1


def test_a_server_that_asks_to_come_later_is_asked_again(smtp: Mailbox) -> None:
    smtp.answers = ["451 try again later", "421 busy"]
    pauses: list[float] = []

    send_mail(smtp.connection(), _mail(), sleep=pauses.append)

    assert len(smtp.messages) == 1
    assert pauses == [0.5, 1.0]


def test_a_mail_that_is_refused_for_good_is_not_tried_again(smtp: Mailbox) -> None:
    smtp.answers = ["554 never"]
    pauses: list[float] = []

    with pytest.raises(AlertError, match="554 never"):
        send_mail(smtp.connection(), _mail(), sleep=pauses.append)

    assert pauses == []
    assert smtp.messages == []


def test_a_sender_that_is_no_address_is_logged_and_changes_nothing(
    smtp: Mailbox, control: ControlStore, record: RunRecord, caplog: pytest.LogCaptureFixture
) -> None:
    notify_failure(record, error="x", spec=_spec(), values=Given(smtp.connection(from_email="nobody")), control=control)

    assert "not a mail address" in caplog.text
    assert smtp.messages == []


@pytest.mark.parametrize(
    ("extra", "implicit", "starttls", "port"),
    [
        ({}, True, False, 465),
        ({"disable_ssl": "true"}, False, True, 25),
        ({"disable_ssl": "True", "disable_tls": True}, False, False, 25),
        ({"disable_ssl": "false"}, True, False, 465),
    ],
)
def test_a_connection_is_read_as_airflow_reads_it(
    extra: dict[str, object], implicit: bool, starttls: bool, port: int
) -> None:
    server = MailServer.of(Connection("m", "smtp", "mail.example.com", None, "user", "pass-word", None, extra))

    assert (server.implicit_tls, server.starttls, server.port) == (implicit, starttls, port)
    assert "pass-word" not in repr(server)


def test_a_connection_that_cannot_be_used_says_why() -> None:
    with pytest.raises(SettingError, match="has no host"):
        MailServer.of(Connection("m", "smtp", None, None, None, None, None, {}))
    with pytest.raises(SettingError, match="timeout"):
        MailServer.of(Connection("m", "smtp", "h", None, None, None, None, {"timeout": "soon"}))


def _mail() -> EmailMessage:
    event = AlertEvent(kind="failure", run="r", pipeline="p", slice="s", run_id="i", step="validate", outcome="FAIL")
    return compose(event, sender="batch@example.com", recipients=("alert@company.com",))
