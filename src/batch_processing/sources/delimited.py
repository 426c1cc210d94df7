"""Delimited text (CSV) to typed rows and rejects.

A block of whole records is parsed straight into the declared types. Where a block holds a value that
does not fit, that block alone is read again as text and cast column by column, so that each misfit is
named; both ways accept the same values.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from batch_processing.errors import LedgerError, UsageError
from batch_processing.settings.models import FilesSpec
from batch_processing.sources.casting import FALSE_TEXTS, NAIVE, TRUE_TEXTS, UTC_INSTANT, arrow_type, cast_column
from batch_processing.sources.columns import match_columns
from batch_processing.sources.framing import Dialect, Frame, Framer
from batch_processing.sources.landing import Landing, Reject
from batch_processing.sources.opening import BOM, check_text, open_bytes

_LOWER = np.uint8(0x20)  # the bit that tells small ASCII letters from capitals


@dataclass(frozen=True)
class _Reading:
    """How one file is read: its path, its dialect, its own columns in order, the declared ones.

    `instants` is in what form timestamps are tried; the form that worked moves to the front.
    """

    path: str
    dialect: Dialect
    nulls: tuple[str, ...]
    file_columns: tuple[str, ...]
    declared: Mapping[str, str]
    instants: list[pa.DataType] = field(default_factory=lambda: [NAIVE, UTC_INSTANT])


def land_delimited(path: str, *, spec: FilesSpec, columns: Mapping[str, str], landing: Landing) -> int:
    """Lands one CSV file; gives the records met in it.

    Raises:
        SourceMissing, SourceUnreadable: the file as a whole cannot be read.
        SourceSchemaError: its header is not the declared one.
        LedgerError: the parser and the record count disagree.
    """
    dialect = _dialect(spec, columns)
    with open_bytes(path) as source:
        framer = Framer(source.read, dialect=dialect, path=path)
        check_text(framer.start(), path)
        if framer.start(3) == BOM:
            framer.skip(3)
        header = framer.header() if spec.header else None
        names = _header_names(header, dialect) if spec.header else tuple(columns)
        match_columns(names, columns, extra=spec.extra_columns, where=path)
        reading = _Reading(path, dialect, spec.null_values, _unique(names, columns), columns)
        for frame in framer.frames():
            _land_frame(frame, reading, landing)
        return framer.records


def _dialect(spec: FilesSpec, columns: Mapping[str, str]) -> Dialect:
    for what in ("delimiter", "quote", "escape"):
        text = getattr(spec, what)
        if not text.isascii() or text in "\r\n\0":
            raise UsageError(f"files.{what} must be one ASCII character that is no line end", found=repr(text))
    if spec.delimiter in (spec.quote, spec.escape):
        raise UsageError("files.delimiter must differ from quote and escape", found=repr(spec.delimiter))
    return Dialect(spec.delimiter.encode(), spec.quote.encode(), spec.escape.encode(), blank_records=len(columns) == 1)


def _header_names(header: bytes | None, dialect: Dialect) -> tuple[str, ...] | None:
    if header is None:
        return None
    doubled = dialect.quote == dialect.escape
    reader = csv.reader(
        io.StringIO(header.decode("utf-8", errors="backslashreplace"), newline=""),
        delimiter=dialect.delimiter.decode(),
        quotechar=dialect.quote.decode(),
        doublequote=doubled,
        escapechar=None if doubled else dialect.escape.decode(),
    )
    return tuple(name.strip() for name in next(reader))


def _unique(names: tuple[str, ...] | None, columns: Mapping[str, str]) -> tuple[str, ...]:
    """The file's columns with those that are not declared renamed, so that no two are equal."""
    return tuple(n if n in columns else f"\0{i}" for i, n in enumerate(names or ()))


def _land_frame(frame: Frame, reading: _Reading, landing: Landing) -> None:
    ragged: list[tuple[int, str]] = []
    table = None if not len(frame.numbers) or _suspicious(frame.data) else _parse_typed(frame.data, reading, ragged)
    misfits: dict[int, list[tuple[str, str]]] = {}
    if table is None:
        ragged.clear()
        table, misfits = _parse_lenient(frame.data, reading, ragged)
    whole = _whole_rows(len(frame.numbers), ragged)
    if table.num_rows != len(whole):
        raise LedgerError(
            "the parser found another number of records than the file has",
            where=reading.path,
            found=f"{table.num_rows} whole and {len(ragged)} ragged of {len(frame.numbers)}",
            fix="check the quote and escape characters of the source",
        )
    numbers = frame.numbers[whole]
    if ragged or misfits or frame.broken:
        _reject(frame, reading, landing, ragged=ragged, misfits={int(whole[i]): e for i, e in misfits.items()})
    if misfits:
        fits = np.ones(len(numbers), dtype=bool)
        fits[list(misfits)] = False
        table, numbers = table.filter(pa.array(fits)), numbers[fits]
    columns = [table.column(name).combine_chunks() for name in reading.declared]
    landing.add(columns, file=reading.path, rows=numbers)


def _suspicious(data: bytes) -> bool:
    """Text that the typed parser would take and the declared types do not: NUL, hexadecimal integers."""
    if b"\0" in data:
        return True
    array = np.frombuffer(data, dtype=np.uint8)
    exes = np.flatnonzero((array | _LOWER) == ord("x"))
    return bool(np.any(array[exes[exes > 0] - 1] == ord("0")))


