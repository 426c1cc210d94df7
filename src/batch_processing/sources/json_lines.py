"""JSON lines to typed rows and rejects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from batch_processing.errors import SourceUnreadable
from batch_processing.settings.models import FilesSpec
from batch_processing.sources.framing import MAX_RECORD_BYTES
from batch_processing.sources.landing import Landing, Reject
from batch_processing.sources.opening import BOM, ByteSource, check_text, open_bytes
from batch_processing.sources.records import misfits_of, typed_column

_BLOCK = 8 << 20


@dataclass(frozen=True)
class JsonRecord:
    """One record: its number, its text where known, and its object or what is wrong with it.

    `other` is the value where that is no object and the text is not known.
    """

    number: int
    text: str | None
    value: dict[str, Any] | None
    error: str = ""
    other: Any = None

    @property
    def raw(self) -> str:
        """The record's text; written anew where the original is not known."""
        if self.text is not None:
            return self.text
        return json.dumps(self.other if self.value is None else self.value, default=str, ensure_ascii=False)


def land_json_lines(path: str, *, spec: FilesSpec, columns: Mapping[str, str], landing: Landing) -> int:
    """Lands one file of JSON objects, one a line; gives the records met in it.

    Empty lines are no records. A key that is absent is null.

    Raises:
        SourceMissing, SourceUnreadable: the file as a whole cannot be read.
    """
    decimals = any(t.startswith("decimal") for t in columns.values())
    met = 0
    for records in _records(path, decimals=decimals):
        met += len(records)
        land_records(records, columns=columns, extra=spec.extra_columns, file=path, landing=landing)
    return met


def first_misfit(path: str) -> JsonRecord | None:
    """The first record of a file that is no JSON object; None where all are.

    Raises:
        SourceMissing, SourceUnreadable: the file as a whole cannot be read.
    """
    met = (record for records in _records(path, decimals=False) for record in records)
    return next((record for record in met if record.error), None)


def parse_record(line: bytes, *, number: int, decimals: bool) -> JsonRecord:
    """Reads one JSON object; numbers with a fraction become Decimal where `decimals`, so that none is bent."""
    raw = line.rstrip(b"\r\n").decode("utf-8", errors="backslashreplace")
    try:
        value = json.loads(
            line.decode("utf-8"),
            parse_float=Decimal if decimals else None,
            parse_constant=_no_constant,
            object_pairs_hook=_unique_keys,
        )
    except UnicodeDecodeError:
        return JsonRecord(number, raw, None, "not UTF-8")
    except RecursionError:
        return JsonRecord(number, raw, None, "JSON nested too deeply")
    except ValueError as error:
        return JsonRecord(number, raw, None, f"not JSON: {_said(error)}")
    if not isinstance(value, dict):
        return JsonRecord(number, raw, None, f"expected a JSON object, found {_kind(value)}")
    return JsonRecord(number, raw, value)


def land_records(
    records: Sequence[JsonRecord],
    *,
    columns: Mapping[str, str],
    extra: Literal["error", "ignore"],
    file: str,
    landing: Landing,
) -> None:
    """Types the records' values and lands those that fit."""
    known = frozenset(columns)
    good: list[JsonRecord] = []
    rejects: list[Reject] = []
    for record in records:
        unknown = [] if record.value is None or extra == "ignore" else [k for k in record.value if k not in known]
        if record.value is None:
            rejects.append(Reject(file, record.number, None, record.error, record.raw))
        elif unknown:
            error = f"{len(unknown)} keys that are not declared"
            rejects.append(Reject(file, record.number, ", ".join(unknown[:20])[:500], error, record.raw))
        else:
            good.append(record)
    objects = [record.value or {} for record in good]
    casts = {n: (typed_column([_plain(o.get(n), t) for o in objects], t, kind="json"), t) for n, t in columns.items()}
    misfits = misfits_of(casts)
    for position, errors in misfits.items():
        record = good[position]
        names, said = ", ".join(n for n, _ in errors), "; ".join(f"{n}: {e}" for n, e in errors)
        rejects.append(Reject(file, record.number, names, said, record.raw))
    for reject in sorted(rejects, key=lambda r: r.row):
        landing.reject(reject)
    fits = np.ones(len(good), dtype=bool)
    fits[list(misfits)] = False
    numbers = np.fromiter((r.number for r in good), dtype=np.int64, count=len(good))
    landing.add([cast.values.filter(pa.array(fits)) for cast, _ in casts.values()], file=file, rows=numbers[fits])


def _plain(value: Any, declared: str) -> Any:
    """A Decimal (see `parse_record`) as a float again, except where a decimal is declared."""
    return float(value) if isinstance(value, Decimal) and not declared.startswith("decimal") else value


def _records(path: str, *, decimals: bool) -> Iterator[list[JsonRecord]]:
    """A file's records, block by block; lines without a character are none."""
    number = 0
    with open_bytes(path) as source:
        for lines in _blocks(source):
            records = []
            for line in filter(bytes.strip, lines):
                number += 1
                records.append(parse_record(line, number=number, decimals=decimals))
            yield records


def _blocks(source: ByteSource) -> Iterator[list[bytes]]:
    rest, first = b"", True
    while True:
        chunk = source.read(_BLOCK)
        if first:
            check_text(chunk, source.path)
            chunk, first = chunk.removeprefix(BOM), False
            if not chunk:
                chunk = source.read(_BLOCK)
        data = rest + chunk
        if not chunk:
            if data:
                yield [data]
            return
        cut = data.rfind(b"\n") + 1
        rest = data[cut:]
        if len(rest) > MAX_RECORD_BYTES:
            raise SourceUnreadable(
                f"a line is longer than {MAX_RECORD_BYTES >> 20} MiB",
                where=source.path,
                fix="deliver JSON lines: one object a line, not one array",
            )
        yield data[:cut].split(b"\n")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def _no_constant(_: str) -> Any:
    raise ValueError("NaN and Infinity are no JSON")


def _said(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos + 1}"
    # json's own messages beside JSONDecodeError may hold the value (an integer of too many digits).
    return str(error) if len(error.args) == 1 and error.args[0] in _OWN else "a number too long to read"


_OWN = ("a key stands twice", "NaN and Infinity are no JSON")


def _kind(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
