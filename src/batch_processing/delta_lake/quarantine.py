"""Quarantine tables, for those who look at them: counts, rows with their values masked, exports."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake.exceptions import DeltaError

from batch_processing.delta_lake.log import open_table
from batch_processing.errors import StorageError, TableError, UsageError
from batch_processing.storage import local_path

MASK = "•••"
"""Stands for a value that is there; a null stays a null."""

OWN_COLUMNS = ("_reasons", "_source_file", "_source_row", "_slice", "_generation", "_run_id", "_suite")
"""What the pipeline adds to a quarantined row; never masked."""

_FORMATS = {".csv": "FORMAT csv, HEADER", ".parquet": "FORMAT parquet", ".jsonl": "FORMAT json"}
_FIRST = [name for name in OWN_COLUMNS if name != "_suite"]
_ORDER = 'q."_slice", q."_source_file", q."_source_row"'
"""By the table's own values: what is shown of them is text, in which 10 comes before 9."""


@dataclass(frozen=True)
class QuarantineTable:
    """Where a source's bad rows are."""

    pipeline: str
    source: str
    path: str


@dataclass(frozen=True)
class Chosen:
    """Which rows: of slices that start with a text (an ISO time or a day), that broke a rule. None is all."""

    slice_prefix: str | None = None
    rule: str | None = None


@dataclass(frozen=True)
class SliceCounts:
    """What is quarantined of one slice: rows, and how many of them broke each rule (a row may break several)."""

    slice: str
    run_id: str
    rows: int
    rules: Mapping[str, int] = field(default_factory=dict)


def slice_counts(table: QuarantineTable, chosen: Chosen) -> tuple[SliceCounts, ...]:
    """The slices that have rows in the table, oldest first; none where there is no table.

    Raises:
        TableError: the table cannot be read.
    """
    with _reading(table) as rows:
        if rows is None:
            return ()
        where, values = _where(chosen)
        totals = rows.execute(
            f'SELECT "_slice", max("_run_id"), count(*) FROM q WHERE {where} GROUP BY 1 ORDER BY 1',  # noqa: S608
            values,
        ).fetchall()
        broken = rows.execute(
            'SELECT "_slice", reason, count(*) FROM '  # noqa: S608 - a fixed condition
            f'(SELECT "_slice", unnest("_reasons") AS reason FROM q WHERE {where}) GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2',
            values,
        ).fetchall()
    rules: dict[str, dict[str, int]] = {}
    for found, rule, count in broken:
        rules.setdefault(found, {})[rule] = count
    return tuple(SliceCounts(found, run, count, rules.get(found, {})) for found, run, count in totals)


def read_rows(table: QuarantineTable, chosen: Chosen, *, limit: int, raw: bool) -> pa.Table:
    """Rows of the table, the pipeline's own columns first; values are text, masked unless `raw`.

    The schema's field metadata `type` has each column's type in the table.

    Raises:
        UsageError: there is no table.
        TableError: it cannot be read.
    """
    with _reading(table) as rows:
        if rows is None:
            raise _no_table(table)
        kinds = _kinds(rows)
        where, values = _where(chosen)
        columns = ", ".join(_shown(name, raw=raw) for name in kinds)
        sql = f"SELECT {columns} FROM q WHERE {where} ORDER BY {_ORDER} LIMIT {limit:d}"  # noqa: S608 - quoted names
        found = rows.sql(sql, params=values).to_arrow_table()
    fields = [item.with_metadata({"type": kinds[item.name]}) for item in found.schema]
    return found.cast(pa.schema(fields))


def export_rows(table: QuarantineTable, chosen: Chosen, *, file: Path, raw: bool) -> int:
    """Writes rows as CSV, JSON lines or Parquet, by the file's suffix; returns how many.

    Masked columns are text: `••• bigint` for a value, null for a null. With `raw` each column has its own type (in
    CSV, nested ones are JSON). The file appears once it is whole.

    Raises:
        UsageError: another suffix, or there is no table.
        TableError: the table cannot be read.
        StorageError: the disk refused.
    """
    options = _FORMATS.get(file.suffix.lower())
    if options is None:
        raise UsageError(
            "the format to export is not known", found=file.name, fix=f"name a file with one of {', '.join(_FORMATS)}"
        )
    with _reading(table) as rows:
        if rows is None:
            raise _no_table(table)
        where, values = _where(chosen)
        kinds = _kinds(rows)
        flat = file.suffix.lower() == ".csv"
        columns = ", ".join(_exported(name, kind, raw=raw, flat=flat) for name, kind in kinds.items())
        rows.execute(
            f"CREATE TEMP VIEW chosen AS SELECT {columns} FROM q WHERE {_literal(where, values)} "  # noqa: S608
            f"ORDER BY {_ORDER}"
        )
        return _copy(rows, file, options)


