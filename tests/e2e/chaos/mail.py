"""A run whose data fails is killed around its mail."""

from __future__ import annotations

from pathlib import Path

from batch_processing.control.store import ControlStore
from tests.e2e.chaos.harness import Chaos
from tests.e2e.chaos.state import state_of
from tests.e2e.chaos.world import FIRST_DAY, SECOND_DAY, make_world
from tests.services.smtp import Mailbox


def kill_at_mail(chaos: Chaos, smtp: Mailbox, folder: Path, point: str) -> list[str]:
    """Kills a failing run at a point and runs again; gives what was not told, or stays in the outbox."""
    world = make_world(folder / "world", mail_to=smtp.airflow_json)
    chaos.pass_(world, day=FIRST_DAY)
    before = state_of(world)
    world.write_orders(["1,1,5.0,2026-11-02", ",1,5.0,2026-11-02"], name=f"{SECOND_DAY}.csv")
    smtp.messages.clear()
    killed = chaos.kill_at(world, point)
    again = chaos.run(world)
    assert again.result["outcome"] == "FAIL"
    after = state_of(world)
    found = [] if (after.table, after.warehouse) == (before.table, before.warehouse) else ["rows were published"]
    told = [str(mail["subject"]) + mail.get_body(("plain",)).get_content() for mail in smtp.wait_for(1)]  # type: ignore[union-attr]
    if not any(again.order.run_id in text for text in told):
        found.append("the rerun's failure was not mailed")
    if point != "mail: before it is queued" and not any(killed.order.run_id in text for text in told):
        found.append("what was queued was not sent by the next run")
    with ControlStore.open(f"sqlite:///{world.root}/home/control.db") as control:
        found += [f"in the outbox: {alert}" for alert in control.pending_alerts()]
    return found
