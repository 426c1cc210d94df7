"""A control store in SQLite and in a schema of its own in PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_processing.control.store import ControlStore


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/home/control.db"
        return
    server = request.getfixturevalue("postgres")
    schema = f"c_{uuid.uuid4().hex[:12]}"
    server.execute(f"CREATE SCHEMA {schema}")
    yield f"{server.uri}?options=-csearch_path%3D{schema}"
    server.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def store(url: str) -> Iterator[ControlStore]:
    with ControlStore.open(url) as opened:
        yield opened