def _copy(rows: duckdb.DuckDBPyConnection, file: Path, options: str) -> int:
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        count = rows.execute(f"COPY chosen TO {_text(str(temporary))} ({options})").fetchall()[0][0]
        temporary.replace(file)
    except (OSError, duckdb.Error) as error:
        with suppress(OSError):
            temporary.unlink()
        raise StorageError(
            "cannot write the export", where=str(file), found=type(error).__name__, fix="check the folder and its space"
        ) from error
    return int(count)


@contextmanager
def _reading(table: QuarantineTable) -> Iterator[duckdb.DuckDBPyConnection | None]:
    """A database in memory whose view `q` is the table, read as a stream; None where there is no table."""
    opened = open_table(local_path(table.path))
    if opened is None:
        yield None
        return
    try:
        with duckdb.connect(config={"autoinstall_known_extensions": False, "TimeZone": "UTC"}) as rows:
            rows.register("q", opened.to_pyarrow_dataset())
            yield rows
    except (duckdb.Error, DeltaError, pa.ArrowException) as error:
        raise TableError(
            "the quarantine table cannot be read",
            where=table.path,
            found=type(error).__name__,
            fix="see the chained error",
        ) from error


def _kinds(rows: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Column -> type, the pipeline's own columns first."""
    found = {str(row[0]): str(row[1]).lower() for row in rows.execute("DESCRIBE q").fetchall()}
    own = [name for name in _FIRST if name in found]
    return {name: found[name] for name in (*own, *(n for n in found if n not in own))}


def _where(chosen: Chosen) -> tuple[str, list[str]]:
    parts, values = ["true"], []
    if chosen.slice_prefix is not None:
        values.append(chosen.slice_prefix)
        parts.append(f'starts_with("_slice", ${len(values)})')
    if chosen.rule is not None:
        values.append(chosen.rule)
        parts.append(f'list_contains("_reasons", ${len(values)})')
    return " AND ".join(parts), values


def _literal(where: str, values: Sequence[str]) -> str:
    """The condition with its values written in: a view takes no parameters."""
    text = where
    for number, value in enumerate(values, 1):
        text = text.replace(f"${number}", _text(value), 1)
    return text


def _shown(name: str, *, raw: bool) -> str:
    column = _quoted(name)
    if name == "_reasons":
        return f"array_to_string({column}, ', ') AS {column}"
    return f"CAST({column} AS VARCHAR) AS {column}" if raw or name in OWN_COLUMNS else _masked(column, MASK)


def _exported(name: str, kind: str, *, raw: bool, flat: bool) -> str:
    column = _quoted(name)
    if name == "_reasons":
        return f"array_to_string({column}, '; ') AS {column}" if flat else column
    if not raw and name not in OWN_COLUMNS:
        return _masked(column, f"{MASK} {kind}")
    nested = kind.endswith("]") or kind.startswith(("struct", "map"))
    return f"CAST(to_json({column}) AS VARCHAR) AS {column}" if flat and nested else column


def _masked(column: str, mask: str) -> str:
    return f"CASE WHEN {column} IS NULL THEN NULL ELSE {_text(mask)} END AS {column}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _no_table(table: QuarantineTable) -> UsageError:
    return UsageError(
        f"nothing is quarantined of source {table.source}",
        where=table.path,
        found="no table",
        fix="batchctl quarantine ls lists what there is",
    )


def table_facts(table: QuarantineTable, counts: Sequence[SliceCounts]) -> dict[str, Any]:
    """A table as JSON."""
    slices = [{"slice": c.slice, "run_id": c.run_id, "rows": c.rows, "rules": dict(c.rules)} for c in counts]
    return {"pipeline": table.pipeline, "source": table.source, "table": table.path, "slices": slices}
