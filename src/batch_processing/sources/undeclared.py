"""Text files without a declared schema: their column types are found in all their values, and they land as Parquet.

A CSV file is read as text by the reader that pipelines use, then each column takes the narrowest type that every value
of it has. A number with leading zeros, or of more than 18 digits, stays text: as a number it would be another value.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import duckdb
from pydantic import ValidationError

from batch_processing.errors import SourceUnreadable
from batch_processing.settings.models import SourceSpec
from batch_processing.sources.files import extract_files, file_facts
from batch_processing.sources.json_lines import first_misfit
from batch_processing.sources.opening import BOM, check_text, open_bytes

TextFormat = Literal["csv", "jsonl"]

_DELIMITERS = (",", ";", "\t", "|")
_HEADER_BYTES = 1 << 20
_NAMED = 10
_MEMORY = "1GB"
_INTEGER = "regexp_full_match({c}, '-?(0|[1-9][0-9]{{0,17}})')"
_FRACTION = (
    r"regexp_full_match({c}, '[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?')"
    r" AND NOT regexp_matches({c}, '^[+-]?(0[0-9]|[0-9]{{19}})') AND isfinite(try_cast({c} AS DOUBLE))"
)
_INSTANT = (
    r"regexp_full_match({c}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,6}})?)?"
    r"(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)?') AND try_cast({c} AS TIMESTAMPTZ) IS NOT NULL"
)
_CANDIDATES = {
    "BOOLEAN": "lower({c}) IN ('true', 'false')",
    "BIGINT": _INTEGER,
    "DOUBLE": _FRACTION,
    "DATE": "regexp_full_match({c}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') AND try_cast({c} AS DATE) IS NOT NULL",
    "TIMESTAMPTZ": _INSTANT,
}
"""Type -> whether a text is one, narrowest first. An instant without a zone counts as UTC."""
_JSON_TYPES = {
    "TIMESTAMP": "TIMESTAMPTZ",
    "HUGEINT": "DECIMAL(38,0)",
    "UHUGEINT": "VARCHAR",
    "UBIGINT": "DECIMAL(20,0)",
}
_JSON_AS_TEXT = ('"NULL"', "JSON", "UUID", "TIME", "TIME WITH TIME ZONE", "INTERVAL", "BLOB", "BIT")
_QUOTED = re.compile(r'"[^"]*"')
_SAME_KEYS = re.compile(r"the keys '([^']*)' and '([^']*)' differ only in case")
_CHUNK = 1 << 20


def land_undeclared(files: Sequence[Path], *, format: TextFormat, folder: Path) -> Path:
    """Lands text files of one kind as one Parquet file.

    Args:
        files: plain or `.gz`. CSV files need a header line, all the same one.
        format: what they hold.
        folder: an empty folder for what is made.

    Returns:
        The Parquet file. Columns are `boolean`, `bigint`, `double`, `date`, `timestamp` (UTC) or
        `string`; of JSON lines also what is nested.

    Raises:
        SourceUnreadable: an empty or damaged file, no rows, a record that cannot be read, a header
            that names no columns, files with other columns than the first.
    """
    for file in files:
        if file.stat().st_size == 0:
            raise SourceUnreadable("the file is empty", where=str(file), fix="give a file with data")
    return _land_csv(files, folder) if format == "csv" else _land_json_lines(files, folder)


def _land_csv(files: Sequence[Path], folder: Path) -> Path:
    delimiter, names = _common_header(files)
    facts = file_facts([str(file) for file in files])
    landed = extract_files(facts, source="data", spec=_as_text(files[0], delimiter, names), folder=folder / "text")
    if landed.rejected:
        raise SourceUnreadable(
            f"{landed.rejected:,} of {landed.read:,} records cannot be read as CSV",
            where=str(files[0]) if len(files) == 1 else f"{len(files)} files beside {files[0]}",
            found=_first_reject(landed.reject_files),
            fix="correct the records, or declare a source with a schema: a pipeline keeps such records as rejects",
        )
    if not landed.landed:
        raise SourceUnreadable(
            "there are no rows, so the columns have no types", where=str(files[0]), found="a header line alone"
        )
    with _database() as database:
        texts = database.read_parquet(list(landed.files))
        tests = [_all_are(test, name) for name in names for test in _CANDIDATES.values()]
        (found,) = texts.aggregate(", ".join(tests)).fetchall()
        casts = [f"{_cast(name, found[i * len(_CANDIDATES) :])} AS {_quoted(name)}" for i, name in enumerate(names)]
        return _write(texts.project(", ".join(casts)), folder)


def _all_are(test: str, name: str) -> str:
    """An aggregate: whether all values of a column pass a test; null where it has none."""
    column = _quoted(name)
    return f"bool_and({test.format(c=column)}) FILTER (WHERE {column} IS NOT NULL)"


def _cast(name: str, verdicts: Sequence[bool | None]) -> str:
    """The column in the first type that all its values have; text where it has none, or no value at all."""
    kinds = [kind for kind, verdict in zip(_CANDIDATES, verdicts, strict=False) if verdict]
    return f"CAST({_quoted(name)} AS {kinds[0]})" if kinds else _quoted(name)


def _header(file: Path) -> tuple[str, tuple[str, ...]]:
    """The delimiter that is most in the header line outside of quotes, a tab in a .tsv file; and the names there."""
    with open_bytes(str(file)) as source:
        start = source.read(_HEADER_BYTES)
    check_text(start, str(file))
    try:
        text = start.decode("utf-8-sig", "strict" if len(start) < _HEADER_BYTES else "ignore")
    except UnicodeDecodeError as error:
        raise SourceUnreadable("the file is not UTF-8 text", where=str(file), fix="give it as UTF-8") from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    unquoted = _QUOTED.sub("", first)
    is_tsv = file.name.lower().removesuffix(".gz").endswith(".tsv")
    delimiter = "\t" if is_tsv else max(_DELIMITERS, key=unquoted.count)
    try:
        names = next(csv.reader(io.StringIO(text, newline=None), delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise SourceUnreadable(
            "the header line cannot be read as CSV", where=str(file), found=str(error), fix="close the quotes in it"
        ) from error
    stripped = tuple(name.strip() for name in names)
    lowered = [name.lower() for name in stripped]
    if not names or not all(stripped) or len(set(lowered)) != len(lowered):
        raise SourceUnreadable(
            "the first line does not name the columns",
            where=str(file),
            found=f"{len(names)} names, {sum(not name for name in stripped)} of them empty, "
            f"{len(lowered) - len(set(lowered))} twice",
            fix="put a header line with one distinct name per column first",
        )
    return delimiter, stripped


def _common_header(files: Sequence[Path]) -> tuple[str, tuple[str, ...]]:
    """The header of the first file, whose columns and delimiter all the others have."""
    delimiter, names = _header(files[0])
    for file in files[1:]:
        other, found = _header(file)
        differs = [
            f"it has {', '.join(more)}, which the first has not" if (more := _without(found, names)) else "",
            f"it lacks {', '.join(less)}, which the first has" if (less := _without(names, found)) else "",
            f"its fields end at {other!r}, those of the first at {delimiter!r}" if other != delimiter else "",
        ]
        if any(differs):
            raise SourceUnreadable(
                f"a file has another header than the first, {files[0].name}",
                where=str(file),
                found="; ".join(one for one in differs if one),
                fix="judge the files one by one, or write them with the same header",
            )
    return delimiter, names


def _without(names: Sequence[str], others: Sequence[str]) -> list[str]:
    found = [name for name in names if name not in others]
    return found if len(found) <= _NAMED else [*found[:_NAMED], f"and {len(found) - _NAMED} more"]


def _as_text(file: Path, delimiter: str, names: Sequence[str]) -> SourceSpec:
    try:
        return SourceSpec.model_validate(
            {
                "files": {"path": "undeclared", "format": "csv", "delimiter": delimiter},
                "schema": dict.fromkeys(names, "string"),
            }
        )
    except ValidationError as error:
        found = "; ".join(str(problem["msg"]) for problem in error.errors(include_input=False, include_url=False))
        raise SourceUnreadable(
            "the header names a column that cannot be one", where=str(file), found=found, fix="rename the column"
        ) from error


def _first_reject(files: Sequence[str]) -> str:
    with _database() as database:
        query = "SELECT _source_file, _source_row, error FROM read_parquet($1) ORDER BY 1, 2 LIMIT 1"
        first = database.execute(query, [list(files)]).fetchone()
    return f"the first is record {first[1]} of {Path(first[0]).name}: {first[2]}" if first else ""


def _land_json_lines(files: Sequence[Path], folder: Path) -> Path:
    links = folder / "links"
    links.mkdir(parents=True)
    for number, file in enumerate(files):
        _give_json_lines(file, links / f"{number:06d}")
    with _database() as database:
        try:
            records = database.read_json(
                sorted(map(str, links.iterdir())), format="newline_delimited", records="true", sample_size=-1
            )
            pairs = zip(records.columns, records.types, strict=True)
            columns = [_json_column(name, str(kind)) for name, kind in pairs]
            return _write(records.project(", ".join(columns)), folder)
        except duckdb.Error as error:
            raise SourceUnreadable(
                "the file cannot be read as JSON lines",
                where=str(files[0]) if len(files) == 1 else f"{len(files)} files beside {files[0]}",
                found=_json_trouble(files, error),
                fix="write one JSON object per line, UTF-8",
            ) from error


def _give_json_lines(file: Path, place: Path) -> None:
    """Puts a file where its name holds nothing that the reader takes for a pattern, and without a byte order mark."""
    with open_bytes(str(file)) as source:
        start = source.read(_CHUNK)
        check_text(start, str(file))
        if start.removeprefix(BOM).lstrip().startswith(b"["):
            raise SourceUnreadable(
                "the file holds a JSON array, not JSON lines",
                where=str(file),
                fix="write one JSON object per line, as `jq -c '.[]'` does",
            )
        if start.startswith(BOM):
            with place.with_suffix(".jsonl").open("wb") as copy:
                copy.write(start.removeprefix(BOM))
                while block := source.read(_CHUNK):
                    copy.write(block)
            return
    suffix = ".jsonl.gz" if file.name.lower().endswith(".gz") else ".jsonl"
    place.with_suffix(suffix).symlink_to(file.resolve())


def _json_trouble(files: Sequence[Path], error: duckdb.Error) -> str:
    """What the reader met, in words that quote no data."""
    if keys := _SAME_KEYS.search(str(error)):
        return f"keys that only the case tells apart: {keys[1]}, {keys[2]}"
    for file in files:
        if (record := first_misfit(str(file))) is not None:
            return f"record {record.number} of {file.name}: {record.error}"
    return "no object with a key" if "expected records" in str(error) else type(error).__name__


def _json_column(name: str, kind: str) -> str:
    wanted = "VARCHAR" if kind in _JSON_AS_TEXT else _JSON_TYPES.get(kind)
    return f"CAST({_quoted(name)} AS {wanted}) AS {_quoted(name)}" if wanted else _quoted(name)


def _write(rows: duckdb.DuckDBPyRelation, folder: Path) -> Path:
    target = folder / "data.parquet"
    rows.to_parquet(str(target))
    return target


def _database() -> duckdb.DuckDBPyConnection:
    database = duckdb.connect()
    database.execute(f"SET memory_limit = '{_MEMORY}'; SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
    return database


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
