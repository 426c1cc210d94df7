"""Finding a run by what a person types: its id, the start of it, or nothing for the latest."""

from __future__ import annotations

import difflib
from typing import Any

from sqlalchemy import Connection, Row, select

from batch_processing.control import reading, schema
from batch_processing.errors import UsageError

_NEAR = 5


def find_run(connection: Connection, text: str | None, *, pipeline: str | None, address: str) -> Row[Any]:
    """The row of one run by its id or the start of it; the latest where none is given.

    Raises:
        UsageError: there is none, or the text fits several.
    """
    table = schema.runs
    query = select(table).order_by(table.c.started_at.desc(), table.c.run)
    if pipeline is not None:
        query = query.where(table.c.pipeline == pipeline)
    if text is None:
        latest = connection.execute(query.limit(1)).first()
        if latest is None:
            raise UsageError("no run is recorded", where=address, fix="run the pipeline once: batchctl run PIPELINE")
        return latest
    exact = connection.execute(query.where(table.c.run_id == text)).all()
    if exact and len({row.pipeline for row in exact}) == 1:
        return exact[0]
    found = exact or connection.execute(query.where(table.c.run_id.startswith(text, autoescape=True)).limit(50)).all()
    if len(found) == 1:
        return found[0]
    if found:
        raise _ambiguous(text, found)
    known = connection.execute(query.with_only_columns(table.c.run_id).limit(500)).scalars().all()
    raise _unknown(text, known)


def _ambiguous(text: str, found: list[Row[Any]] | Any) -> UsageError:
    named = [f"{row.run_id} ({row.pipeline} {reading.run_key(row).slice})" for row in found[:_NEAR]]
    more = f" and {len(found) - _NEAR} more" if len(found) > _NEAR else ""
    return UsageError(
        f"{text!r} fits several runs", found=", ".join(named) + more, fix="give more of the id, or the pipeline too"
    )


def _unknown(text: str, known: Any) -> UsageError:
    near = (
        difflib.get_close_matches(text, list(dict.fromkeys(known)), n=_NEAR, cutoff=0.4)
        or list(dict.fromkeys(known))[:_NEAR]
    )
    return UsageError(
        f"no run has the id {text!r}",
        found=f"near: {', '.join(near)}" if near else "no run is recorded",
        fix="batchctl history lists the runs",
    )
