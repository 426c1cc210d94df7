"""Rows on their way into a table, and the count of those that arrived."""

from __future__ import annotations

from batch_processing.errors import LedgerError
from batch_processing.warehouse.files import RowStream
from batch_processing.warehouse.job import Job
from batch_processing.warehouse.names import TableName
from batch_processing.warehouse.session import Session


def copy_rows(session: Session, stream: RowStream, table: TableName) -> None:
    """Copies the published rows into a table.

    Raises:
        WarehouseError: the warehouse does not take them.
        StorageError, LedgerError: a file cannot be read, or has other rows than the log says.
    """
    try:
        session.copy(stream.reader(), table)
    except Exception as error:
        if stream.failure is not None:
            raise stream.failure from error
        raise


def check_count(job: Job, counted: int, *, what: str) -> None:
    """Compares a count of rows with the load's.

    Raises:
        LedgerError: they differ.
    """
    if counted != job.rows:
        raise LedgerError(
            "the row ledger breaks at load_warehouse: the warehouse does not hold the rows that were published; "
            "nothing was kept",
            where=f"{job.declared} slice {job.slice}",
            found=f"{counted} {what}, {job.rows} published"
            + ("" if job.rows == job.published.rows else f" and not replaced since, of {job.published.rows}"),
            fix="run the step again; if it stays, look for a trigger or rule on the table, or reprocess the slice",
        )
