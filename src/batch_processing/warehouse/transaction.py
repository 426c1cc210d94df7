"""The load itself: in one transaction, the table, what the slice replaces, its rows, the count and the ledger row."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pyarrow as pa

from batch_processing.digests import check_files, contents_of
from batch_processing.errors import LedgerError, TableError, WarehouseRefused
from batch_processing.results import Loaded
from batch_processing.warehouse import statements
from batch_processing.warehouse.copying import check_count, copy_rows
from batch_processing.warehouse.files import RowStream
from batch_processing.warehouse.job import Job
from batch_processing.warehouse.late import beside_later, latest_version, tell_overridden
from batch_processing.warehouse.merging import merge_rows
from batch_processing.warehouse.names import GENERATION_COLUMN, LEDGER_TABLE, SLICE_COLUMN, TableName
from batch_processing.warehouse.session import Session
from batch_processing.warehouse.table import index_columns, ready_table

_LOG = logging.getLogger(__name__)
_PARTITIONS_AT_ONCE = 200
_CONTENTS = "contents:"
"""Before a `hash` that is of the files' bytes: a ledger of an earlier release has the column, with another hash."""


def contents_in(entry_hash: str) -> str:
    """What a ledger row's `hash` says its rows are of, as `digests.contents_of`; "" where an older release wrote it."""
    return entry_hash.removeprefix(_CONTENTS) if entry_hash.startswith(_CONTENTS) else ""


def run_load(asked: Job, session: Session) -> Loaded:
    """Loads the job's rows, or finds that they are there.

    Raises:
        WarehouseRefused: the table has other columns, or the rows do not fit.
        LedgerError: the warehouse counts other rows than were published; nothing was kept.
    """
    table = session.name(asked.table)
    ledger = table.beside(LEDGER_TABLE)
    session.lock(table)
    if done := find_loaded(asked, session):
        return done
    _check_files_known(asked)
    job = beside_later(asked, session)
    check_unchanged(job)
    existing, has_ledger = session.columns(table), bool(session.columns(ledger))
    if has_ledger and existing:
        _check_alone(job, session, ledger)
    types = ready_table(job, session, table, existing)
    if not has_ledger:
        _create_ledger(session, ledger)
    elif not existing:
        session.execute(statements.delete_entries(ledger), [job.table.table])
    filled = not existing and job.target.mode != "merge" and session.fill(table, _own_values(job))
    stream = _stream(job, session, types, own=not filled)
    if job.target.mode == "merge":
        merge_rows(job, session, table, stream, types)
    else:
        _replace(job, session, table, stream, types)
    if filled:
        session.fill_no_more(table, list(_own_values(job)))
    if not existing:
        # Made over the rows at once; kept up row by row it would cost a third of the copy.
        session.index(table, index_columns(job), keys=job.target.keys)
    check_unchanged(job)
    _write_entry(job, session, ledger)
    session.commit()
    tell_overridden(job)
    _LOG.info("loaded %s rows into %s for slice %s", job.rows, job.declared, job.slice)
    return Loaded(job.declared, job.published.rows, location=session.location, contents=contents_of(job.published))


def find_loaded(job: Job, session: Session) -> Loaded | None:
    """The finished load, where the warehouse holds the slice. Also right without the lock: no load takes it back."""
    table = session.name(job.table)
    ledger = table.beside(LEDGER_TABLE)
    if not session.columns(table) or not session.columns(ledger):
        return None
    return _already(job, session, ledger)


def _already(job: Job, session: Session, ledger: TableName) -> Loaded | None:
    """The finished load where this generation, or for mode overwrite a later table version, is there."""
    entry = session.execute(statements.select_entry(ledger), [job.pipeline, job.table.table, job.slice.start])
    if entry and entry[0][0] >= job.generation and entry[0][2] == job.files.table_id:
        there = int(entry[0][0])
        _LOG.info("generation %s of slice %s is already in %s", there, job.slice, job.declared)
        contents = contents_in(entry[0][3])
        if there == job.generation:
            _check_contents(job, contents)
        return Loaded(
            job.declared,
            int(entry[0][1]),
            already=True,
            location=session.location,
            contents=contents,
            generation=there,
        )
    if job.target.mode != "overwrite":
        return None
    latest = latest_version(job, session, ledger)
    if latest <= job.published.version:
        return None
    _LOG.warning(
        "%s already holds table version %s, which replaced version %s of slice %s: nothing loaded",
        job.declared, latest, job.published.version, job.slice,
    )  # fmt: skip
    return Loaded(job.declared, job.published.rows, already=True, location=session.location)


def _check_files_known(job: Job) -> None:
    if job.published.already and not job.published.files and not job.published.metadata:
        raise TableError(
            "the table's log no longer says which files the slice's publish added",
            where=f"{job.published.table} slice {job.slice}",
            fix="reprocess the slice: batchctl reprocess PIPELINE --slice",
        )


