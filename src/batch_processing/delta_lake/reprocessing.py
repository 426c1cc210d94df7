"""Whether a slice can be published anew: asked before its generation is raised, so that no slice is left stuck."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from batch_processing.delta_lake.log import find_commit, live_files, open_table, recorded_generation
from batch_processing.delta_lake.remains import what_remains
from batch_processing.delta_lake.replacing import removals
from batch_processing.results import Staged
from batch_processing.storage import local_path


def check_replaceable(
    table: Path | str,
    *,
    app_id: str,
    mode: Literal["overwrite", "append", "replace_partitions", "merge"],
    partition_by: tuple[str, ...],
) -> None:
    """Passes where a new generation of the slice could replace the rows of the one that is published.

    Args:
        table: the table's root.
        app_id: names the slice.
        mode: how the table is written; `merge` finds its rows by key.
        partition_by: partition columns.

    Raises:
        TableError: the rows of the published generation cannot be told from others any more, or the log is damaged.
    """
    root = local_path(str(table))
    opened = open_table(root)
    if opened is None or mode == "merge" or recorded_generation(opened, app_id) is None:
        return
    previous = find_commit(root, app_id=app_id, newest=opened.version())
    if mode == "replace_partitions" and tuple(opened.metadata().partition_columns) != partition_by:
        return  # refused by the publish, with both partitionings shown
    remains = what_remains(opened, root, version=previous.version, files=previous.files) if previous else None
    removals(
        live_files(opened),
        mode=mode,
        staged=Staged(str(root), "", partition_by, (), 0),
        reprocessed=True,
        previous=remains.files if remains else None,
        mixed=remains.mixed if remains else (),
    )
