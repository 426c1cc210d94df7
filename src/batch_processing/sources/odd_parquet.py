"""Parquet files with types that Spark does not have, written again with those it has.

What Spark lacks, pandas and Arrow write every day: categories, timestamps in nanoseconds, unsigned and half numbers.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batch_processing.errors import SourceUnreadable

_WIDER = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.float16(): pa.float32(),
    pa.date64(): pa.date32(),
}


def land_parquet(files: Sequence[Path], *, top: Path, folder: Path) -> Path:
    """Puts Parquet files into a folder: those with types that Spark does not have written again, links to the others.

    A category becomes its text, nanoseconds become microseconds (what is below is cut off), an unsigned number the next
    wider signed one, a half number a float.

    Args:
        files: of one dataset.
        top: the folder above them; the folders between, which may name partitions, stay.
        folder: an empty folder for what is made.

    Returns:
        The folder to read.

    Raises:
        SourceUnreadable: an empty or damaged file, or columns without a name or that only the case tells apart.
    """
    for file in files:
        target = folder / file.relative_to(top)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.stat().st_size == 0:
            raise SourceUnreadable("the file is empty", where=str(file), fix="give a file with data")
        try:
            with pq.ParquetFile(file) as opened:
                _require_names(opened.schema_arrow.names, file)
                wanted = pa.schema([field.with_type(_plain(field.type)) for field in opened.schema_arrow])
                if wanted.types == opened.schema_arrow.types == _declared(opened).types:
                    target.symlink_to(file.resolve())
                else:
                    _write_again(opened, wanted, target)
        except (pa.ArrowException, OSError) as error:
            raise SourceUnreadable(
                "the data cannot be read as Parquet",
                where=str(file),
                found=type(error).__name__,
                fix="check that it is complete and not damaged",
            ) from error
    return folder


def _declared(opened: pq.ParquetFile) -> pa.Schema:
    """The types as the writer had them, which the embedded engine reads; pyarrow overrules it for some."""
    text = (opened.metadata.metadata or {}).get(b"ARROW:schema")
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text))) if text else opened.schema_arrow


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type that holds the values and that Spark has."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_plain(kind.key_type), _plain(kind.item_type))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = _plain(kind.value_type)
        return kind if inner == kind.value_type else pa.list_(inner)
    return _WIDER.get(kind, kind)


def _write_again(opened: pq.ParquetFile, schema: pa.Schema, target: Path) -> None:
    with pq.ParquetWriter(target, schema) as writer:
        for batch in opened.iter_batches():
            columns = [
                column if column.type == field.type else column.cast(field.type, safe=False)
                for column, field in zip(batch.columns, schema, strict=True)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def _require_names(names: Sequence[str], file: Path) -> None:
    if not all(name.strip() for name in names):
        raise SourceUnreadable("a column has no name", where=str(file), fix="name every column")
    lowered = [name.lower() for name in names]
    if twice := [name for name in names if lowered.count(name.lower()) > 1]:
        raise SourceUnreadable(
            "columns have the same name, or names that only the case tells apart",
            where=str(file),
            found=", ".join(twice),
            fix="rename all of them but one: Spark cannot tell them apart",
        )
