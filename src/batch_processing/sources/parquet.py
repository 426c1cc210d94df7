"""Parquet input to typed rows and rejects."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch_processing.errors import SourceMissing, SourceUnreadable
from batch_processing.settings.models import FilesSpec
from batch_processing.sources.casting import cast_column
from batch_processing.sources.columns import match_columns
from batch_processing.sources.landing import Landing, Reject
from batch_processing.sources.records import misfits_of

_ROWS = 131_072


def land_parquet(path: str, *, spec: FilesSpec, columns: Mapping[str, str], landing: Landing) -> int:
    """Lands one Parquet file; gives the records in it.

    Raises:
        SourceMissing, SourceUnreadable: the file cannot be read as Parquet.
        SourceSchemaError: it has other columns than declared.
    """
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            match_columns(file.schema_arrow.names, columns, extra=spec.extra_columns, where=path)
            for batch in file.iter_batches(batch_size=_ROWS, columns=list(columns)):
                land_batch(batch, columns=columns, file=path, first=number + 1, landing=landing)
                number += batch.num_rows
    except FileNotFoundError as error:
        raise SourceMissing(
            "an input file is gone", where=path, fix="put it back, or run the wait step again"
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise SourceUnreadable(
            "an input file cannot be read as Parquet", where=path, found=str(error)[:300], fix="deliver it again"
        ) from error
    return number


def land_batch(batch: pa.RecordBatch, *, columns: Mapping[str, str], file: str, first: int, landing: Landing) -> None:
    """Casts a batch to the declared types; rows with a value that does not fit are rejects, raw text as JSON."""
    numbers = np.arange(first, first + batch.num_rows, dtype=np.int64)
    casts = {n: (cast_column(batch.column(n), t), t) for n, t in columns.items()}
    misfits = misfits_of(casts)
    positions = sorted(misfits)
    wrong = batch.take(pa.array(positions, type=pa.int64())).to_pylist() if positions else []
    for position, row in zip(positions, wrong, strict=True):
        errors = misfits[position]
        names, said = ", ".join(n for n, _ in errors), "; ".join(f"{n}: {e}" for n, e in errors)
        raw = json.dumps(row, default=str, ensure_ascii=False)
        landing.reject(Reject(file, int(numbers[position]), names, said, raw))
    arrays = [cast.values for cast, _ in casts.values()]
    if misfits:
        fits = np.ones(len(numbers), dtype=bool)
        fits[list(misfits)] = False
        arrays, numbers = [a.filter(pa.array(fits)) for a in arrays], numbers[fits]
    landing.add(arrays, file=file, rows=numbers)
