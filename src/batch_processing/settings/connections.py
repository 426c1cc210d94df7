"""Connections as values: read from Airflow's URI and JSON forms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from batch_processing.errors import SettingError

_EXTRA_KEY = "__extra__"
_JSON_KEYS = ("conn_type", "host", "port", "login", "password", "schema", "extra", "description")
_FIX = (
    'use a URI as postgres://login:password@host:5432/database, or JSON as {"conn_type": "postgres", "host": "..."}'
    " (characters such as @ : / in a URI's password are written %40 %3A %2F)"
)
_PROTOCOL_IN_HOST = 2
_HIGHEST_PORT = 65_535


@dataclass(frozen=True)
class Connection:
    """An address with credentials, in Airflow's terms.

    `login`, `password` and `extra` may hold credentials and stay out of `repr`.

    Attributes:
        conn_id: its name.
        conn_type: `postgres`, `sqlite`, `http`, `duckdb`, `smtp`, ...; dashes become underscores and
            `postgresql` becomes `postgres`, as in Airflow.
        schema: the database's name, or for `http` the protocol.
        extra: further settings.
    """

    conn_id: str
    conn_type: str
    host: str | None = None
    port: int | None = None
    login: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    extra: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """`extra`, by the name that Airflow's templates use."""
        return self.extra


def parse_connection(conn_id: str, text: str) -> Connection:
    """Reads a connection from Airflow's URI form or its JSON form.

    Raises:
        SettingError: neither; the text is never repeated, since it may hold a password.
    """
    cleaned = text.strip()
    if not cleaned:
        raise _refused(conn_id, "an empty text")
    return _from_json(conn_id, cleaned) if cleaned.startswith("{") else _from_uri(conn_id, cleaned)


def _refused(conn_id: str, found: str) -> SettingError:
    return SettingError("cannot read a connection", where=f"connection {conn_id}", found=found, fix=_FIX)


def _from_json(conn_id: str, text: str) -> Connection:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        # The parser's error holds the text, so it is not chained.
        raise _refused(conn_id, "JSON that does not parse") from None
    if unknown := sorted(set(given) - set(_JSON_KEYS)):
        raise _refused(conn_id, f"unknown keys {', '.join(unknown)}; valid: {', '.join(_JSON_KEYS)}")
    if not isinstance(given.get("conn_type"), str) or not given["conn_type"]:
        raise _refused(conn_id, "JSON without conn_type")
    return Connection(
        conn_id=conn_id,
        conn_type=_type_name(given["conn_type"]),
        host=_text(conn_id, given, "host"),
        port=_port(conn_id, given.get("port")),
        login=_text(conn_id, given, "login"),
        password=_text(conn_id, given, "password"),
        schema=_text(conn_id, given, "schema"),
        extra=_extra(conn_id, given.get("extra")),
    )


def _text(conn_id: str, given: Mapping[str, Any], key: str) -> str | None:
    value = given.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise _refused(conn_id, f"{key} of type {type(value).__name__} instead of text")


def _port(conn_id: str, value: object) -> int | None:
    if value is None or value == "":
        return None
    try:
        port = int(str(value))
    except ValueError:
        raise _refused(conn_id, "a port that is not a number") from None
    if not 0 < port <= _HIGHEST_PORT:
        raise _refused(conn_id, f"port {port}, outside 1 to {_HIGHEST_PORT}")
    return port


def _extra(conn_id: str, value: object) -> dict[str, Any]:
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        try:
            parsed: object = json.loads(value)
        except (ValueError, RecursionError):
            raise _refused(conn_id, "an extra that is not JSON") from None
    else:
        parsed = value
    if not isinstance(parsed, dict):
        raise _refused(conn_id, "an extra that is not a JSON object")
    return parsed


def _from_uri(conn_id: str, text: str) -> Connection:
    scheme, separator, rest = text.partition("://")
    if not separator or not scheme:
        raise _refused(conn_id, "a text that is neither a URI nor a JSON object")
    try:
        protocol, parts = _split(rest)
        host, port = _host(parts), parts.port
    except ValueError:
        raise _refused(conn_id, "a URI that does not parse") from None
    return Connection(
        conn_id=conn_id,
        conn_type=_type_name(scheme),
        host=f"{protocol}://{host}" if protocol and host else host or None,
        port=port,
        login=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        schema=unquote(parts.path[1:]) or None,
        extra=_query_extra(conn_id, parts.query),
    )


def _split(rest: str) -> tuple[str, SplitResult]:
    """`http://https://host` carries the host's own protocol after the type."""
    address = rest.partition("?")[0]
    if address.count("://") >= _PROTOCOL_IN_HOST:
        raise ValueError("too many protocols")
    if "://" in address:
        protocol = address.partition("://")[0]
        if "@" in protocol or ":" in protocol:
            raise ValueError("credentials before the protocol")
        return protocol, urlsplit(rest)
    return "", urlsplit(f"//{rest}")


def _host(parts: SplitResult) -> str:
    """The host as written: an encoded path (a socket folder, a file) keeps its case."""
    host = unquote(parts.hostname or "")
    if "/" not in host:
        return host
    bare = parts.netloc.rpartition("@")[2]
    return unquote(bare.partition(":")[0])


def _query_extra(conn_id: str, query: str) -> dict[str, Any]:
    pairs: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    if _EXTRA_KEY in pairs:
        return _extra(conn_id, pairs[_EXTRA_KEY])
    return {key: _decoded(value) for key, value in pairs.items()}


def _decoded(value: str) -> object:
    try:
        decoded: object = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return decoded


def _type_name(text: str) -> str:
    name = text.strip().lower().replace("-", "_")
    return "postgres" if name == "postgresql" else name
