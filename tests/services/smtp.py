"""A real SMTP server on a free loopback port that keeps what it is sent (fixture `smtp`)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from batch_processing.airflow_support.local_servers import free_port
from batch_processing.settings.values import Connection


@dataclass
class Mailbox:
    """The server. `answers` are given to the next DATA commands before mails are taken again."""

    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    host: str = "127.0.0.1"
    port: int = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        if self.answers:
            return self.answers.pop(0)
        content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        message: Any = message_from_bytes(content, policy=policy.default)
        self.messages.append(message)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 Message accepted for delivery"

    def connection(self, conn_id: str = "smtp_default", **extra: Any) -> Connection:
        return Connection(
            conn_id=conn_id, conn_type="smtp", host=self.host, port=self.port, login=None, password=None, schema=None,
            extra={"disable_ssl": True, "disable_tls": True, "from_email": "batch@example.com", "timeout": 5, **extra},
        )  # fmt: skip

    @property
    def airflow_json(self) -> str:
        """The connection in Airflow's JSON form, for AIRFLOW_CONN_SMTP_DEFAULT."""
        connection = self.connection()
        return json.dumps(
            {"conn_type": "smtp", "host": connection.host, "port": connection.port, "extra": connection.extra}
        )

    def wait_for(self, count: int, *, seconds: float = 30.0) -> list[EmailMessage]:
        """The mails, once there are `count`, or what is there after `seconds`."""
        deadline = time.monotonic() + seconds
        while len(self.messages) < count and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.messages


@contextmanager
def smtp_server(*, port: int = 0) -> Iterator[Mailbox]:
    """The server while the block lasts; on a free port where none is given."""
    mailbox = Mailbox(port=port or free_port())
    controller = Controller(mailbox, hostname=mailbox.host, port=mailbox.port)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()


@pytest.fixture
def smtp() -> Iterator[Mailbox]:
    with smtp_server() as mailbox:
        yield mailbox
