"""Partition values: from a DataFrame's columns to folder names, to the strings Delta's log holds, and back.

Engines differ in how a partition value becomes a folder name: Spark turns the empty string to null, Sail writes a null
date as 1970-01-01. So the values are made plain here, before the engine sees them as partition columns: strings, and
for dates the number of the day: a text per row would take the embedded engine a third longer for the whole write. The
folders of days get their dates once the engine is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pyspark.sql import functions as sf

from batch_processing.errors import DataError, TableError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

NULL = "__HIVE_DEFAULT_PARTITION__"
_REFUSED = "__NOT_A_PARTITION_VALUE__"
_NO_DAY = -(2**62)
"""Stands for a null date; days are 32-bit numbers, so no date has it."""

_EPOCH = date(1970, 1, 1)
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


def with_plain_partitions(df: DataFrame, partition_by: Sequence[str], types: Mapping[str, Any]) -> DataFrame:
    """The DataFrame with its partition columns as what becomes folder names, last in order: texts, and days as numbers.

    `lasting_folder` gives the name that each folder shall have in the end.
    """
    rest = [sf.col(quoted(c)) for c in df.columns if c not in partition_by]
    return df.select(*rest, *(_plain(c, types[c]).alias(c) for c in partition_by))


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


def _plain(name: str, kind: Any) -> Column:
    column = sf.col(quoted(name))
    if kind == "date":
        return sf.coalesce(sf.unix_date(column).cast("bigint"), sf.lit(_NO_DAY))
    text = column.cast("string")
    if kind == "string":
        text = sf.when(column.isin("", NULL, _REFUSED), sf.lit(_REFUSED)).otherwise(column)
    return sf.coalesce(text, sf.lit(NULL))


def lasting_folder(folder: str, kind: Any, *, column: str) -> str:
    """The name for good of a folder that the engine made of a plain value: days become dates, all others stay.

    Raises:
        TableError: a folder that is not one of a day.
        DataError: a date outside the years 1 to 9999.
    """
    if kind != "date":
        return folder
    name, _, text = folder.partition("=")
    try:
        day = int(text)
        return f"{name}={NULL if day == _NO_DAY else _EPOCH + timedelta(days=day)}"
    except OverflowError as error:
        raise _outside(kind, column) from error
    except ValueError as error:
        raise TableError("the engine wrote other partition folders than asked for", where=f"column {column}") from error


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
        raise _outside(kind, column) from error


def _outside(kind: str, column: str) -> DataError:
    return DataError(
        f"a partition value is not a {kind} between the years 1 and 9999",
        where=f"column {column}",
        fix="clean it in the transform",
    )


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
