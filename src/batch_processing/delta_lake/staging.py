"""Write: the output of a transform becomes Parquet files inside the table's folder, which no reader sees yet."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pyspark.sql import types as st

from batch_processing.delta_lake.engine_errors import engine_failures
from batch_processing.delta_lake.footers import drop_bounds_of_nan
from batch_processing.delta_lake.log import committed_paths
from batch_processing.delta_lake.partitions import (
    check_partition_types,
    lasting_folder,
    values_from_folders,
    with_plain_partitions,
    with_typed_partitions,
)
from batch_processing.delta_lake.schema import column_types, delta_schema_json, spark_schema
from batch_processing.delta_lake.statistics import file_statistics
from batch_processing.digests import check_files, file_digests
from batch_processing.errors import StorageError, TableError, UsageError
from batch_processing.results import Staged, StagedFile
from batch_processing.storage import local_path, make_folder, sync_files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_LOG = logging.getLogger(__name__)
_WRITING = {
    "compression": "zstd",
    # Of the embedded engine, a quarter of its own; Apache Spark does not know it. Each open file keeps a dictionary per
    # column until it is this large. Beyond, values repeat too little to gain: with 30 partitions it cost a fifth of the
    # time, and an eighth of the bytes, to fill them first.
    "dictionary_page_size_limit": str(256 * 1024),
}
_READ_AT_ONCE = 4
_QUIET_SECONDS = 1.0
_STRAGGLERS_SECONDS = 5.0
_ODD_IN_ROOTS = "#%*?[\\]{}"


def stage(df: DataFrame, *, table: Path | str, partition_by: tuple[str, ...], folder: str) -> Staged:
    """Writes a DataFrame once, as Parquet files under `<table>/<folder>`, and reads back what was written.

    Nothing is committed: readers of the table do not see these files until `publish`. They are on the disk itself, so
    that a power cut after the commit loses none.

    Args:
        df: the rows; its schema becomes the staged schema, every column nullable.
        table: root path of the table (made if absent); the engine must see it under the same path.
        partition_by: partition columns, in order.
        folder: relative path inside the table, new for every attempt. No part may start with `_` or `.`:
            VACUUM of other engines would never clean there.

    Returns:
        The files with sizes, partition values and statistics; no file where there are no rows.

    Raises:
        UsageError: a folder outside the table, or a hidden one.
        TableError: columns that a Delta table cannot hold.
        DataError: a partition value that a Delta table cannot hold.
        TransformError: the rows could not be computed.
        EngineError: the engine went away.
        StorageError: the folder exists already, or is not visible here.
    """
    root = table_root(table)
    place = _new_folder(root, folder)
    with engine_failures("planning the output", where=str(root), planning=True):
        schema = df.schema
    schema_json = delta_schema_json(schema, partition_by=partition_by, where=str(root))
    types = column_types(schema_json)
    check_partition_types(types, partition_by, where=str(root))
    make_folder(root)
    try:
        with engine_failures("writing the output", where=str(root)):
            writer = with_plain_partitions(df, partition_by, types).write.mode("error").options(**_WRITING)
            (writer.partitionBy(*partition_by) if partition_by else writer).parquet(str(place))
            # The embedded engine makes no folder for no rows.
            nothing = not place.is_dir() and df.isEmpty()
        files = () if nothing else _collect(root, place, partition_by, types)
        sync_files([root / file.path for file in files], top=root)
    except BaseException:
        _remove_what_comes(place, root)
        raise
    if not files:
        _remove(place, root)
    staged = Staged(str(root), schema_json, partition_by, files, sum(f.rows for f in files))
    _LOG.info("staged %s rows in %s files for %s", staged.rows, len(files), root)
    return staged


def read_staged(spark: SparkSession, staged: Staged, *, hop: str = "validate_output") -> DataFrame:
    """The rows of exactly the staged files, with the staged schema and column order.

    Args:
        spark: the engine.
        staged: what `stage` wrote.
        hop: the step that relies on them, for errors.

    Raises:
        StorageError: the folder holds other files than were staged.
        LedgerError: a staged file changed after it was written.
    """
    schema = spark_schema(staged.schema_json)
    place = staged_folder(staged)
    if place is None:
        return spark.createDataFrame([], schema)
    present = {p.relative_to(staged.table).as_posix() for p in _data_files(place)}
    if present != {f.path for f in staged.files}:
        raise StorageError(
            "the staged files are not those that were written", where=str(place), fix="run the transform again"
        )
    check_staged(staged, hop=hop)
    parts = [st.StructField(c, st.StringType()) for c in staged.partition_by]
    raw = st.StructType([f for f in schema.fields if f.name not in staged.partition_by] + parts)
    with engine_failures("reading the staged files", where=str(place)):
        df = spark.read.schema(raw).option("basePath", str(place)).parquet(str(place))
        return with_typed_partitions(df, staged.partition_by, schema)


def check_staged(staged: Staged, *, hop: str) -> None:
    """Compares the staged files with their digests.

    Raises:
        LedgerError: a file changed after it was written.
        StorageError: a file is gone.
    """
    root = Path(staged.table)
    check_files(
        {str(root / file.path): file.sha256 for file in staged.files},
        hop=hop,
        what="staged",
        fix="nothing was published from them; run the transform again",
        rows=staged.rows,
    )


def discard(staged: Staged) -> None:
    """Removes the staged files, unless they were published. Only their own folder is touched; a second call is a no-op.

    Raises:
        TableError: the files belong to the table.
        StorageError: the disk refused.
    """
    place = staged_folder(staged)
    if place is None or not place.exists():
        return
    root = Path(staged.table)
    if committed_paths(root) & {f.path for f in staged.files}:
        raise TableError(
            "these files are published and belong to the table", where=str(place), fix="nothing: do not discard them"
        )
    _remove(place, root)


def table_root(table: Path | str) -> Path:
    """The table's absolute root.

    Raises:
        UsageError: a path that engines or delta-rs would take for a pattern, or decode.
    """
    root = local_path(str(table))
    odd = sorted(set(str(root)) & set(_ODD_IN_ROOTS))
    if odd:
        raise UsageError(
            "a table's path has characters that readers take for patterns or escapes",
            where=str(root),
            found=" ".join(odd),
            fix=f"use a path without any of {' '.join(_ODD_IN_ROOTS)}",
        )
    return root


def staged_folder(staged: Staged) -> Path | None:
    """The folder that holds the staged files, or None where there are none."""
    if not staged.files:
        return None
    return Path(staged.table) / PurePosixPath(staged.files[0].path).parents[len(staged.partition_by)]


def _new_folder(root: Path, folder: str) -> Path:
    parts = PurePosixPath(folder).parts
    if not parts or PurePosixPath(folder).is_absolute() or any(p.startswith(("_", ".")) for p in parts):
        raise UsageError(
            "a staging folder must be a relative path without hidden parts",
            where=folder,
            fix="use one as data/<slice>/<attempt>",
        )
    place = root.joinpath(*parts)
    if place.exists():
        raise StorageError("the staging folder exists already", where=str(place), fix="use a new one for every attempt")
    return place


def _data_files(place: Path) -> list[Path]:
    return sorted(p for p in place.rglob("*.parquet") if p.is_file() and not p.name.startswith((".", "_")))


def _collect(
    root: Path, place: Path, partition_by: tuple[str, ...], types: dict[str, object]
) -> tuple[StagedFile, ...]:
    if not place.is_dir():
        raise StorageError(
            "the engine wrote, and its files are not here",
            where=str(place),
            fix="engine and steps need the same storage under the same path (a mounted volume)",
        )
    _name_for_good(place, partition_by, types)
    files = []
    paths = _data_files(place)
    if any(kind in ("float", "double") or not isinstance(kind, str) for kind in types.values()):
        with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
            list(pool.map(drop_bounds_of_nan, paths))
    digests = file_digests(paths)
    for path in paths:
        stats = file_statistics(path, types)
        if stats["numRecords"] == 0:
            path.unlink()
            continue
        facts = path.stat()
        files.append(
            StagedFile(
                path=path.relative_to(root).as_posix(),
                size=facts.st_size,
                rows=stats["numRecords"],
                partition_values=values_from_folders(path.relative_to(place).parent.parts, partition_by, types),
                stats=stats,
                mtime_ms=int(facts.st_mtime * 1000),
                sha256=digests[str(path)],
            )
        )
    for leftover in [p for p in place.rglob("*") if p.is_file() and p.name.startswith(("_", "."))]:
        leftover.unlink()
    return tuple(files)


def _name_for_good(place: Path, partition_by: tuple[str, ...], types: dict[str, object]) -> None:
    try:
        for level, column in enumerate(partition_by, 1):
            for folder in [p for p in place.glob("/".join("*" * level)) if p.is_dir() and "=" in p.name]:
                name = lasting_folder(folder.name, types[column], column=column)
                if name != folder.name:
                    folder.rename(folder.with_name(name))
    except OSError as error:
        raise StorageError(
            "cannot rename staged folders",
            where=str(place),
            found=error.strerror or "",
            fix="check the table's disk and its permissions, then run the transform again",
        ) from error


def _remove_what_comes(place: Path, root: Path) -> None:
    """Removes what a failed write left. Apache Spark's other tasks may go on for a moment and make the folder again.

    What still comes after that is an orphan for `maintain`: the failure itself is what has to be told.
    """
    quiet_since = time.monotonic()
    deadline = quiet_since + _STRAGGLERS_SECONDS
    while time.monotonic() < min(deadline, quiet_since + _QUIET_SECONDS):
        if place.exists():
            quiet_since = time.monotonic()
            with contextlib.suppress(StorageError):
                _remove(place, root)
        time.sleep(0.02)
    if place.exists():
        _LOG.warning("files of a failed write are left in %s; `batchctl maintain` removes them", place)


def _remove(place: Path, root: Path) -> None:
    if not place.exists():
        return
    try:
        shutil.rmtree(place)
        for parent in place.relative_to(root).parents:
            if parent != Path() and not any((root / parent).iterdir()):
                (root / parent).rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(
            "cannot remove staged files", where=str(place), found=error.strerror or "", fix="remove the folder by hand"
        ) from error
