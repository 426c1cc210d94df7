"""The trigger that waits for files, run as the triggerer runs it: made again from what it serializes to."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.services.airflow import run_python

pytestmark = [pytest.mark.airflow]

PROBE = """
import asyncio, json, threading, time
from pathlib import Path
from airflow.sdk._shared.module_loading import import_string
from batch_processing.operators import trigger as module
from batch_processing.operators.trigger import FilesTrigger, files_to_json
from batch_processing.settings.models import FilesSpec

module.FIRST_LOOK_SECONDS = {first_look}
folder = Path({folder!r})
spec = FilesSpec(path="unused", ready={ready!r}, poke="0.2s")
given = FilesTrigger(
    pattern=str(folder / "*.csv"), files=files_to_json(spec), seen={{}}, deadline=time.time() + {patience}
)
classpath, arguments = given.serialize()
trigger = import_string(classpath)(**json.loads(json.dumps(arguments)))
began = time.monotonic()
ticks = []

async def main():
    async def tick():
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.05)
    task = asyncio.create_task(tick())
    event = await anext(trigger.run())
    task.cancel()
    return event

def write():
{writing}

threading.Thread(target=write).start()
event = asyncio.run(main())
longest = max(b - a for a, b in zip(ticks, ticks[1:]))
print(json.dumps({{"event": event.payload, "longest": longest, "took": ticks[-1] - began}}))
"""


def _event(
    folder: Path, *, ready: str = "stable", patience: float = 20, writing: str = "pass", first_look: float = 0
) -> dict[str, Any]:
    body = textwrap.indent(writing, "    ")
    code = PROBE.format(folder=str(folder), ready=ready, patience=patience, writing=body, first_look=first_look)
    found: dict[str, Any] = json.loads(run_python(code, home=folder / "airflow").splitlines()[-1])
    return found


def test_it_fires_when_a_growing_file_has_come_to_rest(tmp_path: Path) -> None:
    writing = (
        "with (folder / 'a.csv').open('w') as file:\n"
        "    for _ in range(8):\n"
        "        file.write('x' * 100); file.flush(); time.sleep(0.15)\n"
        "(folder / 'written').touch()"
    )

    found = _event(tmp_path, writing=writing)

    assert found["event"] == {"ready": True, "paths": [str(tmp_path / "a.csv")]}
    assert (tmp_path / "written").exists()
    assert (tmp_path / "a.csv").stat().st_size == 800


def test_the_first_look_waits_until_the_scheduler_knows_that_the_sensor_let_go(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n")

    found = _event(tmp_path, ready="exists", first_look=1.5)

    assert found["event"]["ready"]
    assert found["took"] >= 1.4


def test_it_gives_up_at_its_deadline_and_says_why(tmp_path: Path) -> None:
    found = _event(tmp_path, patience=0.5)

    assert found["event"] == {"ready": False, "why": "no file matches"}


def test_a_file_without_its_marker_is_not_complete(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n")

    found = _event(tmp_path, ready="marker", patience=0.5)

    assert not found["event"]["ready"]
    assert ".done" in found["event"]["why"]
