"""A run whose data fails is killed around its mail: the failure is told, and nothing stays in the outbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.chaos.harness import Chaos
from tests.e2e.chaos.mail import kill_at_mail
from tests.e2e.chaos.points import MAIL_POINTS
from tests.services.smtp import Mailbox


@pytest.mark.parametrize("point", MAIL_POINTS)
def test_a_failure_is_mailed_though_the_run_was_killed(chaos: Chaos, smtp: Mailbox, tmp_path: Path, point: str) -> None:
    assert kill_at_mail(chaos, smtp, tmp_path, point) == []
