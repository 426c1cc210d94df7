"""The SQL of a load, the same for DuckDB and PostgreSQL. Values go as parameters, names are quoted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from batch_processing.warehouse.names import (
    GENERATION_COLUMN,
    INCOMING_TABLE,
    LATER_TABLE,
    SLICE_COLUMN,
    TableName,
    quoted,
    quoted_list,
)

_SLICE, _GENERATION = quoted(SLICE_COLUMN), quoted(GENERATION_COLUMN)
_INCOMING, _LATER = quoted(INCOMING_TABLE), quoted(LATER_TABLE)

LEDGER_COLUMNS = {
    "pipeline": "text",
    "table": "text",
    "slice": "timestamp with time zone",
    "generation": "integer",
    "table_version": "bigint",
    "rows": "bigint",
    "hash": "text",
    "run_id": "text",
    "loaded_at": "timestamp with time zone",
    "table_id": "text",
}
LEDGER_KEY = ("pipeline", "table", "slice")


def create_ledger(ledger: TableName) -> str:
    columns = ", ".join(f"{quoted(name)} {kind} NOT NULL" for name, kind in LEDGER_COLUMNS.items())
    return f"CREATE TABLE {ledger.sql} ({columns}, PRIMARY KEY ({quoted_list(LEDGER_KEY)}))"


def select_entry(ledger: TableName) -> str:
    """Generation, rows, table id and hash that the ledger holds for $1 pipeline, $2 table, $3 slice."""
    keys = " AND ".join(f"{quoted(name)} = ${number}" for number, name in enumerate(LEDGER_KEY, 1))
    return f'SELECT "generation", "rows", "table_id", "hash" FROM {ledger.sql} WHERE {keys}'  # noqa: S608 - quoted names


def select_latest_version(ledger: TableName) -> str:
    """Highest table version loaded for $1 table, $2 table id, by whichever pipeline."""
    return f'SELECT max("table_version") FROM {ledger.sql} WHERE "table" = $1 AND "table_id" = $2'  # noqa: S608 - quoted names


def select_loads(ledger: TableName) -> str:
    """Pipeline, slice (seconds since the epoch), generation, table version and table id of each load of $1 table."""
    start = 'CAST(extract(epoch FROM "slice") AS bigint)'
    return (
        f'SELECT "pipeline", {start}, "generation", "table_version", "table_id" FROM {ledger.sql} '  # noqa: S608 - quoted names
        'WHERE "table" = $1'
    )


def delete_entries(ledger: TableName) -> str:
    """Removes what the ledger says of $1 table: for a table that is made anew."""
    return f'DELETE FROM {ledger.sql} WHERE "table" = $1'  # noqa: S608 - quoted names


def select_others(ledger: TableName) -> str:
    """Other pipelines than $1 that loaded $2 table for $3 slice."""
    return (
        f'SELECT DISTINCT "pipeline" FROM {ledger.sql} '  # noqa: S608 - quoted names
        'WHERE "pipeline" <> $1 AND "table" = $2 AND "slice" = $3'
    )


def count_later(ledger: TableName) -> str:
    """Counts the loads of the table that may have replaced rows of that of $1, $2, $3.

    Of the same Delta table those of a later version; of another one, those that came after: also counted apart.
    """
    keys = " AND ".join(f"mine.{quoted(name)} = ${number}" for number, name in enumerate(LEDGER_KEY, 1))
    return (
        'SELECT count(*), count(*) FILTER (WHERE other."table_id" <> mine."table_id") '  # noqa: S608 - quoted names
        f'FROM {ledger.sql} other JOIN {ledger.sql} mine ON other."table" = mine."table" '
        f'AND (other."pipeline" <> mine."pipeline" OR other."slice" <> mine."slice") WHERE {keys} '
        'AND CASE WHEN other."table_id" = mine."table_id" THEN other."table_version" > mine."table_version" '
        'ELSE other."loaded_at" >= mine."loaded_at" END'
    )


def upsert_entry(ledger: TableName) -> str:
    """Writes one ledger row; parameters in the order of LEDGER_COLUMNS."""
    places = ", ".join(f"${number}" for number in range(1, len(LEDGER_COLUMNS) + 1))
    changed = ", ".join(f"{quoted(n)} = excluded.{quoted(n)}" for n in LEDGER_COLUMNS if n not in LEDGER_KEY)
    return (
        f"INSERT INTO {ledger.sql} ({quoted_list(list(LEDGER_COLUMNS))}) VALUES ({places}) "  # noqa: S608 - quoted names
        f"ON CONFLICT ({quoted_list(LEDGER_KEY)}) DO UPDATE SET {changed}"
    )


def create_table(table: TableName, types: Mapping[str, str], *, temporary: bool = False) -> str:
    columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in types.items())
    return f"CREATE {'TEMPORARY ' if temporary else ''}TABLE {table.sql} ({columns})"


def add_column(table: TableName, name: str, kind: str) -> str:
    return f"ALTER TABLE {table.sql} ADD COLUMN {quoted(name)} {kind}"


def delete_all(table: TableName) -> str:
    """Removes all rows. Not TRUNCATE: that would lock readers out and empty the snapshots they hold."""
    return f"DELETE FROM {table.sql}"  # noqa: S608 - quoted names


def delete_slice(table: TableName) -> str:
    """Removes the rows of slice $1."""
    return f"DELETE FROM {table.sql} WHERE {_SLICE} = $1"  # noqa: S608 - quoted names


def delete_partitions(
    table: TableName, partitions: Sequence[Mapping[str, str | None]], types: Mapping[str, str]
) -> tuple[str, list[str]]:
    """Removes the rows of these partitions, nulls included; values as text, cast to the columns' types."""
    parameters: list[str] = []
    choices = []
    for partition in partitions:
        parts = []
        for name, text in partition.items():
            if text is None:
                parts.append(f"{quoted(name)} IS NULL")
            else:
                parameters.append(text)
                parts.append(f"{quoted(name)} = CAST(CAST(${len(parameters)} AS text) AS {types[name]})")
        choices.append("(" + " AND ".join(parts) + ")")
    return f"DELETE FROM {table.sql} WHERE {' OR '.join(choices)}", parameters  # noqa: S608 - quoted names


