"""The local API: it pages, asks for its token, and fails when told to and only then."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from examples.local_api import LocalApi, Trouble

ROWS = [{"n": number} for number in range(7)]


def every_row(_: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
    return ROWS


def fetch(api: LocalApi, path: str = "/things", *, token: str = "", **params: str | int) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(trust_env=False) as client:
        return client.get(f"http://127.0.0.1:{api.port}{path}", params=params, headers=headers)


def test_pages_together_hold_every_record_once() -> None:
    with LocalApi("/things", key="things", records=every_row, page_size=3) as api:
        answers = [fetch(api, page=page).json() for page in (1, 2, 3)]
    assert [answer["pages"] for answer in answers] == [3, 3, 3]
    assert [row for answer in answers for row in answer["things"]] == ROWS


def test_a_page_after_the_last_is_empty() -> None:
    with LocalApi("/things", key="things", records=every_row, page_size=3) as api:
        assert fetch(api, page=4).json() == {"page": 4, "pages": 3, "things": []}


def test_an_empty_list_is_one_empty_page() -> None:
    with LocalApi("/things", key="things", records=lambda _: [], page_size=3) as api:
        assert fetch(api).json() == {"page": 1, "pages": 1, "things": []}


def test_a_client_may_ask_for_smaller_pages_but_not_for_bigger() -> None:
    with LocalApi("/things", key="things", records=every_row, page_size=3) as api:
        assert fetch(api, per_page=2).json()["pages"] == 4
        assert fetch(api, per_page=100).json()["pages"] == 3


@pytest.mark.parametrize("params", [{"page": "x"}, {"page": 0}, {"per_page": 0}, {"per_page": -1}])
def test_page_numbers_that_are_none_are_refused(params: dict[str, str | int]) -> None:
    with LocalApi("/things", key="things", records=every_row) as api:
        assert fetch(api, **params).status_code == HTTPStatus.BAD_REQUEST


def test_without_the_token_there_is_no_data() -> None:
    with LocalApi("/things", key="things", records=every_row, token="right") as api:
        assert fetch(api).status_code == HTTPStatus.UNAUTHORIZED
        assert fetch(api, token="wrong").status_code == HTTPStatus.UNAUTHORIZED
        assert fetch(api, token="right").json()["things"] == ROWS
        assert json.loads(api.connection())["extra"] == {"bearer_token": "right"}


def test_another_path_is_not_found() -> None:
    with LocalApi("/things", key="things", records=every_row) as api:
        assert fetch(api, "/other").status_code == HTTPStatus.NOT_FOUND


def test_it_fails_on_the_requests_it_is_told_to() -> None:
    def second(number: int) -> Trouble | None:
        return Trouble(HTTPStatus.TOO_MANY_REQUESTS, retry_after=3) if number == 2 else None

    with LocalApi("/things", key="things", records=every_row, trouble=second) as api:
        answers = [fetch(api) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 200]
    assert answers[1].headers["Retry-After"] == "3"
    assert api.answers == [200, 429, 200]


def test_the_port_is_free_again_after_the_block() -> None:
    with LocalApi("/things", key="things", records=every_row) as api:
        port = api.port
    with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as client:
        client.get(f"http://127.0.0.1:{port}/things")
