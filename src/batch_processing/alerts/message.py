"""An alert as a mail: plain text, and the same as HTML. Pure."""

from __future__ import annotations

import html
import re
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from batch_processing.alerts.event import AlertEvent
from batch_processing.errors import SettingError

SUBJECT_LIMIT = 180
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+")
_TITLES = {"failure": "failed", "retry": "will be tried again", "success": "ended"}
_COLOURS = {"failure": "#b3261e", "retry": "#8a6100", "success": "#1b6e3c"}


def subject_of(event: AlertEvent) -> str:
    """`[batch_processor] failed: slice 2026-11-01T02:00:00Z, step validate (FAIL)`, on one line."""
    step = f", step {event.step}" if event.step and event.kind != "success" else ""
    return one_line(f"[{event.pipeline}] {_TITLES[event.kind]}: slice {event.slice}{step} ({event.outcome})")


def compose(event: AlertEvent, *, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
    """The mail.

    Raises:
        SettingError: an address that is none.
    """
    message = EmailMessage()
    message["Subject"] = subject_of(event)
    message["From"] = address(sender)
    message["To"] = [address(recipient) for recipient in recipients]
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = make_msgid(domain="batch-processing.invalid")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text_of(event))
    message.add_alternative(html_of(event), subtype="html")
    return message


def address(text: str) -> Address:
    """A mail address.

    Raises:
        SettingError: it is none, or holds what could start another header.
    """
    cleaned = text.strip()
    try:
        if _UNPRINTABLE.search(cleaned) or not cleaned.isascii():
            raise ValueError("characters that an address cannot have")  # noqa: TRY301 - one message for every way to be wrong
        found = Address(addr_spec=cleaned)
        if not found.username or not found.domain:
            raise ValueError("no name or no domain")  # noqa: TRY301 - as above
    except (ValueError, IndexError, AttributeError, MessageError) as error:
        # The parser's own errors on odd addresses are any of these.
        raise SettingError(
            "not a mail address",
            found=one_line(cleaned)[:100],
            fix="write alerts.email and from_email as name@example.com",
        ) from error
    return found


def facts_of(event: AlertEvent) -> list[tuple[str, str]]:
    """What the mail lists, in order; without what is not known."""
    rows = ", ".join(f"{name} {count:,}" for name, count in event.rows.items())
    facts = [
        ("Pipeline", event.pipeline),
        ("Slice", event.slice),
        ("Run", event.run_id),
        ("Step", f"{event.step} (try {event.attempt})" if event.step else ""),
        ("Outcome", event.outcome),
        ("Message", event.message),
        ("Rows", rows),
        ("Score", f"{event.score:.4f}" if event.score is not None else ""),
        ("Report", event.report),
        ("Next", event.next_command),
    ]
    return [(name, value) for name, value in facts if value]


def text_of(event: AlertEvent) -> str:
    """The plain text."""
    lines = [f"{event.pipeline} {_TITLES[event.kind]}.", ""]
    lines += [f"{name + ':':<10}{_clean(value)}" for name, value in facts_of(event)]
    return "\n".join(lines) + "\n"


def html_of(event: AlertEvent) -> str:
    """The same as HTML."""
    rows = "".join(
        '<tr><th style="text-align:left;vertical-align:top;padding:4px 16px 4px 0;color:#5f6368;font-weight:500">'
        f'{html.escape(name)}</th><td style="padding:4px 0;white-space:pre-wrap">{html.escape(_clean(value))}</td></tr>'
        for name, value in facts_of(event)
    )
    title = html.escape(f"{event.pipeline} {_TITLES[event.kind]}")
    return (
        '<!doctype html><html><body style="font:14px/1.45 system-ui,sans-serif;color:#202124">'
        f'<h2 style="color:{_COLOURS[event.kind]};font-size:18px">{title}</h2><table>{rows}</table></body></html>'
    )


def one_line(text: str) -> str:
    """A text that cannot start another header: control characters and line ends become a space."""
    return _UNPRINTABLE.sub(" ", text).strip()[:SUBJECT_LIMIT]


def _clean(text: str) -> str:
    return "\n".join(one for line in text.splitlines() if (one := _UNPRINTABLE.sub(" ", line).rstrip()))
