"""The statements that every step executes, written out as SQL: both databases spell them alike.

A task of Airflow compiles its statements for itself alone, which takes longer than to execute them; text takes a third
of the time of SQLAlchemy's constructs. Parameters and results have the columns' own types. All names are those of
`schema`, all values parameters.
"""

# ruff: noqa: S608 - see above
from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.schema import Table
from sqlalchemy.sql.selectable import TextualSelect

from batch_processing.control import schema
from batch_processing.results import Outcome

VERSION = f"SELECT version FROM {schema.schema_version.name}"


@cache
def rows_of_run(table: Table) -> TextualSelect:
    """All rows of the run `:run`, in the order of the table's key."""
    sql = f"SELECT {_names(table.c.keys())} FROM {table.name} WHERE run = :run ORDER BY {_names(_keys(table))}"
    return _typed(sql, table, ("run",)).columns(*table.c)


@cache
def upsert(table: Table, names: tuple[str, ...]) -> TextClause:
    """Puts a row in place of the one with its key.

    Args:
        table: where to.
        names: the columns that are given, which are the parameters' names too; those that are not stay.
    """
    return _typed(_upsert(table, names, names), table, names)


@cache
def start_run(names: tuple[str, ...], again: tuple[str, ...]) -> TextualSelect:
    """Puts a run in, or opens one that is there and has not passed; gives its start, and no row where it has passed.

    Args:
        names: the columns of a new run, which are the parameters' names too.
        again: those of them that a run which is opened again takes.
    """
    passed = ", ".join(f"'{outcome.value}'" for outcome in Outcome if outcome.passed)
    table = schema.runs
    sql = f"{_upsert(table, names, again)} WHERE {table.name}.outcome NOT IN ({passed}) RETURNING started_at"
    return _typed(sql, table, names).columns(table.c.started_at)


@cache
def change_run(names: tuple[str, ...]) -> TextClause:
    """Sets these columns of the run `:run`; the parameters have the columns' names."""
    taken = ", ".join(f'"{name}" = :{name}' for name in names)
    return _typed(f"UPDATE {schema.runs.name} SET {taken} WHERE run = :run", schema.runs, ("run", *names))


@cache
def generation() -> TextualSelect:
    """The generation of the slice that starts at `:slice_start` of `:pipeline`; no row where it was not raised."""
    table = schema.generations
    sql = f"SELECT generation FROM {table.name} WHERE pipeline = :pipeline AND slice_start = :slice_start"
    return _typed(sql, table, ("pipeline", "slice_start")).columns(table.c.generation)


@cache
def latest_of_run() -> TextualSelect:
    """Generation and outcome of the run `:run_id` of a slice, of its highest generation; no row of one not known."""
    table = schema.runs
    sql = (
        f"SELECT generation, outcome FROM {table.name} WHERE pipeline = :pipeline AND slice_start = :slice_start "
        "AND run_id = :run_id ORDER BY generation DESC LIMIT 1"
    )
    return _typed(sql, table, ("pipeline", "slice_start", "run_id")).columns(table.c.generation, table.c.outcome)


def _upsert(table: Table, names: tuple[str, ...], changed: tuple[str, ...]) -> str:
    keys = _keys(table)
    taken = ", ".join(f'"{name}" = excluded."{name}"' for name in changed if name not in keys)
    return (
        f"INSERT INTO {table.name} ({_names(names)}) VALUES ({', '.join(f':{name}' for name in names)}) "
        f"ON CONFLICT ({_names(keys)}) DO UPDATE SET {taken}"
    )


def _keys(table: Table) -> list[str]:
    return list(table.primary_key.columns.keys())


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _typed(sql: str, table: Table, names: Iterable[str]) -> TextClause:
    return text(sql).bindparams(*(bindparam(name, type_=table.c[name].type) for name in names))
