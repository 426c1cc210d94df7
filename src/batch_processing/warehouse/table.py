"""The warehouse table: made where it is absent, else checked column by column before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping

from batch_processing.errors import WarehouseRefused
from batch_processing.warehouse import statements
from batch_processing.warehouse.columns import OWN_COLUMNS, Column
from batch_processing.warehouse.job import Job
from batch_processing.warehouse.names import TableName
from batch_processing.warehouse.session import Session


def ready_table(job: Job, session: Session, table: TableName, existing: Mapping[str, str]) -> dict[str, str]:
    """Makes the table or adds what it lacks; returns the type that each column has there.

    Raises:
        WarehouseRefused: it has columns of other types, or such as cannot tell texts apart by which rows are replaced,
            or lacks some and `schema_change` does not add them.
    """
    wanted = (*job.columns, *OWN_COLUMNS)
    if not existing:
        types = {column.name: session.type_of(column) for column in wanted}
        session.ensure_schema(table)
        session.execute(statements.create_table(table, types))
        return types
    _check_spelling(job, session, existing)
    _check_types(job, session, existing)
    _check_texts(job, session, table, existing)
    missing = [column for column in wanted if column.name not in existing]
    refused = [column for column in missing if column not in OWN_COLUMNS]
    if refused and job.target.schema_change != "additive":
        listed = ", ".join(f"{column.name} ({session.type_of(column)})" for column in refused)
        raise WarehouseRefused(
            "the warehouse table lacks columns that the output has",
            where=job.declared,
            found=f"not there: {listed}",
            fix="set target.schema_change: additive to have them added, or add them to the table",
        )
    for column in missing:
        session.execute(statements.add_column(table, column.name, session.type_of(column)))
    return dict(existing) | {column.name: session.type_of(column) for column in missing}


def _check_spelling(job: Job, session: Session, existing: Mapping[str, str]) -> None:
    there = {session.folded(name): name for name in existing}
    others = [
        f"{there[session.folded(column.name)]} is there, the output has {column.name}"
        for column in (*job.columns, *OWN_COLUMNS)
        if column.name not in existing and session.folded(column.name) in there
    ]
    if others:
        raise WarehouseRefused(
            "the warehouse table has columns of the output's names in other letter case, "
            "which the warehouse takes for the same",
            where=job.declared,
            found="; ".join(others),
            fix="rename the columns of the table, or those of the transform; nothing was changed",
        )


def _check_types(job: Job, session: Session, existing: Mapping[str, str]) -> None:
    others = [
        f"{column.name} is {existing[column.name]}, the output needs {session.type_of(column)}"
        for column in (*job.columns, *OWN_COLUMNS)
        if column.name in existing and not session.takes(column, existing[column.name])
    ]
    if others:
        raise WarehouseRefused(
            "the warehouse table has columns of other types",
            where=job.declared,
            found="; ".join(others),
            fix="cast the columns in the transform, alter the table, or load into a new table",
        )


def _check_texts(job: Job, session: Session, table: TableName, existing: Mapping[str, str]) -> None:
    """Texts by which rows are replaced are told apart as in the Delta table, else rows of others would go."""
    keys = tuple(filter(None, (*job.target.keys, job.target.sequence_by)))
    replaced_by = {"merge": keys, "replace_partitions": job.target.partition_by}.get(job.target.mode, ())
    if alike := session.collated(table).intersection(replaced_by):
        raise WarehouseRefused(
            "the warehouse table takes different texts for the same where rows are replaced by them",
            where=job.declared,
            found=f"a collation that does so on {', '.join(sorted(alike))}",
            fix="make the column text without that collation; nothing was changed",
        )
    if job.target.mode == "replace_partitions":
        for name in replaced_by:
            if (longest := session.longest(existing.get(name, ""))) is not None:
                values = {file.partition[name].as_py() for file in job.loadable.files if name in file.partition}
                check_length(job, name, longest, sum(len(value or "") > longest for value in values))


def check_length(job: Job, name: str, longest: int, longer: int) -> None:
    """Refuses texts by which rows are replaced where they are longer than their column: a shorter one is another.

    Args:
        job: the load.
        name: of the column.
        longest: characters that it holds.
        longer: how many texts are longer.

    Raises:
        WarehouseRefused: there are any.
    """
    if longer:
        what = "merge keys" if job.target.mode == "merge" else "partition values"
        raise WarehouseRefused(
            f"{what} are longer than the warehouse table's column",
            where=f"{job.declared} column {name}",
            found=f"{longer} of more than {longest} characters (spaces at the end count)",
            fix="make the column text, or shorten the values in the transform; nothing was changed",
        )


def index_columns(job: Job) -> list[Column]:
    """What the rows to be replaced are found by; of a table that is replaced whole, nothing."""
    if job.target.mode == "overwrite":
        return []
    partition_by = job.target.partition_by if job.target.mode == "replace_partitions" else ()
    return [OWN_COLUMNS[0], *(column for column in job.columns if column.name in partition_by)]
