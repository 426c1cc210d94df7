"""Data named on the command line, as a DataFrame of the embedded engine: what it is, and how it is opened."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from batch_processing.errors import SourceUnreadable, UsageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Format = Literal["parquet", "csv", "jsonl", "delta"]

_SUFFIXES: tuple[tuple[str, Format], ...] = (
    (".parquet", "parquet"),
    (".csv", "csv"),
    (".csv.gz", "csv"),
    (".tsv", "csv"),
    (".tsv.gz", "csv"),
    (".jsonl", "jsonl"),
    (".jsonl.gz", "jsonl"),
    (".ndjson", "jsonl"),
    (".ndjson.gz", "jsonl"),
    (".json", "jsonl"),
    (".json.gz", "jsonl"),
)
_KNOWN = "Parquet (.parquet), CSV (.csv, .tsv), JSON lines (.jsonl, .ndjson, .json), text as .gz too, a Delta table"
_NAMED = 5


@dataclass(frozen=True)
class DataPlace:
    """Data that is there.

    Attributes:
        path: the file, folder or pattern.
        format: what it holds.
        files: the data files, sorted; empty for a Delta table, whose log names them.
    """

    path: Path
    format: Format
    files: tuple[Path, ...] = ()

    @property
    def types_are_inferred(self) -> bool:
        """True where column types were found in the values and may be others tomorrow."""
        return self.format in ("csv", "jsonl")


def find_data(path: Path) -> DataPlace:
    """Says what is at a path: by its suffix, by the files in a folder (hidden ones left out), or a Delta table.

    A path that is not there and has `*`, `?` or `[` is a pattern.

    Raises:
        UsageError: nothing there, a folder without data files or with several formats, an unknown format, a part of a
            Delta table, or a folder with one further down.
    """
    if (path / "_delta_log").is_dir():
        return DataPlace(path, "delta")
    if path.is_dir():
        files = _in_folder(path)
    elif path.exists():
        files = (path,)
    else:
        files = _matching(path)
    _refuse_within_table(path if path.exists() else files[0])
    formats = {_format(file) for file in files}
    if len(formats) == 1 and (found := formats.pop()) is not None:
        return DataPlace(path, found, files)
    names = ", ".join(file.name for file in files[:_NAMED]) + (", ..." if len(files) > _NAMED else "")
    raise UsageError(
        "the folder holds no data files" if not files else "the format of the data is not clear",
        where=str(path),
        found=names or "nothing",
        fix=f"give one of: {_KNOWN}" + ("" if path.is_file() else "; data in several files is of one format"),
    )


def _in_folder(folder: Path) -> tuple[Path, ...]:
    found = sorted(folder.rglob("*"))
    logs = [one for one in found if one.name == "_delta_log" and one.is_dir()]
    tables = [str(log.parent) for log in logs if not _hidden(log.parent, folder)]
    if tables:
        raise UsageError(
            "the folder holds a Delta table further down, whose log says which rows it has",
            where=str(folder),
            found=", ".join(tables[:_NAMED]) + (", ..." if len(tables) > _NAMED else ""),
            fix="give a table's folder",
        )
    return tuple(file for file in found if file.is_file() and not _hidden(file, folder))


def _matching(pattern: Path) -> tuple[Path, ...]:
    is_pattern = bool(set(str(pattern)) & set("*?["))
    top = Path(pattern.anchor)
    if is_pattern and (files := tuple(sorted(p for p in top.glob(str(pattern.relative_to(top))) if p.is_file()))):
        return files
    raise UsageError(
        "no file matches" if is_pattern else "there is no such data",
        where=str(pattern.absolute()),
        fix="name a local file or folder, or a pattern in quotes",
    )


def _refuse_within_table(path: Path) -> None:
    """A table's files are not its rows: some were replaced, and some are not published."""
    tables = [parent for parent in path.resolve().parents if (parent / "_delta_log").is_dir()]
    if tables:
        raise UsageError(
            "this is a part of a Delta table, whose log says which rows it has",
            where=str(path),
            found=f"the table {tables[0]}",
            fix="give the table's folder",
        )


@contextmanager
def open_data(place: DataPlace) -> Iterator[DataFrame]:
    """Opens data on an embedded engine that ends with the block, and so does the DataFrame.

    Raises:
        SourceUnreadable: an empty, damaged or unreadable file or table.
        EngineError: the engine did not start.
    """
    from batch_processing.settings.models import EngineSpec
    from batch_processing.spark.session import Engine

    with tempfile.TemporaryDirectory(prefix="batchctl-") as name:
        folder = Path(name)
        readable = _readable(place, folder)
        with Engine.open(EngineSpec(), project_root=Path.cwd(), workdir=folder) as engine:
            yield _read(engine.session, readable, place)


def _readable(place: DataPlace, folder: Path) -> Path:
    """A path that the engine reads as it is written: a user's may hold what an engine takes for a pattern."""
    if place.format in ("csv", "jsonl"):
        from batch_processing.sources.undeclared import land_undeclared

        return land_undeclared(place.files, format=place.format, folder=folder)
    if place.format == "parquet":
        from batch_processing.sources.odd_parquet import land_parquet

        top = place.path if place.path.is_dir() else Path(os.path.commonpath([file.parent for file in place.files]))
        return land_parquet(place.files, top=top, folder=folder / "data")
    link = folder / "data"
    link.symlink_to(place.path.resolve())
    return link


def _read(spark: SparkSession, readable: Path, place: DataPlace) -> DataFrame:
    from pyspark.errors import PySparkException

    try:
        df = spark.read.format("delta" if place.format == "delta" else "parquet").load(str(readable))
        _ = df.schema  # the engine looks at the files here, not before
    except PySparkException as error:
        raise SourceUnreadable(
            f"the data cannot be read as {'a Delta table' if place.format == 'delta' else 'Parquet'}",
            where=str(place.path),
            found=type(error).__name__,
            fix="check that it is complete and not damaged",
        ) from error
    return df


def _format(file: Path) -> Format | None:
    name = file.name.lower()
    return next((found for suffix, found in _SUFFIXES if name.endswith(suffix)), None)


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith((".", "_")) and "=" not in part for part in file.relative_to(folder).parts)
