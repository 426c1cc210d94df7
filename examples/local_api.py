"""A small JSON API on this machine: it pages, may ask for a token, and fails when told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

Records = Callable[[Mapping[str, str]], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Trouble:
    """An answer that is no answer: its status and, for a 429, the seconds after which to ask again."""

    status: HTTPStatus
    retry_after: int | None = None


def _no_trouble(_: int) -> Trouble | None:
    return None


class LocalApi:
    """Serves one endpoint on a free loopback port while the `with` block lasts.

    An answer is `{"page": 1, "pages": 3, "<key>": [record, ...]}`; the parameters `page` (from 1) and `per_page`
    choose the records, the others are handed to `records`.

    Args:
        endpoint: the path served, as `/rates`.
        key: the name of the list of records in an answer.
        records: all the records for the request's parameters, in a fixed order.
        page_size: records on a page where `per_page` does not say; also its upper limit.
        token: what `Authorization: Bearer ...` must carry; None for an open API.
        trouble: given the request's number (from 1), the failure to answer with, or None.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        key: str,
        records: Records,
        page_size: int = 1_000,
        token: str | None = None,
        trouble: Callable[[int], Trouble | None] = _no_trouble,
    ) -> None:
        self.endpoint = endpoint
        self.answers: list[HTTPStatus] = []
        self._key, self._records, self._page_size = key, records, page_size
        self._token, self._trouble = token, trouble
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name=f"api {endpoint}", daemon=True)

    @property
    def port(self) -> int:
        """The port that the system chose."""
        return int(self._server.server_address[1])

    def connection(self) -> str:
        """The connection to this API in Airflow's JSON form."""
        extra = {"bearer_token": self._token} if self._token else {}
        value = {"conn_type": "http", "schema": "http", "host": "127.0.0.1", "port": self.port, "extra": extra}
        return json.dumps(value)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, target: str, authorization: str | None) -> tuple[HTTPStatus, dict[str, str], dict[str, Any]]:
        """Status, headers and body for one request; the request is counted."""
        with self._lock:
            number = len(self.answers) + 1
            reply = self._reply(number, target, authorization)
            self.answers.append(reply[0])
        return reply

    def _reply(
        self, number: int, target: str, authorization: str | None
    ) -> tuple[HTTPStatus, dict[str, str], dict[str, Any]]:
        parts = urlsplit(target)
        params = dict(parse_qsl(parts.query))
        if parts.path != self.endpoint:
            return HTTPStatus.NOT_FOUND, {}, {"error": f"no such endpoint; there is {self.endpoint}"}
        if self._token is not None and authorization != f"Bearer {self._token}":
            return HTTPStatus.UNAUTHORIZED, {}, {"error": "the token is missing or wrong"}
        if trouble := self._trouble(number):
            headers = {} if trouble.retry_after is None else {"Retry-After": str(trouble.retry_after)}
            return trouble.status, headers, {"error": trouble.status.phrase}
        return self._page(params)

    def _page(self, params: dict[str, str]) -> tuple[HTTPStatus, dict[str, str], dict[str, Any]]:
        try:
            page = int(params.pop("page", "1"))
            size = min(int(params.pop("per_page", self._page_size)), self._page_size)
        except ValueError:
            return HTTPStatus.BAD_REQUEST, {}, {"error": "page and per_page are numbers"}
        if page < 1 or size < 1:
            return HTTPStatus.BAD_REQUEST, {}, {"error": "page and per_page start at 1"}
        rows = self._records(params)
        pages = max(1, -(-len(rows) // size))
        return HTTPStatus.OK, {}, {"page": page, "pages": pages, self._key: rows[(page - 1) * size : page * size]}


def _handler(api: LocalApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # header and body leave in one packet
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            status, headers, body = api.answer(self.path, self.headers.get("Authorization"))
            data = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Type": "application/json"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing: the pipeline's own log names each request that failed."""

    return Handler
