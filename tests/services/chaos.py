"""Trials with processes that are killed, frozen and starved (fixtures `chaos` and `trials`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.chaos.harness import Chaos
    from tests.e2e.chaos.trials import Trials


@pytest.fixture(scope="session")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chaos]:
    """Starts runs in processes of their own."""
    from tests.e2e.chaos.harness import Chaos

    with Chaos(tmp_path_factory.mktemp("runs")) as started:
        yield started


@pytest.fixture(scope="session")
def trials(chaos: Chaos, tmp_path_factory: pytest.TempPathFactory) -> Trials:
    """Worlds to copy, each with the state that a clean run leaves."""
    from tests.e2e.chaos.trials import Trials

    return Trials(chaos, tmp_path_factory.mktemp("chaos"))
