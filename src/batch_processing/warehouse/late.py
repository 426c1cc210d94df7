"""A load that comes after one of a newer publish: what the newer one wrote holds, as it does in the Delta table.

The ledger says which version of the table the newest load was of. Where that is a later one, the table's log says what
the publishes up to it replaced: whole partitions, or in mode merge the rows that carry their slice and generation.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pyarrow as pa

from batch_processing.warehouse import statements
from batch_processing.warehouse.columns import INSTANT, OWN_COLUMNS
from batch_processing.warehouse.job import Job
from batch_processing.warehouse.names import LATER_TABLE, LEDGER_TABLE, TableName
from batch_processing.warehouse.session import Session

_LOG = logging.getLogger(__name__)
_MODES = ("replace_partitions", "merge")
"""Of the others, append replaces no other slice's rows, and a late overwrite is not loaded at all."""


def latest_version(job: Job, session: Session, ledger: TableName) -> int:
    """The newest version of the Delta table that was loaded into the warehouse table; -1 where none was."""
    found = session.execute(statements.select_latest_version(ledger), [job.table.table, job.files.table_id])[0][0]
    return -1 if found is None else int(found)


def beside_later(job: Job, session: Session) -> Job:
    """The job with what later loads overrode of it.

    Raises:
        TableError, StorageError: the table's log cannot be read.
    """
    table = session.name(job.table)
    ledger = table.beside(LEDGER_TABLE)
    if job.target.mode not in _MODES or not session.columns(table) or not session.columns(ledger):
        return job
    latest = latest_version(job, session, ledger)
    if latest <= job.published.version:
        return job
    found = job.later(latest)
    # Partitions are no unit of a merge: a row stays wherever its key is.
    return replace(job, overridden=replace(found, replaced={}) if job.target.mode == "merge" else found)


def tell_overridden(job: Job) -> None:
    """Logs what of the load is left out, where something is."""
    if job.target.mode == "merge" and job.overridden.slices:
        _LOG.warning(
            "%s already holds later versions of the table than %s: rows of slice %s whose key one of them wrote "
            "are not loaded",
            job.declared, job.published.version, job.slice,
        )  # fmt: skip
    elif job.rows != job.published.rows:
        _LOG.warning(
            "%s already holds later versions of the table than %s: %s of the %s rows of slice %s are in partitions "
            "that these replaced, and are not loaded",
            job.declared, job.published.version, job.published.rows - job.rows, job.published.rows, job.slice,
        )  # fmt: skip


def note_later(session: Session, writes: Sequence[tuple[datetime, int]]) -> None:
    """Puts slices and generations into a temporary table, which the merge looks at."""
    later, (slice_column, generation_column) = TableName(LATER_TABLE), OWN_COLUMNS
    types = {column.name: session.type_of(column) for column in OWN_COLUMNS}
    session.execute(statements.create_table(later, types, temporary=True))
    starts, generations = zip(*writes, strict=True)
    rows = pa.table(
        {
            slice_column.name: pa.array(starts, INSTANT),
            generation_column.name: pa.array(generations, pa.int32()),
        }
    )
    session.copy(rows.to_reader(), later)
