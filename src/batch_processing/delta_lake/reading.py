"""Reading files of a table by name, on an engine that only knows paths.

Paths in a table may hold characters that an engine takes for a pattern or decodes (`%2F`, `*`, `[`), each engine in its
own way. So the files are linked under plain names first: hard links, no byte is copied.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as sf
from pyspark.sql import types as st

from batch_processing.delta_lake.log import LiveFile
from batch_processing.delta_lake.partitions import quoted
from batch_processing.delta_lake.schema import free_name, spark_schema
from batch_processing.errors import StorageError
from batch_processing.results import Staged

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class TableReader:
    """Reads files of the staged output's table, each with its partition values as the log has them.

    Attributes:
        file_index: name of the column with the position of a row's file; no column of the table has it.
    """

    def __init__(self, spark: SparkSession, staged: Staged, schema_json: str, links: Path) -> None:
        self.spark, self.staged = spark, staged
        self._schema = spark_schema(schema_json)
        self.file_index = free_name("_file_index", self._schema.names)
        self._partitions = set(staged.partition_by)
        self._file_schema = st.StructType([f for f in self._schema.fields if f.name not in self._partitions])
        self._links = links
        self._linked = 0

    def read(self, files: Sequence[LiveFile], *, index: bool = False) -> DataFrame:
        """All rows of the files (at least one), in the table's columns; with `index`, also `file_index`."""
        groups: dict[tuple[Any, ...], list[LiveFile]] = {}
        for position, file in enumerate(files):
            label = (position,) if index else tuple(file.partition_values.values())
            groups.setdefault(label, []).append(file)
        frames = [self._group(members, label[0] if index else None) for label, members in groups.items()]
        return reduce(lambda a, b: a.union(b), frames)

    def _group(self, files: Sequence[LiveFile], position: int | None) -> DataFrame:
        df = self.spark.read.schema(self._file_schema).parquet(str(self._link(files)))
        values = files[0].partition_values
        columns = [
            sf.lit(values[f.name]).cast(f.dataType).alias(f.name)
            if f.name in self._partitions
            else sf.col(quoted(f.name))
            for f in self._schema.fields
        ]
        return df.select(*columns, *([sf.lit(position).alias(self.file_index)] if position is not None else []))

    def _link(self, files: Sequence[LiveFile]) -> Path:
        self._linked += 1
        folder = self._links / f"{self._linked:06d}"
        try:
            folder.mkdir(parents=True)
            for number, file in enumerate(files):
                os.link(Path(self.staged.table) / file.path, folder / f"{number:06d}.parquet")
        except OSError as error:
            raise StorageError(
                "a file of the table cannot be linked for reading",
                where=str(folder),
                found=error.strerror or type(error).__name__,
                fix="the table must be on a file system with hard links, and complete",
            ) from error
        return folder


@contextlib.contextmanager
def table_reader(spark: SparkSession, staged: Staged, schema_json: str) -> Iterator[TableReader]:
    """A reader whose links go when the block ends; DataFrames from it must be used up within."""
    links = Path(staged.table) / "merge" / f"{uuid.uuid4().hex}-in"
    try:
        yield TableReader(spark, staged, schema_json, links)
    finally:
        shutil.rmtree(links, ignore_errors=True)
