"""HTTP calls to one API: bounded retries, no credential to another host."""

from __future__ import annotations

import email.utils
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import httpx
import tenacity

from batch_processing.errors import SettingError, SourceSchemaError, SourceUnavailable
from batch_processing.settings.models import ApiSpec
from batch_processing.settings.values import Connection

_LOG = logging.getLogger(__name__)

LONGEST_PAUSE = 300.0
"""Seconds; an API that asks for a longer pause is unavailable, and the step's own retry takes over."""

_AGAIN = frozenset({408, 425, 429})
_REDIRECTS = 5


class _Busy(Exception):
    """An answer after which the same call may succeed."""

    def __init__(self, said: str, pause: float | None = None) -> None:
        super().__init__(said)
        self.said, self.pause = said, pause


class Calls:
    """GET requests to one API. Use as a context manager.

    Args:
        connection: of type `http`: host (with or without protocol), schema, port; login and password
            for basic authentication, or `extra.bearer_token`; further `extra.headers`.
        spec: `timeout` and `retries` are read.
        sleep: waits that many seconds.
        transport: where requests go; None for the network.
    """

    def __init__(
        self,
        connection: Connection,
        spec: ApiSpec,
        *,
        sleep: Callable[[float], None],
        transport: httpx.BaseTransport | None,
    ) -> None:
        self._conn_id, self._retries, self._sleep = connection.conn_id, spec.retries, sleep
        self._base = base_url(connection)
        # httpx logs each address at INFO, and its query may hold a key.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._client = httpx.Client(
            auth=_basic(connection),
            headers=_headers(connection),
            timeout=spec.timeout.total_seconds(),
            transport=transport,
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def address(self, endpoint: str) -> httpx.URL:
        """The endpoint's address on this API.

        Raises:
            SettingError: the endpoint names a host of its own.
        """
        if "://" in endpoint or endpoint.startswith("//"):
            raise SettingError(
                "an endpoint must be a path; the host comes from the connection",
                where=f"connection {self._conn_id}",
                fix="put protocol and host into the connection, and the path into endpoint",
            )
        return httpx.URL(f"{str(self._base).rstrip('/')}/{endpoint.lstrip('/')}")

    def same_host(self, url: httpx.URL) -> bool:
        """Whether an address has this API's protocol, host and port."""
        return _origin(url) == _origin(self._base)

    def get(self, url: httpx.URL, params: Mapping[str, str] | None) -> httpx.Response:
        """The answer with status 200, after retries of 408, 425, 429, 5xx, timeouts and broken connections.

        Args:
            url: the address.
            params: query parameters; None leaves those of the address alone.

        Raises:
            SourceUnavailable: it did not answer in `retries` + 1 tries, or asked for too long a pause.
            SettingError: 401 or 403.
            SourceSchemaError: another 4xx, or a redirect to another host.
        """
        full = url.copy_merge_params(dict(params)) if params else url
        retrying = tenacity.Retrying(
            stop=tenacity.stop_any(tenacity.stop_after_attempt(self._retries + 1), _AsksTooLong()),
            wait=_pause,
            sleep=self._sleep,
            retry=tenacity.retry_if_exception_type(_Busy),
            before_sleep=self._log_retry,
        )
        try:
            return retrying(self._once, full)
        except tenacity.RetryError as error:
            raise self._unavailable(full, error) from error.last_attempt.exception()

    def _once(self, url: httpx.URL) -> httpx.Response:
        target = url
        for _ in range(_REDIRECTS):
            response = self._send(target)
            if not response.has_redirect_location:
                return self._judge(response, target)
            target = target.join(response.headers["Location"])
            if not self.same_host(target):
                raise SourceSchemaError(
                    "the API redirects to another host; credentials are not sent there",
                    where=_shown(url),
                    found=f"{response.status_code} to {target.scheme}://{target.host}",
                    fix=f"put that host into connection {self._conn_id}, if it is the right one",
                )
        raise SourceSchemaError("the API redirects in circles", where=_shown(url), fix="check the endpoint")

    def _send(self, url: httpx.URL) -> httpx.Response:
        try:
            return self._client.get(url)
        except httpx.TimeoutException as error:
            raise _Busy(f"no answer in time ({type(error).__name__})") from error
        except (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ProxyError) as error:
            raise _Busy(f"no connection ({type(error).__name__})") from error
        except httpx.DecodingError as error:
            raise _Busy("an answer with a broken encoding") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SettingError(
                "cannot call the API",
                where=_shown(url),
                found=type(error).__name__,
                fix=f"check schema and host of connection {self._conn_id}",
            ) from error

    def _judge(self, response: httpx.Response, url: httpx.URL) -> httpx.Response:
        status = response.status_code
        if status in _AGAIN or status >= 500:
            raise _Busy(f"status {status}", _retry_after(response))
        if status in (401, 403):
            raise SettingError(
                "the API refused the credentials",
                where=_shown(url),
                found=f"status {status}",
                fix=f"check login, password, extra.bearer_token or extra.headers of connection {self._conn_id}",
            )
        if status != httpx.codes.OK:
            raise SourceSchemaError(
                "the API refused the request",
                where=_shown(url),
                found=f"status {status} {response.reason_phrase}".strip(),
                fix="check endpoint and params of the source",
            )
        return response

    def _log_retry(self, state: tenacity.RetryCallState) -> None:
        busy = state.outcome.exception() if state.outcome else None
        _LOG.warning("connection %s: try %d failed: %s", self._conn_id, state.attempt_number, busy)

    def _unavailable(self, url: httpx.URL, error: tenacity.RetryError) -> SourceUnavailable:
        busy = error.last_attempt.exception()
        tries = error.last_attempt.attempt_number
        pause = busy.pause if isinstance(busy, _Busy) else None
        asked = f"; it asks for a pause of {pause:.0f} s" if pause else ""
        return SourceUnavailable(
            f"the API did not answer in {tries} {'try' if tries == 1 else 'tries'}",
            where=_shown(url),
            found=f"last: {busy}{asked}",
            fix="try again later; api.retries and api.timeout set how patient the step is",
        )


