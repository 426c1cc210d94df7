"""What the package tells Airflow about itself, and what its local servers refuse."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from batch_processing.airflow_support.local_servers import LocalAirflow
from batch_processing.airflow_support.provider import provider_info
from batch_processing.errors import UsageError
from tests.services.airflow import run_python

pytestmark = [pytest.mark.airflow]


def test_airflow_takes_the_provider_information(tmp_path: Path) -> None:
    code = (
        "import json\nfrom airflow.providers_manager import ProvidersManager\n"
        "found = ProvidersManager().providers['batch-processing']\n"
        "print(json.dumps([found.version, found.data['name']]))"
    )

    version, name = json.loads(run_python(code, home=tmp_path).splitlines()[-1])

    assert version == provider_info()["versions"][0]
    assert name == "Batch Processing"


def test_a_port_that_is_taken_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with (
            pytest.raises(UsageError, match=f"port {port}.*BATCH_UI_PORT"),
            LocalAirflow(tmp_path, tmp_path, port=port),
        ):
            pass
    assert not (tmp_path / "airflow.db").exists()


def test_secrets_are_made_once_and_are_for_the_owner_only(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first, second = LocalAirflow(home, tmp_path, port=1), LocalAirflow(home, tmp_path, port=1)

    assert first.password == second.password
    assert len(first.password) >= 12
    assert first.password not in repr(first)
    assert home.stat().st_mode & 0o077 == 0
