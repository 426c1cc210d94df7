"""A run whose data fails is killed around its mail: the failure is told, and nothing stays in the outbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_processing.control.store import ControlStore
from tests.e2e.chaos.harness import Chaos
from tests.e2e.chaos.points import MAIL_POINTS
from tests.e2e.chaos.state import state_of
from tests.e2e.chaos.world import FIRST_DAY, SECOND_DAY, make_world
from tests.services.smtp import Mailbox


@pytest.mark.parametrize("point", MAIL_POINTS)
def test_a_failure_is_mailed_though_the_run_was_killed(chaos: Chaos, smtp: Mailbox, tmp_path: Path, point: str) -> None:
    world = make_world(tmp_path / "world", mail_to=smtp.airflow_json)
    chaos.pass_(world, day=FIRST_DAY)
    before = state_of(world)
    world.write_orders(["1,1,5.0,2026-11-02", ",1,5.0,2026-11-02"], name=f"{SECOND_DAY}.csv")
    smtp.messages.clear()
    killed = chaos.kill_at(world, point)
    again = chaos.run(world)
    assert again.result["outcome"] == "FAIL"
    after = state_of(world)
    assert (after.table, after.warehouse) == (before.table, before.warehouse)
    told = [str(mail["subject"]) + mail.get_body(("plain",)).get_content() for mail in smtp.wait_for(1)]  # type: ignore[union-attr]
    assert any(again.order.run_id in text for text in told)
    if point != "mail: before it is queued":
        assert any(killed.order.run_id in text for text in told), "what was queued is sent by the next run"
    with ControlStore.open(f"sqlite:///{world.root}/home/control.db") as control:
        assert control.pending_alerts() == ()
