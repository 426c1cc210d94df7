"""Grouped counts of keys: how many are distinct, how many rows have one that repeats, and which those are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import AtomicType, DataType, DoubleType, FloatType, TimeType

from batch_processing.quality.engine_messages import describe, require_alive
from batch_processing.quality.frames import one_nan, quoted, truth
from batch_processing.quality.rules import KeyCount, Rule, Values
from batch_processing.quality.staged_scan import collect
from batch_processing.settings.session_conf import KEYS_AT_ONCE

_FEW_ROWS = 1_000_000
"""Rows with repeated keys up to which the keys are fetched."""
_FEW_BYTES = 16 << 20
"""What the fetched keys may take: they travel with every query on the rows."""


def count_keys(df: DataFrame, rules: Iterable[Rule], *, rows: int) -> tuple[dict[str, Any], dict[str, str]]:
    """The grouped counts that rules need, each once.

    Args:
        df: the rows.
        rules: the rules.
        rows: how many rows there are.

    Returns:
        The measured values, and rule id -> why it could not run.

    Raises:
        EngineError: the engine does not answer.
    """
    asking = list(rules)
    values: dict[str, Any] = {}
    broken: dict[str, str] = {}
    for key in _merged(asking):
        askers = [rule for rule in asking if key.key in [asked.key for asked in rule.keys]]
        try:
            values |= _count_key(df, key, rows)
        except PySparkException as error:
            require_alive(error)
            if len(askers) == 1:
                broken[askers[0].rule_id] = f"the engine could not evaluate it: {describe(error)}"
                continue
            for rule in askers:
                found, failed = count_keys(df, [rule], rows=rows)
                values |= found
                broken |= failed
    return values, broken


def repeats(key: KeyCount, values: Values) -> bool:
    """True where a grouped count found keys that occur more than once."""
    return int(values[key.repeated_rows]) > 0


def repeated_keys(df: DataFrame, key: KeyCount, names: Sequence[str], *, values: Values) -> DataFrame:
    """The keys that occur more than once, in columns of the given names.

    Where their rows are few they are fetched, and what is joined with them needs no grouped count any more.

    Args:
        df: the rows.
        key: the grouping.
        names: one for each key column.
        values: what the grouped count found.

    Raises:
        PySparkException: the keys cannot be fetched.
    """
    lazy = _repeated(df, key, names)
    if not all(map(_travels, _types(lazy))) or int(values[key.repeated_rows]) > _FEW_ROWS:
        return lazy
    at_once = _keys_at_once(df) or int(values[key.distinct])
    parts = math.ceil(int(values[key.distinct]) / at_once)
    found = pa.concat_tables(
        _repeated(_part(df, key, one, one + 1, parts), key, names).toArrow() for one in range(parts)
    )
    if found.nbytes > _FEW_BYTES:
        return lazy
    local = df.sparkSession.createDataFrame(found)
    return local if _types(local) == _types(lazy) else lazy


def key_column(df: DataFrame, name: str) -> Column:
    """A key column by name; fields of structs by their path. Both zeros of a float are one key, and every NaN is."""
    if name not in df.columns:
        return F.col(name)
    column, kind = F.col(quoted(name)), df.schema[name].dataType
    return one_nan(column + F.lit(0.0), DoubleType()) if isinstance(kind, FloatType | DoubleType) else column


def _merged(rules: Iterable[Rule]) -> list[KeyCount]:
    found: dict[str, KeyCount] = {}
    for rule in rules:
        for key in rule.keys:
            earlier = found.get(key.key)
            found[key.key] = replace(key, over_keys=(*earlier.over_keys, *key.over_keys)) if earlier else key
    return list(found.values())


def _count_key(df: DataFrame, key: KeyCount, rows: int) -> dict[str, Any]:
    names = [f"_key_{index}" for index in range(len(key.columns))]
    repeated = F.coalesce(F.sum(F.when(F.col("_rows") > 1, F.col("_rows"))), F.lit(0))
    wanted = {key.distinct: F.count(F.lit(1)), key.repeated_rows: repeated}
    at_once = _keys_at_once(df)
    if key.over_keys or not at_once or rows <= at_once:
        return collect(_grouped(df, key, names), wanted | {one.key: one.column for one in key.over_keys})
    return _count_in_parts(df, key, wanted, parts=math.ceil(rows / at_once), at_once=at_once)


def _keys_at_once(df: DataFrame) -> int:
    text = df.sparkSession.conf.get(KEYS_AT_ONCE, "0")
    return int(text) if text and text.isdecimal() else 0


def _count_in_parts(
    df: DataFrame, key: KeyCount, wanted: dict[str, Column], *, parts: int, at_once: int
) -> dict[str, Any]:
    """Counts keys by ranges of their hash, so that no count has to hold them all.

    The first part shows how many keys the others will have: where they are few, the rest is one count.
    """
    names = [f"_key_{index}" for index in range(len(key.columns))]
    values = collect(_grouped(_part(df, key, 0, 1, parts), key, names), wanted)
    each = max(1, at_once // max(1, int(values[key.distinct])))
    for least in range(1, parts, each):
        found = collect(_grouped(_part(df, key, least, least + each, parts), key, names), wanted)
        values = {name: values[name] + found[name] for name in values}
    return values


def _part(df: DataFrame, key: KeyCount, least: int, beyond: int, parts: int) -> DataFrame:
    """The rows whose key's hash is in parts `least` to `beyond` of so many; all rows of a key are in one."""
    if parts == 1:
        return df
    part = F.pmod(F.xxhash64(*[key_column(df, name) for name in key.columns]), F.lit(parts))
    return df.where((part >= F.lit(least)) & (part < F.lit(beyond)))


def _repeated(df: DataFrame, key: KeyCount, names: Sequence[str]) -> DataFrame:
    grouped = _grouped(df, key, names)
    return grouped.where(F.col("_rows") > 1).select(*map(F.col, names))


def _travels(kind: DataType) -> bool:
    """Whether fetched values go back as they came; the embedded engine does not take times of the day."""
    return isinstance(kind, AtomicType) and not isinstance(kind, TimeType)


def _types(df: DataFrame) -> list[DataType]:
    return [field.dataType for field in df.schema.fields]


def _grouped(df: DataFrame, key: KeyCount, names: Sequence[str]) -> DataFrame:
    columns = [key_column(df, name).alias(alias) for name, alias in zip(key.columns, names, strict=True)]
    return df.where(truth(key.where)).select(*columns).groupBy(*names).agg(F.count(F.lit(1)).alias("_rows"))
