"""What later publishes of pipelines did to the rows of an earlier one, by the table's log."""

from __future__ import annotations

from datetime import datetime

from batch_processing.delta_lake.log import LoggedCommit, Partition, added_rows, partition_of, read_commits
from batch_processing.results import LaterWrites, Published
from batch_processing.storage import local_path

_WHOLE_PARTITIONS = ("replace_partitions", "overwrite")
"""Modes whose commits replace each partition that they touch."""


def later_writes(published: Published, *, until: int) -> LaterWrites:
    """What the commits after a publish wrote, up to and with version `until`.

    Raises:
        TableError: the log has a gap there, or a commit that cannot be read.
        StorageError: the log cannot be read.
    """
    root = local_path(published.table)
    commits = list(read_commits(root, first=published.version, last=until))
    added = {str(root / path): add for path, add in commits[0].adds.items()} if commits else {}
    slices: list[tuple[datetime, int]] = []
    touched: set[Partition] = set()
    for commit in commits[1:]:
        facts = commit.metadata
        if "slice" in facts and "generation" in facts:
            slices.append((datetime.fromisoformat(str(facts["slice"])), int(facts["generation"])))
        if facts.get("mode") in _WHOLE_PARTITIONS:
            touched |= _touched(commit)
    wanted = set(published.files)
    replaced = {path: added_rows(add) for path, add in added.items() if path in wanted and partition_of(add) in touched}
    return LaterWrites(tuple(slices), replaced)


def _touched(commit: LoggedCommit) -> set[Partition]:
    actions = (*commit.adds.values(), *commit.removes.values())
    return {partition_of(action) for action in actions if action.get("dataChange", True)}
