"""Partition values: from a DataFrame's columns to folder names, to the strings Delta's log holds, and back.

Engines differ in how a partition value becomes a folder name: Spark turns the empty string to null, Sail writes a null
date as 1970-01-01. So the values are made strings here, before the engine sees them as partition columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pyspark.sql import functions as sf

from batch_processing.errors import DataError, TableError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

NULL = "__HIVE_DEFAULT_PARTITION__"
_REFUSED = "__NOT_A_PARTITION_VALUE__"
_WHOLE = frozenset(("long", "integer", "short", "byte"))
_OTHER = frozenset(("string", "boolean", "date", "timestamp", "timestamp_ntz"))


def check_partition_types(types: Mapping[str, Any], partition_by: Sequence[str], *, where: str) -> None:
    """Refuses partition columns whose values have no one text that all readers agree on.

    Raises:
        TableError: a float, binary or nested partition column.
    """
    bad = [c for c in partition_by if not _usable(types[c])]
    if bad:
        raise TableError(
            "these columns cannot partition a table",
            where=where,
            found=", ".join(f"{c}: {types[c] if isinstance(types[c], str) else types[c]['type']}" for c in bad),
            fix="partition by string, whole number, decimal, boolean, date or timestamp columns",
        )


def _usable(kind: Any) -> bool:
    return isinstance(kind, str) and (kind in _WHOLE or kind in _OTHER or kind.startswith("decimal"))


def with_text_partitions(df: DataFrame, partition_by: Sequence[str], types: Mapping[str, Any]) -> DataFrame:
    """The DataFrame with its partition columns as the strings that become folder names, last in order."""
    rest = [sf.col(quoted(c)) for c in df.columns if c not in partition_by]
    return df.select(*rest, *(_as_text(c, types[c]).alias(c) for c in partition_by))


def with_typed_partitions(df: DataFrame, partition_by: Sequence[str], schema: Any) -> DataFrame:
    """The reverse: partition columns read as strings become their types; all columns in the schema's order."""
    columns = []
    for field in schema.fields:
        column = sf.col(quoted(field.name))
        if field.name in partition_by:
            text = sf.when(column != sf.lit(NULL), column)
            column = text.cast(field.dataType).alias(field.name)
        columns.append(column)
    return df.select(*columns)


def quoted(name: str) -> str:
    """A column name as the engine takes it whatever is in it."""
    return "`" + name.replace("`", "``") + "`"


def _as_text(name: str, kind: Any) -> Column:
    column = sf.col(quoted(name))
    text = column.cast("string")
    if kind == "string":
        text = sf.when(column.isin("", NULL, _REFUSED), sf.lit(_REFUSED)).otherwise(column)
    return sf.when(column.isNull(), sf.lit(NULL)).otherwise(text)


def values_from_folders(
    folders: Sequence[str], partition_by: Sequence[str], types: Mapping[str, Any]
) -> dict[str, str | None]:
    """Partition values, as Delta's log writes them, from the folder names of one file (`column=value`, escaped).

    Raises:
        TableError: folders that are not those of the partition columns.
        DataError: a value that a Delta table cannot hold as a partition value.
    """
    pairs = [folder.partition("=") for folder in folders]
    if [unquote(name) for name, _, _ in pairs] != list(partition_by):
        raise TableError(
            "the engine wrote other partition folders than asked for", found=f"{len(folders)} levels of folders"
        )
    return {
        column: _log_value(unquote(text), types[column], column=column)
        for column, (_, _, text) in zip(partition_by, pairs, strict=True)
    }


def _log_value(text: str, kind: str, *, column: str) -> str | None:
    if text == NULL:
        return None
    if text in ("", _REFUSED):
        raise DataError(
            "a partition column holds the empty string, or a name that Hive-style folders keep for null",
            where=f"column {column}",
            fix="turn such values to null or to another text in the transform: Delta reads an empty one as null",
        )
    return canonical(text, kind, column=column)


def canonical(value: object, kind: str, *, column: str) -> str | None:
    """One text per partition value: what the log holds, and what equality is judged by.

    Args:
        value: text, or the Python value a reader of the log gives.
        kind: the column's Delta type.
        column: for the error.

    Raises:
        DataError: not a value of that type within years 1 to 9999.
    """
    if value is None or value == "":
        return None
    try:
        return _canonical(value, kind)
    except (ValueError, ArithmeticError) as error:
        raise DataError(
            f"a partition value is not a {kind} between the years 1 and 9999",
            where=f"column {column}",
            fix="clean it in the transform",
        ) from error


def _canonical(value: object, kind: str) -> str:
    text = str(value)
    if kind in _WHOLE:
        return str(int(text))
    if kind.startswith("decimal"):
        return format(Decimal(text), "f")
    if kind == "boolean":
        return text.lower()
    if kind == "date":
        return (value if isinstance(value, date) else date.fromisoformat(text)).isoformat()
    if kind in ("timestamp", "timestamp_ntz"):
        return _canonical_timestamp(value if isinstance(value, datetime) else datetime.fromisoformat(text), kind)
    return text


def _canonical_timestamp(value: datetime, kind: str) -> str:
    if kind == "timestamp_ntz":
        return value.strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
    instant = value if value.tzinfo else value.replace(tzinfo=UTC)
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
