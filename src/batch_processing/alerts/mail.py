"""Sends alerts through a connection of type smtp. A mail never changes a run's outcome."""

from __future__ import annotations

import logging

from batch_processing.alerts.event import AlertEvent, event_of_run
from batch_processing.alerts.message import compose
from batch_processing.alerts.transport import MailServer, send_mail
from batch_processing.control.records import QueuedAlert, RunRecord
from batch_processing.control.store import ControlStore
from batch_processing.errors import BatchError, SettingError
from batch_processing.settings.models import AlertsSpec, PipelineSpec
from batch_processing.settings.values import Values

_LOG = logging.getLogger(__name__)

_MOST_AT_ONCE = 50
"""Alerts sent in one go; a longer outbox is emptied over several runs."""


def notify_failure(record: RunRecord, *, error: str, spec: PipelineSpec, values: Values, control: ControlStore) -> None:
    """Tells of a run that failed, where the declaration asks for it. Never raises."""
    notify(event_of_run(record, kind="failure", error=error), spec=spec, values=values, control=control)


def notify(event: AlertEvent, *, spec: PipelineSpec, values: Values, control: ControlStore) -> None:
    """`notify_people` of a pipeline's own declaration."""
    notify_people(event, alerts=spec.alerts, values=values, control=control)


def notify_people(event: AlertEvent, *, alerts: AlertsSpec, values: Values, control: ControlStore) -> None:
    """Queues an alert and sends what is in the outbox. Never raises: what goes wrong is logged.

    Args:
        event: what to tell.
        alerts: says who is told, of what, and through which connection.
        values: gives that connection.
        control: keeps the alert until it is sent.
    """
    if event.kind not in alerts.on or not alerts.email:
        return
    try:
        if not _has_connection(event, alerts=alerts, values=values, control=control):
            return
        payload = {"event": event.to_payload(), "to": list(alerts.email), "connection": alerts.connection}
        if control.queue_alert(event.dedupe_key, payload):
            send_pending(values=values, control=control)
    except Exception:  # noqa: BLE001 - a mail must not change a run's outcome; logged below
        _LOG.exception("run %s slice %s: the alert could not be sent", event.run_id, event.slice)


def send_pending(*, values: Values, control: ControlStore) -> int:
    """Sends the outbox, oldest first, and gives the number sent; what fails stays. Never raises."""
    sent = 0
    try:
        for alert in control.pending_alerts()[:_MOST_AT_ONCE]:
            sent += _send_queued(alert, values=values, control=control)
    except Exception:  # noqa: BLE001 - a mail must not change a run's outcome; logged below
        _LOG.exception("the alert outbox could not be read")
    return sent


def _has_connection(event: AlertEvent, *, alerts: AlertsSpec, values: Values, control: ControlStore) -> bool:
    try:
        values.connection(alerts.connection)
    except SettingError:
        key = f"no-connection:{event.run}"
        if control.queue_alert(key, {}):
            control.mark_alert(key, sent=True)
            _LOG.warning(
                "run %s slice %s: no mail is sent, for connection %s is not set (type smtp)",
                event.run_id, event.slice, alerts.connection,
            )  # fmt: skip
        return False
    return True


def _send_queued(alert: QueuedAlert, *, values: Values, control: ControlStore) -> bool:
    payload = alert.payload
    if "event" not in payload:
        return False
    event = AlertEvent.from_payload(payload["event"])
    try:
        connection = values.connection(str(payload["connection"]))
        sender = MailServer.of(connection).sender
        send_mail(connection, compose(event, sender=sender, recipients=tuple(payload["to"])))
    except BatchError as error:
        _LOG.error("run %s slice %s: %s", event.run_id, event.slice, error)
        control.mark_alert(alert.dedupe_key, sent=False, error=str(error))
        return False
    control.mark_alert(alert.dedupe_key, sent=True)
    _LOG.info("run %s slice %s: mail on %s sent", event.run_id, event.slice, event.kind)
    return True
