"""A real HTTP server as a source: what breaks between sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from batch_processing.errors import SourceUnavailable
from batch_processing.results import Landed
from batch_processing.settings.models import SourceSpec
from batch_processing.settings.values import Connection
from batch_processing.sources.api import extract_api
from tests.services.postgres import free_port


class _Handler(BaseHTTPRequestHandler):
    """`script` holds what each request meets: `cut`, `hang`, or a status."""

    script: list[str]
    release: threading.Event

    def do_GET(self) -> None:
        met = self.script.pop(0) if self.script else "200"
        if met == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"[{")
            return
        if met == "hang":
            self.release.wait(5)
            return
        page = int(self.path.rpartition("=")[2])
        body = json.dumps([{"id": page * 10 + i} for i in range(3)] if page < 4 else []).encode()
        self.send_response(int(met))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    _Handler.script, _Handler.release = [], threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    _Handler.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


def extract(port: int, folder: Path) -> Landed:
    api = {"connection": "web", "endpoint": "/r", "pagination": {"kind": "page"}, "timeout": "300ms", "retries": 3}
    spec = SourceSpec.model_validate({"api": api, "schema": {"id": "bigint"}})
    connection = Connection(conn_id="web", conn_type="http", host="127.0.0.1", port=port)
    return extract_api(
        spec, source="s", connection=connection, endpoint="/r", params={}, folder=folder, sleep=lambda _: None
    )


def test_broken_slow_and_failing_answers_are_asked_for_again(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    _Handler.script = ["cut", "200", "hang", "503", "200"]
    landed = extract(server.server_port, tmp_path)
    assert (landed.read, landed.landed) == (9, 9)


def test_nobody_listening_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"in 4 tries.*ConnectError"):
        extract(free_port(), tmp_path)