def _whole_rows(count: int, ragged: list[tuple[int, str]]) -> npt.NDArray[np.int64]:
    """Positions (0-based, among the frame's well-formed records) of the records that are not ragged."""
    keep = np.ones(count, dtype=bool)
    keep[[position for position, _ in ragged]] = False
    return np.flatnonzero(keep)


def _reject(
    frame: Frame,
    reading: _Reading,
    landing: Landing,
    *,
    ragged: list[tuple[int, str]],
    misfits: Mapping[int, list[tuple[str, str]]],
) -> None:
    positions = [*(i for i, _ in ragged), *misfits]
    texts = frame.raw_records(positions, quote=reading.dialect.quote) if positions else []
    raws = dict(zip(positions, texts, strict=True))
    numbers, path = frame.numbers, reading.path
    found = [Reject(path, b.number, None, b.error, _text(b.raw)) for b in frame.broken]
    found += [Reject(path, int(numbers[i]), None, error, _text(raws[i])) for i, error in ragged]
    for i, errors in misfits.items():
        column, error = ", ".join(n for n, _ in errors), "; ".join(f"{n}: {said}" for n, said in errors)
        found.append(Reject(path, int(numbers[i]), column, error, _text(raws[i])))
    for reject in sorted(found, key=lambda r: r.row):
        landing.reject(reject)


def _parse_typed(data: bytes, reading: _Reading, ragged: list[tuple[int, str]]) -> pa.Table | None:
    """The block in the declared types; None where a value does not fit."""
    for instants in tuple(reading.instants):
        types = {n: instants if t == "timestamp" else arrow_type(t) for n, t in reading.declared.items()}
        ragged.clear()
        try:
            table = _parse(data, reading, types, ragged)
        except pa.ArrowInvalid:
            if "timestamp" not in reading.declared.values():
                return None
            continue
        reading.instants.sort(key=lambda form: form != instants)
        return _as_declared(table, reading) if _all_finite(table) and _decimals_fit(table) else None
    return None


def _as_declared(table: pa.Table, reading: _Reading) -> pa.Table:
    arrays = [table.column(n).combine_chunks() for n in reading.declared]
    zoned = [
        a.view(UTC_INSTANT) if t == "timestamp" and a.type == NAIVE else a
        for a, t in zip(arrays, reading.declared.values(), strict=True)
    ]
    return pa.Table.from_arrays(zoned, names=list(reading.declared))


def _all_finite(table: pa.Table) -> bool:
    floats = (c for c in table.columns if pa.types.is_floating(c.type))
    return all(pc.all(pc.is_finite(column), skip_nulls=True, min_count=0).as_py() for column in floats)


def _decimals_fit(table: pa.Table) -> bool:
    """Whether the decimals have no more digits than declared: pyarrow does not look where a text has fewer decimals."""
    try:
        for column in table.columns:
            if pa.types.is_decimal(column.type):
                column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _parse_lenient(
    data: bytes, reading: _Reading, ragged: list[tuple[int, str]]
) -> tuple[pa.Table, dict[int, list[tuple[str, str]]]]:
    """The block with misfits as null, and each misfit's row position -> (column, error)."""
    as_bytes = dict.fromkeys(reading.declared, pa.binary())
    table = _parse(data, reading, as_bytes, ragged) if data else pa.schema(as_bytes.items()).empty_table()
    misfits: dict[int, list[tuple[str, str]]] = {}
    arrays = []
    for name, declared in reading.declared.items():
        cast = cast_column(table.column(name).combine_chunks(), declared)
        arrays.append(cast.values)
        if cast.misfit is not None:
            for position in np.flatnonzero(cast.misfit).tolist():
                misfits.setdefault(position, []).append((name, f"not a valid {declared}"))
    return pa.Table.from_arrays(arrays, names=list(reading.declared)), misfits


def _parse(data: bytes, reading: _Reading, types: Mapping[str, pa.DataType], ragged: list[tuple[int, str]]) -> pa.Table:
    def on_ragged(row: pacsv.InvalidRow) -> str:
        ragged.append((row.number - 1, f"expected {row.expected_columns} fields, found {row.actual_columns}"))
        return "skip"

    return pacsv.read_csv(
        pa.BufferReader(data),
        read_options=pacsv.ReadOptions(
            use_threads=False, block_size=len(data) + 1, column_names=list(reading.file_columns)
        ),
        parse_options=pacsv.ParseOptions(
            delimiter=reading.dialect.delimiter.decode(),
            quote_char=reading.dialect.quote.decode(),
            double_quote=True,
            escape_char=False,
            newlines_in_values=True,
            ignore_empty_lines=False,
            invalid_row_handler=on_ragged,
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=dict(types),
            include_columns=list(reading.declared),
            null_values=list(reading.nulls),
            strings_can_be_null=True,
            true_values=_any_case(TRUE_TEXTS),
            false_values=_any_case(FALSE_TEXTS),
        ),
    )


def _any_case(texts: tuple[str, ...]) -> list[str]:
    return sorted({variant for t in texts for variant in (t, t.upper(), t.capitalize())})


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="backslashreplace")