def base_url(connection: Connection) -> httpx.URL:
    """The API's root as Airflow's http connection spells it.

    Raises:
        SettingError: no host, or one that is no address.
    """
    host = connection.host or ""
    text = host if "://" in host else f"{connection.schema or 'http'}://{host}"
    try:
        url = httpx.URL(text)
        url = url.copy_with(port=connection.port) if connection.port else url
    except (httpx.InvalidURL, TypeError) as error:
        raise _bad_host(connection) from error
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise _bad_host(connection)
    return url


def _bad_host(connection: Connection) -> SettingError:
    return SettingError(
        "an http connection needs a host",
        where=f"connection {connection.conn_id}",
        fix="give host (api.example.com or https://api.example.com), schema (https), port; no login in the host",
    )


def _basic(connection: Connection) -> httpx.BasicAuth | None:
    if connection.login is None:
        return None
    return httpx.BasicAuth(connection.login, connection.password or "")


def _headers(connection: Connection) -> dict[str, str]:
    headers = {"Accept": "application/json", "User-Agent": "batch-processing"}
    extra = connection.extra.get("headers", {})
    if not isinstance(extra, Mapping):
        raise SettingError(
            "extra.headers must be an object of texts",
            where=f"connection {connection.conn_id}",
            fix="mend the connection",
        )
    headers.update({str(name): str(value) for name, value in extra.items()})
    if token := connection.extra.get("bearer_token"):
        headers["Authorization"] = f"Bearer {token}"
    return headers


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds of the `Retry-After` header: a number or an HTTP date (RFC 9110, 10.2.3)."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)


_backoff = tenacity.wait_exponential_jitter(initial=1.0, max=60.0)


def _pause(state: tenacity.RetryCallState) -> float:
    asked = _asked(state)
    return _backoff(state) if asked is None else asked


class _AsksTooLong(tenacity.stop.stop_base):
    """Stops where the API asks for a pause beyond LONGEST_PAUSE."""

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        return (_asked(retry_state) or 0.0) > LONGEST_PAUSE


def _asked(state: tenacity.RetryCallState) -> float | None:
    busy = state.outcome.exception() if state.outcome else None
    return busy.pause if isinstance(busy, _Busy) else None


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def _shown(url: httpx.URL) -> str:
    """The address without its query, which may hold a key."""
    return str(url.copy_with(query=None, fragment=None, userinfo=None))
