"""Where a declaration's values come from when a step runs: variables, connections, the slice."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from batch_processing.errors import SettingError
from batch_processing.results import Slice
from batch_processing.settings.connections import Connection, parse_connection
from batch_processing.settings.connections_file import read_connections_file
from batch_processing.settings.templates import near, render_text

__all__ = ["Connection", "EnvironmentValues", "Values", "parse_connection", "render", "render_threshold"]

_OWN_PREFIX = "BATCH_VAR_"
_AIRFLOW_PREFIX = "AIRFLOW_VAR_"
_CONNECTION_PREFIX = "AIRFLOW_CONN_"
_BIGGEST_FILE = 4 << 20


class Values(Protocol):
    """Gives variables and connections by name; raises SettingError for what is not set."""

    def variable(self, name: str) -> str:
        """The variable's text."""
        ...

    def connection(self, conn_id: str) -> Connection:
        """The connection."""
        ...


class EnvironmentValues:
    """Values for runs outside Airflow.

    A variable comes from the first of: `overrides` (`--set`), `BATCH_VAR_<NAME>`, `AIRFLOW_VAR_<NAME>`, the
    settings file (a JSON object; values other than texts become their JSON text). A connection comes from
    `AIRFLOW_CONN_<ID>`, in Airflow's URI or JSON form, else from the connections file. A file is read when first
    needed.
    """

    def __init__(
        self,
        overrides: Mapping[str, str] | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        settings_file: Path | None = None,
        connections_file: Path | None = None,
    ) -> None:
        self._overrides = dict(overrides or {})
        self._environ = environ
        self._settings_file = settings_file
        self._connections_file = connections_file

    def variable(self, name: str) -> str:
        """The variable's text.

        Raises:
            SettingError: set nowhere; every place looked in is named.
        """
        if name in self._overrides:
            return self._overrides[name]
        for prefix in (_OWN_PREFIX, _AIRFLOW_PREFIX):
            if (found := self._environ.get(prefix + name.upper())) is not None:
                return found
        if name in self._file_values:
            return self._file_values[name]
        raise SettingError(
            f"variable {name!r} is not set",
            where=f"looked in --set {name}=..., {_OWN_PREFIX}{name.upper()}, {_AIRFLOW_PREFIX}{name.upper()}, "
            + (f"settings file {self._settings_file}" if self._settings_file else "no settings file (none found)"),
            found=_known(name, self._variable_names()),
            fix=f"give --set {name}=VALUE, or add {name!r} to the settings file",
        )

    def connection(self, conn_id: str) -> Connection:
        """The connection.

        Raises:
            SettingError: not set, or not readable.
        """
        key = _CONNECTION_PREFIX + conn_id.upper()
        text = self._environ.get(key)
        if text is None:
            if conn_id in self._file_connections:
                return self._file_connections[conn_id]
            raise SettingError(
                f"connection {conn_id!r} is not set",
                where=f"looked in environment variable {key}, "
                + (f"connections file {self._connections_file}" if self._connections_file else "no connections file"),
                found=_known(conn_id, [*self._names_after(_CONNECTION_PREFIX), *self._file_connections]),
                fix=f"set {key} to a URI as postgres://login:password@host:5432/database, or to Airflow's JSON form",
            )
        return parse_connection(conn_id, text)

    @cached_property
    def _file_values(self) -> dict[str, str]:
        return {} if self._settings_file is None else read_settings_file(self._settings_file)

    @cached_property
    def _file_connections(self) -> dict[str, Connection]:
        return {} if self._connections_file is None else read_connections_file(self._connections_file)

    def _variable_names(self) -> list[str]:
        own, airflow = self._names_after(_OWN_PREFIX), self._names_after(_AIRFLOW_PREFIX)
        return sorted({*self._overrides, *own, *airflow, *self._file_values})

    def _names_after(self, prefix: str) -> list[str]:
        return [key.removeprefix(prefix).lower() for key in self._environ if key.startswith(prefix)]


