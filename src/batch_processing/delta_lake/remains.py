"""What the table still holds of a publish's rows, and which commit of another tool took the others.

The log names files, not rows. Files that hold rows of the publish alone are followed through compaction and the deletes
of other tools; once they are rewritten together with files of others, their number may be known, or not even that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deltalake import DeltaTable

from batch_processing.delta_lake.log import LoggedCommit, added_rows, live_paths, open_table, partition_of, read_commits
from batch_processing.results import Published
from batch_processing.storage import local_path

_REWRITES = ("DELETE", "UPDATE")
"""Operations whose new files hold rows of the files that they remove, and no others."""
_REWRITES_AND_ADDS = "MERGE"


@dataclass(frozen=True)
class Remains:
    """What is left of a publish.

    Attributes:
        published: rows that its commit added.
        held: rows of these that the table holds; None where nobody can say.
        replaced: rows that later publishes of pipelines replaced.
        files: live files, relative to the root, that hold rows of this publish and no others.
        mixed: live files that may hold rows of it among others'.
        version: the first commit of another tool that changed rows of it; -1 where none did.
        operation: what that tool calls it, as `DELETE`.
    """

    published: int
    held: int | None
    replaced: int = 0
    files: tuple[str, ...] = ()
    mixed: tuple[str, ...] = ()
    version: int = -1
    operation: str = ""

    @property
    def missing(self) -> int:
        """Rows that other tools are known to have removed."""
        if self.version < 0 or self.held is None:
            return 0
        return max(0, self.published - self.replaced - self.held)

    @property
    def change(self) -> str:
        """`version 3 (DELETE)`."""
        return f"version {self.version} ({self.operation or 'of another tool'})"


def remains_of(published: Published) -> Remains:
    """What the newest version of its table holds of a publish, whose commit the log still has.

    Raises:
        TableError: the log cannot be read, or has a gap.
        StorageError: likewise.
    """
    root = local_path(published.table)
    table = open_table(root)
    if table is None:
        return Remains(published.rows, 0)
    files = [Path(file).relative_to(root).as_posix() for file in published.files]
    return what_remains(table, root, version=published.version, files=files)


def what_remains(table: DeltaTable, root: Path, *, version: int, files: Sequence[str]) -> Remains:
    """The same, of the files that a commit added, in a table that is open.

    Args:
        table: its newest version.
        root: its root.
        version: the commit.
        files: relative to the root.

    Raises:
        TableError, StorageError: the log cannot be read, or has a gap.
    """
    commits = read_commits(root, first=version, last=table.version())
    wanted = set(files)
    added = {path: added_rows(add) for path, add in next(commits).adds.items() if path in wanted}
    rows = sum(added.values())
    marked = "deletionVectors" in (table.protocol().reader_features or ())
    if not marked and wanted <= live_paths(table):
        return Remains(rows, rows, files=tuple(files))
    walk = _Walk(added)
    for commit in commits:
        walk.follow(commit)
    held = None if walk.among_others is None else sum(walk.own.values()) + walk.among_others
    return Remains(
        rows,
        held,
        replaced=walk.replaced,
        files=tuple(walk.own),
        mixed=tuple(sorted(walk.mixed)),
        version=walk.version,
        operation=walk.operation,
    )


class _Walk:
    """From commit to commit: which files hold the rows."""

    def __init__(self, added: Mapping[str, int]) -> None:
        self.own, self.mixed = dict(added), set[str]()
        self.among_others: int | None = 0
        self.replaced, self.version, self.operation = 0, -1, ""
        self._ever = dict(added)

    def follow(self, commit: LoggedCommit) -> None:
        back = {path: self._ever[path] for path in commit.adds if path in self._ever and path not in self.own}
        taken = {path: self.own.pop(path) for path in commit.removes if path in self.own}
        taken_mixed = self.mixed & set(commit.removes)
        if taken or taken_mixed:
            removed = [commit.removes[path] for path in (*taken, *taken_mixed)]
            homes = {partition_of(action) for action in removed}
            beside = {path for path, action in commit.removes.items() if partition_of(action) in homes}
            added = {path: added_rows(add) for path, add in commit.adds.items() if partition_of(add) in homes}
            added = {path: rows for path, rows in added.items() if path not in back}
            moved = not any(action.get("dataChange", True) for action in removed)
            self.mixed -= taken_mixed
            if taken_mixed and self.mixed and not moved:
                self.among_others = None
            if commit.metadata:
                self._replaced(commit, sum(taken.values()), added)
            elif moved:
                self._moved(sum(taken.values()), added, alone=beside == set(taken))
            else:
                self._changed(commit, added, alone=beside == set(taken))
        self.own |= back

    def _replaced(self, commit: LoggedCommit, rows: int, added: Mapping[str, int]) -> None:
        """By a pipeline's publish. A merge carries over the rows of the touched files that it does not replace."""
        folder = commit.metadata.get("carried_folder")
        carried = {path for path in added if folder is not None and path.startswith(f"{folder}/")}
        if carried:
            self._lose_count(carried)
        self.replaced += rows
        if not self.mixed and self.among_others is not None:
            self.replaced, self.among_others = self.replaced + self.among_others, 0

    def _moved(self, rows: int, added: Mapping[str, int], *, alone: bool) -> None:
        if alone:
            self._keep(added)
            return
        self.mixed |= set(added)
        self.among_others = None if self.among_others is None else self.among_others + rows

    def _changed(self, commit: LoggedCommit, added: Mapping[str, int], *, alone: bool) -> None:
        if self.version < 0:
            self.version, self.operation = commit.version, commit.operation
        rewritten = commit.operation in _REWRITES or commit.operation == _REWRITES_AND_ADDS
        if rewritten and added and not (alone and commit.operation in _REWRITES):
            self._lose_count(added)
        elif rewritten and added:
            self._keep(added)
        elif self.among_others and not self.mixed:
            self.among_others = 0

    def _keep(self, added: Mapping[str, int]) -> None:
        self.own |= added
        self._ever |= added

    def _lose_count(self, files: Mapping[str, int] | set[str]) -> None:
        self.mixed |= set(files)
        self.among_others = None