def _check_contents(job: Job, contents: str) -> None:
    """The generation's rows were loaded from the files that were published."""
    published = contents_of(job.published)
    if published and contents and published != contents:
        raise LedgerError(
            "the row ledger breaks at load_warehouse: the slice was loaded from other files than were published",
            where=f"{job.declared} slice {job.slice}",
            found=f"published contents {published}, loaded {contents}",
            fix="nothing was changed; find out who wrote the table or its ledger, then reprocess the slice",
        )


def check_unchanged(job: Job) -> None:
    """The files are those that were published: before they are read, and by their times once they were.

    Raises:
        LedgerError: files differ.
        StorageError: a file cannot be read.
    """
    if len(job.published.digests) == len(job.published.files):
        digests = dict(zip(job.published.files, job.published.digests, strict=True))
        check_files(
            {path: digest for path, digest in digests.items() if path not in job.overridden.replaced},
            hop="load_warehouse",
            what="published",
            fix="nothing was loaded from them; restore the file, or reprocess the slice",
            rows=job.rows,
        )


# --- the table


def _check_alone(job: Job, session: Session, ledger: TableName) -> None:
    """Rows carry their slice and not their pipeline: of two pipelines, one would replace the other's."""
    if job.target.mode not in ("append", "replace_partitions"):
        return
    others = session.execute(statements.select_others(ledger), [job.pipeline, job.table.table, job.slice.start])
    if others:
        raise WarehouseRefused(
            "another pipeline has loaded this slice into the warehouse table, and its rows would be replaced",
            where=f"{job.declared} slice {job.slice}",
            found=", ".join(sorted(str(name) for (name,) in others)),
            fix="load into a table of its own; for a pipeline that was renamed, set its name in the ledger's rows",
        )


def _create_ledger(session: Session, ledger: TableName) -> None:
    session.lock(ledger)
    if not session.columns(ledger):
        session.execute(statements.create_ledger(ledger))


# --- the rows


def _own_values(job: Job) -> dict[str, str]:
    return {SLICE_COLUMN: job.slice.start.isoformat(), GENERATION_COLUMN: str(job.generation)}


def _stream(job: Job, session: Session, types: Mapping[str, str], *, own: bool) -> RowStream:
    nested = {column.name: session.nested_form(types[column.name]) for column in job.columns if column.nested}
    return RowStream(
        job.loadable.files,
        columns=job.columns,
        nested=nested,
        slice_start=job.slice.start,
        generation=job.generation,
        own=own,
    )


def _replace(job: Job, session: Session, table: TableName, stream: RowStream, types: Mapping[str, str]) -> None:
    if job.target.mode == "overwrite":
        session.execute(statements.delete_all(table))
    else:
        session.execute(statements.delete_slice(table), [job.slice.start])
        if job.target.mode == "replace_partitions":
            _delete_partitions(job, session, table, types)
    before = session.net_rows(table)
    copy_rows(session, stream, table)
    check_count(job, stream.rows, what="rows read from the published files")
    after = session.net_rows(table)
    counted = _counted(job, session, table) if before is None or after is None else after - before
    check_count(job, counted, what="rows counted in the warehouse")


def _counted(job: Job, session: Session, table: TableName) -> int:
    if job.target.mode == "overwrite":
        return int(session.execute(statements.count_all(table))[0][0])
    return int(session.execute(statements.count_slice(table), [job.slice.start, job.generation])[0][0])


def _delete_partitions(job: Job, session: Session, table: TableName, types: Mapping[str, str]) -> None:
    partitions = _partitions(job)
    # As text: a cast to varchar(n) would cut spaces off, and name another partition.
    whole = {**types, **{column.name: session.type_of(column) for column in job.columns if column.kind == "string"}}
    for start in range(0, len(partitions), _PARTITIONS_AT_ONCE):
        chunk = partitions[start : start + _PARTITIONS_AT_ONCE]
        sql, parameters = statements.delete_partitions(table, chunk, whole)
        session.execute(sql, parameters)


def _partitions(job: Job) -> list[dict[str, str | None]]:
    """The distinct partitions among the files, values as text."""
    found: dict[tuple[str | None, ...], dict[str, str | None]] = {}
    for file in job.loadable.files:
        values = {name: _text(file.partition[name]) for name in job.target.partition_by if name in file.partition}
        if values:
            found[tuple(values.values())] = values
    return list(found.values())


def _text(value: pa.Scalar) -> str | None:
    if not value.is_valid:
        return None
    text: str = value.cast(pa.string()).as_py()
    return text


def _write_entry(job: Job, session: Session, ledger: TableName) -> None:
    contents = contents_of(job.published)
    values: Sequence[object] = (
        job.pipeline,
        job.table.table,
        job.slice.start,
        job.generation,
        job.published.version,
        job.published.rows,
        f"{_CONTENTS}{contents}" if contents else job.loadable.digest,
        job.published.run_id,
        datetime.now(UTC),
        job.files.table_id,
    )
    session.execute(statements.upsert_entry(ledger), values)