def read_settings_file(path: Path) -> dict[str, str]:
    """The variables of a settings file, all as texts.

    Raises:
        SettingError: no such file, or not a JSON object.
    """
    fix = 'write a JSON object as {"delta_lake_path": "/data/delta", "validation_threshold": 0.95}'
    try:
        if path.stat().st_size > _BIGGEST_FILE:
            raise SettingError(
                "the settings file is too big", where=str(path), found=f"more than {_BIGGEST_FILE} bytes", fix=fix
            )
        given = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingError(
            "cannot read the settings file",
            where=str(path),
            found=error.strerror or type(error).__name__,
            fix="correct BATCH_SETTINGS or the file's rights",
        ) from error
    except json.JSONDecodeError as error:
        place = f"{path}:{error.lineno}"
        # Not chained: the parser's error holds the whole text.
        raise SettingError("the settings file is not JSON", where=place, found=error.msg, fix=fix) from None
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise SettingError("the settings file is not JSON", where=str(path), found="unreadable text", fix=fix) from None
    if not isinstance(given, dict):
        raise SettingError(
            "the settings file is not a JSON object", where=str(path), found=type(given).__name__, fix=fix
        )
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in given.items()
    }


def render(
    template: str,
    *,
    values: Values,
    slice: Slice | None,
    extra: Mapping[str, object] | None = None,
) -> str:
    """Renders a template.

    Names: `var.value.NAME`, `var.json.NAME`, `conn.ID.host` (and its other parts), and for a slice `ds`,
    `ds_nodash`, `slice`, `slice_start`, `slice_end`, `slice_key`; `extra` adds further ones, as `project`.

    Raises:
        SettingError: a value that is not set, or a template that does not render.
    """
    names: dict[str, object] = {"var": _Variables(values), "conn": _Connections(values)}
    if slice is not None:
        names |= {
            "ds": slice.ds,
            "ds_nodash": slice.ds.replace("-", ""),
            "slice": slice.iso,
            "slice_start": slice.start,
            "slice_end": slice.end,
            "slice_key": slice.key,
        }
    return render_text(template, names | dict(extra or {}))


def render_threshold(
    value: float | str,
    *,
    values: Values,
    slice: Slice | None,
    extra: Mapping[str, object] | None = None,
) -> float:
    """A threshold as a number 0..1.

    Raises:
        SettingError: it does not render, or not to such a number.
    """
    text = render(value, values=values, slice=slice, extra=extra) if isinstance(value, str) else str(value)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0.0 <= number <= 1.0:
        raise SettingError(
            "a threshold is not a number from 0 to 1",
            where=str(value)[:200],
            found="another text" if math.isnan(number) else f"{number:g}",
            fix="write the share of rows that must be valid, as 0.95",
        )
    return number


class _Variables:
    """`var` in a template."""

    def __init__(self, values: Values) -> None:
        self.value = _Texts(values)
        self.json = _Parsed(values)


class _Texts:
    """`var.value` in a template."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def __getattr__(self, name: str) -> Any:
        return self._read(name)

    def __getitem__(self, name: str) -> Any:
        return self._read(name)

    def get(self, name: str, default: object = None) -> Any:
        """The variable, or `default` where it is not set."""
        try:
            return self._read(name)
        except SettingError:
            if default is None:
                raise
            return default

    def _read(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # Python's own look-ups, never a variable
        return self._values.variable(name)


class _Parsed(_Texts):
    """`var.json` in a template."""

    def _read(self, name: str) -> Any:
        text = super()._read(name)
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            # Not chained: the parser's error holds the value.
            raise SettingError(
                f"variable {name!r} is not JSON", where=f"var.json.{name}", fix=f"use var.value.{name} for a text"
            ) from None


class _Connections:
    """`conn` in a template."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def __getattr__(self, name: str) -> Connection:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._values.connection(name)

    def __getitem__(self, name: str) -> Connection:
        return self._values.connection(name)


def _known(name: str, names: Iterable[str]) -> str:
    known = sorted(set(names))
    if not known:
        return "none is set"
    shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    return f"not among {shown}{near(name, known)}"
