"""Mode merge: incoming rows beside the table's, by key."""

from __future__ import annotations

from collections.abc import Mapping

from batch_processing.warehouse import statements
from batch_processing.warehouse.columns import OWN_COLUMNS
from batch_processing.warehouse.copying import check_count, copy_rows
from batch_processing.warehouse.files import RowStream
from batch_processing.warehouse.job import Job
from batch_processing.warehouse.late import note_later
from batch_processing.warehouse.names import INCOMING_TABLE, LATER_TABLE, TableName
from batch_processing.warehouse.session import Session
from batch_processing.warehouse.table import check_length


def merge_rows(job: Job, session: Session, table: TableName, stream: RowStream, types: Mapping[str, str]) -> None:
    """Rows of the same key are replaced, unless later by `sequence_by` or by their publish; others are added."""
    incoming = TableName(INCOMING_TABLE)
    keys, sequence_by = job.target.keys, job.target.sequence_by
    names = [column.name for column in (*job.columns, *OWN_COLUMNS)]
    texts = [column for column in job.columns if column.kind == "string"]
    # A varchar(n) would cut spaces off a key, which is another's then.
    whole = {column.name: session.type_of(column) for column in texts if column.name in keys}
    session.execute(statements.create_table(incoming, {name: types[name] for name in names} | whole, temporary=True))
    copy_rows(session, stream, incoming)
    for name in whole:
        if (longest := session.longest(types[name])) is not None:
            longer = session.execute(statements.count_longer(incoming, name), [longest])[0][0]
            check_length(job, name, longest, int(longer))
    late = bool(job.overridden.slices)
    if late:
        note_later(session, job.overridden.slices)
    order = session.byte_order if sequence_by in [column.name for column in texts] else ""
    superseded = 0
    if late or sequence_by is not None:
        sql = statements.merge_superseded(table, keys, sequence_by, order=order, late=late)
        superseded = session.execute(sql)[0][0]
    session.execute(statements.merge_delete(table, keys, sequence_by, order=order, late=late))
    before = _tally(session, table)
    session.execute(statements.merge_insert(table, names, keys, overriding=session.overriding))
    inserted = _tally(session, table) - before
    for done in (incoming, *((TableName(LATER_TABLE),) if late else ())):
        session.execute(f"DROP TABLE {done.sql}")
    check_count(job, inserted + superseded, what="rows merged into the warehouse")


def _tally(session: Session, table: TableName) -> int:
    """A number that grows with each row put into the table; of one kind throughout a transaction that holds it."""
    net = session.net_rows(table)
    return int(session.execute(statements.count_all(table))[0][0]) if net is None else net