def count_all(table: TableName) -> str:
    return f"SELECT count(*) FROM {table.sql}"  # noqa: S608 - quoted names


def count_slice(table: TableName) -> str:
    """Rows of slice $1 and generation $2."""
    return f"SELECT count(*) FROM {table.sql} WHERE {_SLICE} = $1 AND {_GENERATION} = $2"  # noqa: S608 - quoted names


def count_longer(table: TableName, name: str) -> str:
    """Rows whose text in a column has more than $1 characters."""
    return f"SELECT count(*) FROM {table.sql} WHERE char_length({quoted(name)}) > CAST($1 AS bigint)"  # noqa: S608 - quoted names


def count_others(table: TableName) -> str:
    """Rows of other slices than $1."""
    return f"SELECT count(*) FROM {table.sql} WHERE {_SLICE} <> $1"  # noqa: S608 - quoted names


def select_slice(table: TableName, expressions: Mapping[str, str]) -> str:
    """Reads the rows of slice $1 and generation $2; `expressions` has each column's SQL."""
    listed = ", ".join(f"{sql} AS {quoted(name)}" for name, sql in expressions.items()) or "0"
    return f"SELECT {listed} FROM {table.sql} WHERE {_SLICE} = $1 AND {_GENERATION} = $2"  # noqa: S608 - quoted names


def merge_superseded(
    table: TableName, keys: Sequence[str], sequence_by: str | None, *, order: str = "", late: bool
) -> str:
    """Counts incoming rows that are older than the row of their key; see `merge_delete`."""
    stays = _stays(sequence_by, order=order, late=late)
    return f"SELECT count(*) FROM {_INCOMING} i JOIN {table.sql} t ON {_same(keys)} WHERE {stays}"  # noqa: S608 - quoted names


def merge_delete(table: TableName, keys: Sequence[str], sequence_by: str | None, *, order: str = "", late: bool) -> str:
    """Removes the rows that incoming ones replace: of the same key, and not later.

    Later is what `sequence_by` says, its values compared with `order` after them (as ` COLLATE "C"`); where it does not
    tell, or there is none, the slice and generation of a row that `late` says are listed in the table of later writes.
    """
    stays = _stays(sequence_by, order=order, late=late)
    newer = f" AND ({stays}) IS NOT TRUE" if late or sequence_by is not None else ""
    return f"DELETE FROM {table.sql} t USING {_INCOMING} i WHERE {_same(keys)}{newer}"  # noqa: S608 - quoted names


def merge_insert(table: TableName, columns: Sequence[str], keys: Sequence[str], *, overriding: str = "") -> str:
    """Adds the incoming rows whose key is not there (any more); for `overriding` see `session.Session`."""
    names = quoted_list(list(columns))
    values = ", ".join(f"i.{quoted(name)}" for name in columns)
    return (
        f"INSERT INTO {table.sql} ({names}){overriding} SELECT {values} FROM {_INCOMING} i "  # noqa: S608 - quoted names
        f"WHERE NOT EXISTS (SELECT 1 FROM {table.sql} t WHERE {_same(keys)})"
    )


def _same(keys: Sequence[str]) -> str:
    return " AND ".join(f"t.{quoted(key)} = i.{quoted(key)}" for key in keys)


def _stays(sequence_by: str | None, *, order: str, late: bool) -> str:
    """Whether the table's row holds against the incoming one of its key."""
    written_later = (
        f"EXISTS (SELECT 1 FROM {_LATER} l WHERE l.{_SLICE} = t.{_SLICE} AND l.{_GENERATION} = t.{_GENERATION})"  # noqa: S608 - quoted names
    )
    if sequence_by is None:
        return written_later
    mine, theirs = f"t.{quoted(sequence_by)}{order}", f"i.{quoted(sequence_by)}{order}"
    # Null is the earliest, as in the Delta table's merge.
    later = f"{mine} > {theirs} OR ({theirs} IS NULL AND {mine} IS NOT NULL)"
    return later + (f" OR ({mine} IS NOT DISTINCT FROM {theirs} AND {written_later})" if late else "")
