"""Connections kept in a file, for runs outside Airflow: the JSON that `airflow connections export` writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from batch_processing.errors import SettingError
from batch_processing.settings.connections import Connection, parse_connection

FILE_NAME = "connections.json"
_ON_DISK = ("sqlite", "duckdb")
_FIX = 'write a JSON object as {"crm": {"conn_type": "sqlite", "host": "data/crm.sqlite"}}'


def read_connections_file(path: Path) -> dict[str, Connection]:
    """The connections of a file, by id.

    Each is an object with the keys of Airflow's export, or a URI. The host of a connection of type sqlite or
    duckdb is a file; where it is relative, it is taken from the folder that holds the connections file.

    Raises:
        SettingError: no such file, not a JSON object, or a connection in it that cannot be read.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingError(
            "cannot read the connections file", where=str(path), found=error.strerror or type(error).__name__, fix=_FIX
        ) from error
    except (ValueError, RecursionError) as error:
        line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        # Not chained: the parser's error holds the text, and that may hold a password.
        raise SettingError("the connections file is not JSON", where=f"{path}{line}", fix=_FIX) from None
    if not isinstance(given, dict):
        raise SettingError(
            "the connections file is not a JSON object", where=str(path), found=type(given).__name__, fix=_FIX
        )
    return {conn_id: _connection(conn_id, value, path) for conn_id, value in given.items()}


def _connection(conn_id: str, value: object, path: Path) -> Connection:
    if not isinstance(value, dict | str):
        raise SettingError(
            "cannot read a connection",
            where=f"connection {conn_id} in {path}",
            found=f"a {type(value).__name__} instead of an object or a URI",
            fix=_FIX,
        )
    found = parse_connection(conn_id, value if isinstance(value, str) else json.dumps(value))
    host = found.host
    if found.conn_type in _ON_DISK and host and host != ":memory:" and not Path(host).expanduser().is_absolute():
        return replace(found, host=str(path.absolute().parent / host))
    return found
