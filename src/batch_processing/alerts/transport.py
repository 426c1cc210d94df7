"""A mail server, and how a mail gets there."""

from __future__ import annotations

import logging
import smtplib
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Self

from batch_processing.errors import AlertError, SettingError
from batch_processing.settings.values import Connection

_LOG = logging.getLogger(__name__)

_TRUE = ("1", "true", "yes", "on")
_PATIENCE = 60.0
"""Seconds after which no further try is made."""


@dataclass(frozen=True)
class MailServer:
    """A connection of type smtp, read as Airflow's smtp provider reads it.

    TLS from the first byte unless `disable_ssl`; else STARTTLS unless `disable_tls`. `ssl_context: none` takes any
    certificate.
    """

    host: str
    port: int
    login: str | None
    password: str | None
    implicit_tls: bool
    starttls: bool
    verify: bool
    sender: str
    timeout: float
    retries: int

    @classmethod
    def of(cls, connection: Connection) -> Self:
        """Reads a connection.

        Raises:
            SettingError: no host, or an option that cannot be read.
        """
        extra = connection.extra
        if not connection.host:
            raise SettingError(f"connection {connection.conn_id!r} has no host", fix="set the mail server's host name")
        implicit = not _flag(extra, "disable_ssl")
        return cls(
            host=connection.host,
            port=connection.port or (465 if implicit else 25),
            login=connection.login,
            password=connection.password,
            implicit_tls=implicit,
            starttls=not implicit and not _flag(extra, "disable_tls"),
            verify=extra.get("ssl_context") != "none",
            sender=str(extra.get("from_email") or connection.login or "batch-processing@localhost"),
            timeout=_number(connection, "timeout", default=30, least=0.1),
            retries=int(_number(connection, "retry_limit", default=5, least=0)),
        )

    def __repr__(self) -> str:
        return f"MailServer({self.host}:{self.port})"


def send_mail(
    connection: Connection,
    message: EmailMessage,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Sends one mail; a server that refuses, hangs up or asks to come later is tried again for a minute.

    Raises:
        AlertError: no server took it.
        SettingError: the connection cannot be used.
    """
    server = MailServer.of(connection)
    deadline = clock() + _PATIENCE
    attempt = 0
    while True:
        try:
            _deliver(server, message)
        except (OSError, smtplib.SMTPException) as error:
            pause = min(0.5 * 2**attempt, 8.0)
            attempt += 1
            if attempt > server.retries or clock() + pause > deadline or not _passing(error):
                raise AlertError(
                    "the mail was not sent",
                    where=f"{server.host}:{server.port}",
                    found=_said(error),
                    fix=f"check the connection {connection.conn_id!r}; the mail stays in the outbox for the next run",
                ) from error
            _LOG.info("mail server %s:%s: %s; again in %.1f s", server.host, server.port, _said(error), pause)
            sleep(pause)
        else:
            return


def _deliver(server: MailServer, message: EmailMessage) -> None:
    context = ssl.create_default_context()
    if not server.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if server.implicit_tls:
        client: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=server.timeout, context=context)
    else:
        client = smtplib.SMTP(server.host, server.port, timeout=server.timeout)
    with client:
        if server.starttls:
            client.starttls(context=context)
        if server.login and server.password:
            client.login(server.login, server.password)
        client.send_message(message)


def _passing(error: OSError | smtplib.SMTPException) -> bool:
    """True where a later try may succeed: no connection, a hang-up, or an answer of the 400s."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return False
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(400 <= code < 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return 400 <= error.smtp_code < 500
    return isinstance(error, smtplib.SMTPServerDisconnected) or not isinstance(error, smtplib.SMTPException)


def _said(error: OSError | smtplib.SMTPException) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        return f"{error.smtp_code} {text}"[:300]
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{name}: {code}" for name, (code, _) in error.recipients.items())[:300]
    return (str(error) or type(error).__name__)[:300]


def _flag(extra: Mapping[str, Any], name: str) -> bool:
    value = extra.get(name, False)
    return value.strip().lower() in _TRUE if isinstance(value, str) else bool(value)


def _number(connection: Connection, name: str, *, default: float, least: float) -> float:
    value = connection.extra.get(name, default)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if number < least:
        raise SettingError(
            f"connection {connection.conn_id!r}: extra {name} is not a usable number", fix=f"set {name} as {default:g}"
        )
    return number
