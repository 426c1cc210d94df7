"""A JSON API as a source, landed page by page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from batch_processing.errors import UsageError
from batch_processing.results import Landed
from batch_processing.settings.models import SourceSpec
from batch_processing.settings.values import Connection
from batch_processing.sources.calls import Calls
from batch_processing.sources.json_lines import JsonRecord, land_records
from batch_processing.sources.landing import Landing
from batch_processing.sources.pagination import pages

_ROWS = 50_000


def extract_api(
    spec: SourceSpec,
    *,
    source: str,
    connection: Connection,
    endpoint: str,
    params: Mapping[str, str],
    folder: Path,
    sleep: Callable[[float], None] = time.sleep,
    transport: httpx.BaseTransport | None = None,
) -> Landed:
    """Lands the records of all pages. `_source_file` is `<conn_id>:<endpoint>`, `_source_row` a running number.

    Keys that are not declared are left out; a declared key that is absent is null.

    Args:
        spec: a source of kind `api`.
        source: the source's name.
        connection: of type `http`.
        endpoint: the rendered path.
        params: the rendered query parameters.
        folder: where `part-*.parquet` and `rejects-*.parquet` go; leftovers there are replaced.
        sleep: waits that many seconds between tries.
        transport: where requests go; None for the network.

    Raises:
        SourceUnavailable: no answer after all retries.
        SettingError: the connection is not usable, or its credentials are refused (401, 403).
        SourceSchemaError: another refusal (4xx), an answer of another shape than declared, pages that do
            not end, or more rejects than `max_rejected`.
        LedgerError: rows were lost or doubled.
    """
    if spec.api is None:
        raise UsageError("extract_api needs a source of kind api", where=f"sources.{source}", found=spec.kind)
    place = f"{connection.conn_id}:{endpoint}"
    decimals = any(declared.startswith("decimal") for declared in spec.columns.values())
    with (
        Calls(connection, spec.api, sleep=sleep, transport=transport) as calls,
        Landing(folder, columns=spec.columns, source=source) as landing,
    ):
        read, waiting = 0, list[JsonRecord]()
        for records in pages(calls, spec.api, endpoint=endpoint, params=params, where=place, decimals=decimals):
            waiting += [_record(value, number=read + i) for i, value in enumerate(records, start=1)]
            read += len(records)
            if len(waiting) >= _ROWS:
                land_records(waiting, columns=spec.columns, extra="ignore", file=place, landing=landing)
                waiting = []
        land_records(waiting, columns=spec.columns, extra="ignore", file=place, landing=landing)
        return landing.finish(read=read, max_rejected=spec.max_rejected)


def _record(value: Any, *, number: int) -> JsonRecord:
    if isinstance(value, dict):
        return JsonRecord(number, None, value)
    return JsonRecord(number, None, None, "expected a JSON object", other=value)
