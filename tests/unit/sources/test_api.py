"""APIs: every page once, patience with limits, no credential to another host."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from batch_processing.errors import BatchError, SettingError, SourceSchemaError, SourceUnavailable
from batch_processing.results import Landed
from batch_processing.settings.models import SourceSpec
from batch_processing.settings.values import Connection
from batch_processing.sources.api import extract_api

from .landed import rejected, rejects, values

Answer = Callable[[httpx.Request], httpx.Response]


class Api:
    """Answers from a function, and remembers requests and pauses."""

    def __init__(self, folder: Path, answer: Answer) -> None:
        self.folder, self.answer = folder, answer
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []

    def extract(self, *, connection: dict[str, Any] | None = None, columns: dict[str, str] | None = None,
                endpoint: str = "/rates", **api: Any) -> Landed:  # fmt: skip
        spec = SourceSpec.model_validate(
            {"api": {"connection": "web", "endpoint": endpoint, **api}, "schema": columns or {"id": "bigint"}}
        )
        fields = {"host": "api.test", "schema": "https", "login": "me", "password": "geheim", **(connection or {})}
        return extract_api(
            spec, source="s", connection=Connection(conn_id="web", conn_type="http", **fields), endpoint=endpoint,
            params=spec.api.params if spec.api else {}, folder=self.folder / "landed", sleep=self.pauses.append,
            transport=httpx.MockTransport(self._handle),
        )  # fmt: skip

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.answer(request)


def ids(*numbers: int) -> list[dict[str, int]]:
    return [{"id": n} for n in numbers]


def of(landed: Landed) -> list[int]:
    return [v[1] for v in values(landed)]


def one(tmp_path: Path, *answers: httpx.Response | Exception) -> Api:
    queue = list(answers)

    def answer(_: httpx.Request) -> httpx.Response:
        given = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(given, Exception):
            raise given
        return given

    return Api(tmp_path, answer)


def test_one_answer_lands_with_its_place_and_numbers(tmp_path: Path) -> None:
    api = one(tmp_path, httpx.Response(200, json={"data": {"rows": [*ids(7, 8)]}}))
    landed = api.extract(records_key="data.rows", params={"q": "a b"})
    assert values(landed) == [(1, 7), (2, 8)]
    assert str(api.requests[0].url) == "https://api.test/rates?q=a+b"
    assert api.requests[0].headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("connection", "url"),
    [
        ({"host": "http://h/base/", "schema": None, "port": 81}, "http://h:81/base/rates"),
        ({"host": "h", "schema": None}, "http://h/rates"),
        ({"host": "https://h", "schema": "ignored"}, "https://h/rates"),
    ],
)
def test_the_base_is_spelled_as_airflow_does(tmp_path: Path, connection: dict[str, Any], url: str) -> None:
    api = one(tmp_path, httpx.Response(200, json=[]))
    api.extract(connection=connection)
    assert str(api.requests[0].url) == url


def test_bearer_token_and_headers_are_sent(tmp_path: Path) -> None:
    api = one(tmp_path, httpx.Response(200, json=[]))
    api.extract(connection={"login": None, "extra": {"bearer_token": "t", "headers": {"X-Key": "k"}}})
    assert api.requests[0].headers["Authorization"] == "Bearer t"
    assert api.requests[0].headers["X-Key"] == "k"


def test_pages_until_an_empty_one(tmp_path: Path) -> None:
    api = Api(tmp_path, lambda r: httpx.Response(200, json={1: ids(1, 2), 2: ids(3)}.get(int(r.url.params["p"]), [])))
    landed = api.extract(pagination={"kind": "page", "param": "p", "size_param": "n", "size": 2})
    assert of(landed) == [1, 2, 3]
    assert [r.url.params["n"] for r in api.requests] == ["2", "2", "2"]


def test_pages_until_the_total(tmp_path: Path) -> None:
    api = Api(tmp_path, lambda r: httpx.Response(200, json={"r": ids(int(r.url.params["page"])), "meta": {"pages": 3}}))
    paging = {"kind": "page", "first_page": 0, "total_pages_key": "meta.pages"}
    assert of(api.extract(records_key="r", pagination=paging)) == [0, 1, 2]
    with pytest.raises(SourceSchemaError, match=r"number of pages at meta\.total"):
        api.extract(records_key="r", pagination={**paging, "total_pages_key": "meta.total"})


def test_offsets_advance_by_what_came(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params["skip"])
        return httpx.Response(200, json=ids(*range(start, min(start + 2, 5))))  # the API caps the size at 2

    api = Api(tmp_path, answer)
    assert of(api.extract(pagination={"kind": "offset", "param": "skip", "size_param": "limit", "size": 3})) == [
        *range(5)
    ]


def test_cursors_go_back_until_they_end(tmp_path: Path) -> None:
    chain = {None: (1, "b"), "b": (2, "c"), "c": (3, None)}

    def answer(request: httpx.Request) -> httpx.Response:
        number, following = chain[request.url.params.get("after")]
        return httpx.Response(200, json={"r": ids(number), "next": {"c": following}})

    paging = {"kind": "cursor", "param": "after", "cursor_key": "next.c"}
    assert of(Api(tmp_path, answer).extract(records_key="r", pagination=paging)) == [1, 2, 3]


def test_links_are_followed_on_the_same_host(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params.get("page", 1))
        link = {"Link": f'</rates?page={page + 1}>; rel="next"'} if page < 3 else {}
        return httpx.Response(200, json=ids(page), headers=link)

    assert of(Api(tmp_path, answer).extract(pagination={"kind": "link"})) == [1, 2, 3]


@pytest.mark.parametrize(
    "other", ["https://evil.test/x", "http://api.test/x", "https://api.test:444/x", "//evil.test/"]
)
def test_a_link_or_redirect_elsewhere_is_refused(tmp_path: Path, other: str) -> None:
    linked = one(tmp_path, httpx.Response(200, json=[], headers={"Link": f'<{other}>; rel="next"'}))
    redirected = one(tmp_path, httpx.Response(302, headers={"Location": other}))
    for api in (linked, redirected):
        with pytest.raises(SourceSchemaError, match="another host"):
            api.extract(pagination={"kind": "link"})
        assert {r.url.host for r in api.requests} == {"api.test"}


def test_a_redirect_on_the_same_host_is_followed(tmp_path: Path) -> None:
    api = one(tmp_path, httpx.Response(307, headers={"Location": "/rates/"}), httpx.Response(200, json=ids(1)))
    assert of(api.extract()) == [1]


@pytest.mark.parametrize(
    "pagination",
    [
        {"kind": "page"},
        {"kind": "offset", "param": "o", "size_param": "n", "size": 1},
        {"kind": "cursor", "cursor_key": "next"},
        {"kind": "link"},
    ],
)
def test_pages_that_do_not_advance_are_refused(tmp_path: Path, pagination: dict[str, Any]) -> None:
    answer = httpx.Response(200, json={"r": ids(1), "next": "same"}, headers={"Link": '</rates?x=1>; rel="next"'})
    with pytest.raises(SourceSchemaError, match="do not advance"):
        one(tmp_path, answer).extract(records_key="r", pagination=pagination)


def test_more_pages_than_allowed_are_refused(tmp_path: Path) -> None:
    api = Api(tmp_path, lambda r: httpx.Response(200, json=ids(int(r.url.params["page"]))))
    with pytest.raises(SourceSchemaError, match="max_pages = 3"):
        api.extract(pagination={"kind": "page", "max_pages": 3})


@pytest.mark.parametrize(
    "failure",
    [
        httpx.Response(500),
        httpx.Response(503),
        httpx.Response(429),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
    ],
)
def test_passing_faults_are_retried_then_reported(tmp_path: Path, failure: httpx.Response | Exception) -> None:
    good = httpx.Response(200, json=ids(1))
    assert of(one(tmp_path, failure, failure, good).extract(retries=2)) == [1]
    api = one(tmp_path, failure)
    with pytest.raises(SourceUnavailable, match="in 3 tries") as caught:
        api.extract(retries=2)
    assert len(api.requests) == 3
    assert len(api.pauses) == 2
    assert all(0 <= p <= 61 for p in api.pauses)
    assert "last: " in str(caught.value)
    assert caught.value.retryable


def test_retry_after_is_obeyed_in_seconds_and_as_a_date(tmp_path: Path) -> None:
    moment = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    answers = [httpx.Response(429, headers={"Retry-After": text}) for text in ("17", moment)]
    api = one(tmp_path, *answers, httpx.Response(200, json=ids(1)))
    started = time.monotonic()
    api.extract()
    assert api.pauses[0] == 17
    assert 38 - (time.monotonic() - started) <= api.pauses[1] <= 40


def test_too_long_a_pause_is_left_to_the_steps_own_retry(tmp_path: Path) -> None:
    api = one(tmp_path, httpx.Response(429, headers={"Retry-After": "3600"}))
    with pytest.raises(SourceUnavailable, match=r"in 1 try.*pause of 3600 s"):
        api.extract()
    assert api.pauses == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, SettingError),
        (403, SettingError),
        (404, SourceSchemaError),
        (422, SourceSchemaError),
        (204, SourceSchemaError),
    ],
)
def test_a_refusal_is_not_retried(tmp_path: Path, status: int, kind: type[BatchError]) -> None:
    api = one(tmp_path, httpx.Response(status))
    with pytest.raises(kind) as caught:
        api.extract(params={"key": "secret-in-query"})
    assert len(api.requests) == 1
    assert not caught.value.retryable
    assert "geheim" not in str(caught.value)
    assert "secret-in-query" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(200, text="<html>login</html>", headers={"Content-Type": "text/html"}), "not JSON"),
        (httpx.Response(200, json={"rows": []}), "no list of records at its top.*keys rows"),
        (httpx.Response(200, content=b"null"), "no list of records"),
    ],
)
def test_an_answer_of_another_shape_is_a_schema_error(tmp_path: Path, answer: httpx.Response, said: str) -> None:
    with pytest.raises(SourceSchemaError, match=said):
        one(tmp_path, answer).extract()


def test_records_that_do_not_fit_are_rejects_with_their_json(tmp_path: Path) -> None:
    api = one(tmp_path, httpx.Response(200, json=[{"id": 1, "new": 1}, {"id": "x"}, 5, {}]))
    landed = api.extract()
    assert values(landed) == [(1, 1), (4, None)]
    assert rejected(landed) == [(2, "id", '{"id": "x"}'), (3, None, "5")]
    assert rejects(landed)[0]["_source_file"] == "web:/rates"
    assert (landed.read, landed.landed, landed.rejected) == (4, 2, 2)


def test_fractions_reach_a_decimal_unbent(tmp_path: Path) -> None:
    body = '[{"m": 0.1000000000000000055, "x": 0.1}]'
    api = one(tmp_path, httpx.Response(200, content=body))
    landed = api.extract(columns={"m": "decimal(30,19)", "x": "double"})
    assert json.dumps([str(v) for v in values(landed)[0][1:]]) == '["0.1000000000000000055", "0.1"]'


@pytest.mark.parametrize("host", [None, "", "ftp://h", "https://me:pw@h", "http://h:port"])
def test_a_connection_without_a_usable_host_is_a_setting_error(tmp_path: Path, host: str | None) -> None:
    with pytest.raises(SettingError, match="needs a host"):
        one(tmp_path, httpx.Response(200, json=[])).extract(connection={"host": host, "schema": None})


def test_an_endpoint_with_a_host_of_its_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="must be a path"):
        one(tmp_path, httpx.Response(200, json=[])).extract(endpoint="https://evil.test/rates")
