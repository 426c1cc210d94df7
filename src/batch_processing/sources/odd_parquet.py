"""Parquet files with types that Spark does not have, or not all the same ones, written again with those it has.

What Spark lacks, pandas and Arrow write every day: categories, timestamps in nanoseconds, unsigned and half numbers.
No value changes: one that no type of Spark holds is told.
"""

from __future__ import annotations

import base64
import errno
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batch_processing.errors import SourceUnreadable, StorageError

_WIDER = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.float16(): pa.float32(),
    pa.date64(): pa.date32(),
    pa.time64("ns"): pa.time64("us"),
    pa.duration("s"): pa.duration("us"),
    pa.duration("ms"): pa.duration("us"),
    pa.duration("ns"): pa.duration("us"),
}
_DIGITS = 38
"""The most that a decimal of Spark has."""


@dataclass(frozen=True)
class _File:
    """A file, what types it is read with, and what its writer noted: the embedded engine goes by the note."""

    path: Path
    schema: pa.Schema
    noted: pa.Schema


def land_parquet(files: Sequence[Path], *, top: Path, folder: Path) -> Path:
    """Puts Parquet files into a folder: those with types that Spark lacks written again, links to the others.

    A category becomes its text; nanoseconds become microseconds, an unsigned number the next wider signed one, a half
    number a float. A column of several types takes the one that holds them all, and is null where a file lacks it.

    Args:
        files: of one dataset.
        top: the folder above them; the folders between, which may name partitions, stay.
        folder: an empty folder for what is made.

    Returns:
        The folder to read.

    Raises:
        SourceUnreadable: an empty or damaged file; columns without a name or that only the case tells apart; a column
            whose types or values no type of Spark holds.
        StorageError: no room for what is made.
    """
    opened = [_look_at(file) for file in files]
    wanted = _common(opened)
    for file in opened:
        target = folder / file.path.relative_to(top)
        target.parent.mkdir(parents=True, exist_ok=True)
        if all(kinds == wanted for kinds in (_types(file.schema), _types(file.noted))):
            target.symlink_to(file.path.resolve())
        else:
            _write_again(file, pa.schema(list(wanted.items())), target)
    return folder


def _look_at(path: Path) -> _File:
    if path.stat().st_size == 0:
        raise SourceUnreadable("the file is empty", where=str(path), fix="give a file with data")
    with _told(path), _open(path) as opened:
        schema, text = opened.schema_arrow, (opened.metadata.metadata or {}).get(b"ARROW:schema")
        noted = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text))) if text else schema
    if not schema.names:
        raise SourceUnreadable("the file has no columns", where=str(path), fix="give a file with data")
    _require_names(schema.names, str(path))
    return _File(path, schema, noted)


def _common(files: Sequence[_File]) -> dict[str, pa.DataType]:
    """The type of each column that holds what every file has in it."""
    found: dict[str, tuple[pa.DataType, Path]] = {}
    for file in files:
        for name, kind in _types(file.schema).items():
            plain = _plain(kind, column=name, file=file.path)
            earlier, first = found.get(name, (plain, file.path))
            both = _both(earlier, plain)
            if both is None:
                raise SourceUnreadable(
                    "two files have a column in types that have no common one",
                    where=str(file.path),
                    found=f"{name} is {earlier} in {first} and {kind} here",
                    fix="judge the files one by one, or write the column with one type",
                )
            found[name] = (both, first)
    _require_names(list(found), str(files[0].path) if len(files) == 1 else f"{len(files)} files beside {files[0].path}")
    return {name: kind for name, (kind, _) in found.items()}


def _both(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type that holds two, None where there is none."""
    if one == other:
        return one
    schemas = [pa.schema([("column", kind)]) for kind in (one, other)]
    try:
        found = pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return None
    return None if pa.types.is_decimal(found) and found.precision > _DIGITS else found


def _plain(kind: pa.DataType, *, column: str, file: Path) -> pa.DataType:
    """The type that holds the values and that Spark has."""

    def plain(kind: pa.DataType) -> pa.DataType:
        if isinstance(kind, pa.BaseExtensionType):
            return plain(kind.storage_type)
        if pa.types.is_dictionary(kind):
            return plain(kind.value_type)
        if pa.types.is_timestamp(kind):
            return pa.timestamp("us", kind.tz) if kind.unit == "ns" else kind
        if pa.types.is_decimal(kind):
            if not 0 <= kind.scale <= _DIGITS:
                raise SourceUnreadable(
                    "a column has a type that Spark does not have",
                    where=str(file),
                    found=f"{column} is {kind}",
                    fix=f"write it as a decimal of at most {_DIGITS} digits, or as text",
                )
            return pa.decimal128(min(kind.precision, _DIGITS), kind.scale)
        if pa.types.is_struct(kind):
            return pa.struct([field.with_type(plain(field.type)) for field in kind])
        if pa.types.is_map(kind):
            return pa.map_(plain(kind.key_type), plain(kind.item_type))
        if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
            return pa.list_(plain(kind.value_type))
        if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            inner = plain(kind.value_type)
            return kind if inner == kind.value_type else pa.list_(inner)
        return _WIDER.get(kind, kind)

    return plain(kind)


def _write_again(file: _File, schema: pa.Schema, target: Path) -> None:
    """Without bounds: those of floats leave NaN out, and an engine skips rows by them."""
    with _told(file.path), _open(file.path) as opened, pq.ParquetWriter(target, schema, write_statistics=False) as out:
        for batch in opened.iter_batches():
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            arrays = [
                _cast(columns[field.name], field, file.path)
                if field.name in columns
                else pa.nulls(len(batch), field.type)
                for field in schema
            ]
            out.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def _cast(column: pa.Array, field: pa.Field, file: Path) -> pa.Array:
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    try:
        return column if column.type == field.type else column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        too_fine = any(word in str(column.type) for word in ("[ns", "time64", "duration"))
        raise SourceUnreadable(
            "a column has values that no type of Spark holds",
            where=str(file),
            found=f"{field.name} is {column.type}"
            + (", with values finer than a microsecond" if too_fine else f", and {field.type} does not hold them"),
            fix="write it in microseconds, as pandas does after .dt.floor('us'), or as text"
            if too_fine
            else "write the column with one type in every file, or as text",
        ) from error


def _types(schema: pa.Schema) -> dict[str, pa.DataType]:
    return dict(zip(schema.names, schema.types, strict=True))


def _open(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(path, coerce_int96_timestamp_unit="us")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise StorageError(
                "no room to write the data again with types that Spark has",
                where=str(path),
                found=f"a full disk at {tempfile.gettempdir()}",
                fix="free space there, or set TMPDIR to another folder",
            ) from error
        raise SourceUnreadable(
            "the data cannot be read as Parquet",
            where=str(path),
            found=type(error).__name__,
            fix="check that it is complete and not damaged",
        ) from error


def _require_names(names: Sequence[str], where: str) -> None:
    if not all(name.strip() for name in names):
        raise SourceUnreadable("a column has no name", where=where, fix="name every column")
    lowered = [name.lower() for name in names]
    if twice := [name for name in names if lowered.count(name.lower()) > 1]:
        raise SourceUnreadable(
            "columns have the same name, or names that only the case tells apart",
            where=where,
            found=", ".join(twice),
            fix="rename all of them but one: Spark cannot tell them apart",
        )
