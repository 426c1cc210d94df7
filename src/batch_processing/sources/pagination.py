"""Walks the pages of an API: each kind of `PaginationSpec`, and the loops it must not fall into."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from batch_processing.errors import SourceSchemaError
from batch_processing.settings.models import ApiSpec
from batch_processing.sources.calls import Calls

_SHOWN = 20


@dataclass(frozen=True)
class _Step:
    """The next request: its address and query parameters (None: the address has its own)."""

    url: httpx.URL
    params: dict[str, str] | None
    offset: int = 0
    page: int = 0


def pages(
    calls: Calls, spec: ApiSpec, *, endpoint: str, params: Mapping[str, str], where: str, decimals: bool
) -> Iterator[list[Any]]:
    """The records of each page.

    Args:
        calls: the API.
        spec: `records_key` and `pagination` are read.
        endpoint: the rendered path.
        params: the rendered query parameters.
        where: the source's place, for messages.
        decimals: read fractions as Decimal.

    Raises:
        SourceSchemaError: an answer that is not JSON or lacks `records_key`, a page or cursor that comes
            again, a link to another host, or more pages than `max_pages`.
    """
    step: _Step | None = _first(calls.address(endpoint), spec, dict(params))
    visited: set[str] = set()
    previous: list[Any] = []
    count = 0
    while step is not None:
        count += 1
        response = calls.get(step.url, step.params)
        answer = _json(response, where=where, page=count, decimals=decimals)
        records = _records(answer, spec.records_key, where=where, page=count)
        if count > 1 and records and records == previous and spec.pagination.kind in ("page", "offset"):
            raise _looping(f"page {count} holds the same records as the page before", where, spec)
        yield records
        step = _next(step, spec, answer=answer, records=records, response=response, calls=calls, where=where)
        _check_new(step, visited, spec, where)
        if step is not None and count >= spec.pagination.max_pages:
            raise SourceSchemaError(
                f"the API has more than max_pages = {count} pages",
                where=where,
                fix="raise pagination.max_pages, or ask for less with params",
            )
        previous = records


def _first(url: httpx.URL, spec: ApiSpec, params: dict[str, str]) -> _Step:
    paging = spec.pagination
    if paging.kind == "none":
        return _Step(url, params)
    sized = {paging.size_param: str(paging.size)} if paging.size_param and paging.size else {}
    if paging.kind == "page":
        return _Step(url, {**params, **sized, paging.param: str(paging.first_page)}, page=paging.first_page)
    if paging.kind == "offset":
        return _Step(url, {**params, **sized, paging.param: "0"})
    return _Step(url, {**params, **sized})


def _next(
    step: _Step,
    spec: ApiSpec,
    *,
    answer: Any,
    records: list[Any],
    response: httpx.Response,
    calls: Calls,
    where: str,
) -> _Step | None:
    paging, params = spec.pagination, step.params or {}
    if paging.kind == "page":
        if _last_page(answer, spec, step.page, where=where) if paging.total_pages_key else not records:
            return None
        return _Step(step.url, {**params, paging.param: str(step.page + 1)}, page=step.page + 1)
    if paging.kind == "offset":
        # An API may give fewer rows than asked: only an empty page is the end.
        offset = step.offset + len(records)
        return _Step(step.url, {**params, paging.param: str(offset)}, offset=offset) if records else None
    if paging.kind == "cursor":
        cursor = _at(answer, paging.cursor_key or "", default=None)
        if cursor in (None, ""):
            return None
        if not isinstance(cursor, str | int):
            raise SourceSchemaError("the cursor is neither text nor a number", where=where, fix="mend cursor_key")
        return _Step(step.url, {**params, paging.param: str(cursor)})
    if paging.kind == "link":
        return _linked(step, response, calls, where)
    return None


def _last_page(answer: Any, spec: ApiSpec, page: int, *, where: str) -> bool:
    key = spec.pagination.total_pages_key or ""
    total = _at(answer, key, default=None)
    if isinstance(total, bool) or not isinstance(total, int):
        raise SourceSchemaError(
            f"the answer has no number of pages at {key}", where=where, found=_keys(answer), fix="mend total_pages_key"
        )
    return page >= total + spec.pagination.first_page - 1


def _linked(step: _Step, response: httpx.Response, calls: Calls, where: str) -> _Step | None:
    target = response.links.get("next", {}).get("url")
    if not target:
        return None
    url = step.url.join(target)
    if not calls.same_host(url):
        raise SourceSchemaError(
            "the next page is on another host; credentials are not sent there",
            where=where,
            found=f"{url.scheme}://{url.host}",
            fix="put that host into the connection, if it is the right one",
        )
    return _Step(url, None)


def _check_new(step: _Step | None, visited: set[str], spec: ApiSpec, where: str) -> None:
    """Refuses a cursor or link that was there before: it would never end."""
    if step is None or spec.pagination.kind not in ("cursor", "link"):
        return
    mark = str(step.url) if step.params is None else step.params[spec.pagination.param]
    if mark in visited:
        raise _looping(f"a {spec.pagination.kind} came again", where, spec)
    visited.add(mark)


def _looping(what: str, where: str, spec: ApiSpec) -> SourceSchemaError:
    return SourceSchemaError(
        f"the API's pages do not advance: {what}",
        where=where,
        fix=f"check pagination.param ({spec.pagination.param}) and kind ({spec.pagination.kind}) with the API's manual",
    )


def _json(response: httpx.Response, *, where: str, page: int, decimals: bool) -> Any:
    try:
        return json.loads(response.content, parse_float=Decimal if decimals else None)
    except (ValueError, RecursionError) as error:
        kind = response.headers.get("Content-Type", "no content type")[:80]
        raise SourceSchemaError(
            f"page {page} is not JSON", where=where, found=kind, fix="check the endpoint; a login page has answered?"
        ) from (None if isinstance(error, json.JSONDecodeError) else error)  # JSONDecodeError holds the whole text


def _records(answer: Any, key: str, *, where: str, page: int) -> list[Any]:
    records = _at(answer, key, default=None) if key else answer
    if isinstance(records, list):
        return records
    raise SourceSchemaError(
        f"page {page} has no list of records at {key or 'its top'}",
        where=where,
        found=_keys(answer),
        fix="set api.records_key to the dotted path of the list",
    )


def _at(answer: Any, path: str, *, default: Any) -> Any:
    value = answer
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            return default
        value = value[key]
    return value


def _keys(answer: Any) -> str:
    if isinstance(answer, dict):
        return "an object with keys " + ", ".join(str(key)[:60] for key in list(answer)[:_SHOWN])
    return "a list" if isinstance(answer, list) else "neither an object nor a list"
