"""What a table and its warehouse hold after each operation, by docs/delta_lake.md, warehouse.md and batchctl.md.

In plain Python, with nothing of the package: the model is written from the pages' sentences.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Mode = Literal["overwrite", "append", "replace_partitions", "merge"]
Fault = Literal["", "rows", "audit"]
WHOLE = "whole"
"""The one partition of a table that has none."""


class Row(NamedTuple):
    """A row of the output. `amount` is another in every input, so it names the row."""

    id: int
    customer_id: int
    name: str
    amount: float
    day: str | None
    rank: int | None
    extra: str | None = None


class Owner(NamedTuple):
    """Whose rows: of a slice's generation. Rows of other writers have none."""

    slice: int
    generation: int


@dataclass(frozen=True)
class Setup:
    """What a history is played on."""

    mode: Mode
    partitioned: bool
    sequence: bool = False
    additive: bool = False


@dataclass(frozen=True)
class Publication:
    """A slice's commit: its rows that took effect, and the partitions that it replaced or emptied."""

    owner: Owner
    order: int
    rows: tuple[Row, ...]
    replaced: frozenset[str | None]


@dataclass
class Block:
    """Rows that lie in the same files. `moved`: a merge found a staged key there, and may have written them again."""

    partition: str | None
    rows: list[tuple[Row, Owner | None]]
    moved: bool = False

    @property
    def owners(self) -> set[Owner | None]:
        return {owner for _, owner in self.rows}


class Difference(AssertionError):
    """The pipeline did what the pages do not say."""


@dataclass
class Model:
    """The state after each operation. Commands take the exit code that was seen, and say whether the table changes."""

    setup: Setup
    inputs: dict[int, tuple[Row, ...]] = field(default_factory=dict)
    extra: bool = False
    blocks: list[Block] = field(default_factory=list)
    published: dict[int, Publication] = field(default_factory=dict)
    log: list[Publication] = field(default_factory=list)
    raised: dict[int, int] = field(default_factory=dict)
    removed: dict[int, Literal["told", "perhaps"]] = field(default_factory=dict)
    warehouse: list[tuple[Row, Publication]] | None = None
    loads: dict[int, Publication] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    foreign: bool = False
    left_behind: bool = False

    # what is there

    def table_rows(self) -> Counter[Row]:
        return Counter(row for block in self.blocks for row, _ in block.rows)

    def warehouse_rows(self) -> Counter[Row]:
        return Counter(row for row, _ in self.warehouse or ())

    def generation(self, slice: int) -> int:
        published = self.published.get(slice)
        return max(self.raised.get(slice, 1), published.owner.generation if published else 1)

    def waiting(self, slice: int) -> bool:
        """Whether a run of the slice would stage and publish rows."""
        published = self.published.get(slice)
        return published is None or published.owner.generation < self.generation(slice)

    def loaded(self, slice: int) -> bool:
        return self.loads.get(slice) is self.published[slice]

    # commands

    def run(self, slice: int, code: int, *, fault: Fault = "", loads: bool = True) -> bool:
        """`batchctl run`, or with `loads` off the steps up to `publish`."""
        if not self.waiting(slice):
            return self.load_step(slice, code, loads=loads)
        if fault:
            expect(code, {1, 3} if self._mixed(slice) else {1}, f"bad {fault}")
            return False
        if self._mixed(slice):
            expect(code, {3}, "rows that cannot be told from others")
            return False
        expect(code, {0}, "a slice that is to be published")
        self.publish(slice)
        if loads:
            self.load(slice)
        return True

    def load_step(self, slice: int, code: int, *, loads: bool = True) -> bool:
        """What is done of a slice that is published."""
        if self.removed.get(slice) == "told":
            expect(code, {3}, "rows that another tool removed")
        elif slice in self.removed or (loads and slice in self.gone and not self.loaded(slice)):
            expect(code, {0, 3}, "rows or files that may be gone")
        else:
            expect(code, {0}, "a slice that is published already")
        if code == 0 and loads:
            self.load(slice)
        return False

    def reprocess(self, slice: int, code: int, *, fault: Fault = "") -> bool:
        if not self._raise(slice, code):
            return False
        return self.run(slice, code, fault=fault)

    def reprocess_with_column(self, slice: int, code: int) -> bool:
        """`schema_change: strict` and an output with one column more."""
        if self._raise(slice, code):
            expect(code, {3}, "a column that the table does not have")
        return False

    def _raise(self, slice: int, code: int) -> bool:
        """Whether `reprocess` goes on, with a generation raised where one is published."""
        if slice not in self.published:
            return True
        if self._mixed(slice):
            expect(code, {3}, "rows that cannot be told from others")
            return False
        if self.setup.mode == "merge" and not self.loaded(slice):
            unclear = slice in self.gone or self.removed.get(slice) == "perhaps"
            if self.removed.get(slice) != "told" and (code == 2 or not unclear):
                expect(code, {2}, "a merge whose published generation can be loaded and is not")
                return False
            self.left_behind = True
        self.raised[slice] = self.generation(slice) + 1
        return True

    def lose_store(self) -> None:
        self.raised.clear()

    # other tools

    def compact(self) -> None:
        for partition in {block.partition for block in self.blocks}:
            here = [block for block in self.blocks if block.partition == partition]
            self.blocks = [block for block in self.blocks if block.partition != partition]
            moved = any(block.moved for block in here)
            self.blocks.append(Block(partition, [entry for block in here for entry in block.rows], moved))

    def add_foreign(self, rows: Collection[Row]) -> None:
        self._add(rows, None)
        self.foreign = True

    def rows_of(self, slice: int) -> list[Row]:
        owned = (entry for block in self.blocks for entry in block.rows)
        return sorted((row for row, owner in owned if owner and owner.slice == slice), key=lambda row: row.amount)

    def delete(self, amounts: Collection[float]) -> None:
        self.foreign = True
        for block in self.blocks:
            gone = {owner for row, owner in block.rows if row.amount in amounts}
            for owner in gone:
                if owner and self.published[owner.slice].owner == owner and len(block.owners) == 1:
                    known = "perhaps" if block.moved else "told"
                    if self.removed.get(owner.slice) != "told":
                        self.removed[owner.slice] = known
            block.rows = [entry for entry in block.rows if entry[0].amount not in amounts]
        self._forget_empty()

    def vacuum(self) -> None:
        """Files that only earlier versions had are gone; which ones those are is not followed."""
        self.gone = set(self.published)

    def drop_warehouse(self) -> None:
        self._leave_behind()
        self.warehouse = None
        self.loads.clear()

    # the Delta table

    def publish(self, slice: int) -> None:
        owner = Owner(slice, self.generation(slice))
        rows = [replace_extra(row) if self.extra else row for row in self.inputs[slice]]
        before = self.published.get(slice)
        replaced: set[str | None] = set()
        match self.setup.mode:
            case "overwrite":
                self.blocks.clear()
            case "append":
                self.blocks = [block for block in self.blocks if not (before and before.owner in block.owners)]
            case "replace_partitions":
                replaced = {row.day for row in rows}
                replaced |= {
                    block.partition for block in self.blocks if before is not None and block.owners == {before.owner}
                }
                left = {row.day for row in rows}
                self.blocks = [
                    block
                    for block in self.blocks
                    if block.partition not in left and not (before and block.owners == {before.owner})
                ]
            case "merge":
                staged = {row.id for row in rows}
                rows = [row for row in rows if self._wins(row)]
                keys = {row.id for row in rows}
                for block in self.blocks:
                    block.moved |= any(found.id in staged for found, _ in block.rows)
                    block.rows = [entry for entry in block.rows if entry[0].id not in keys]
        self._forget_empty()
        self._add(rows, owner)
        self.log.append(Publication(owner, len(self.log), tuple(rows), frozenset(replaced)))
        self.published[slice] = self.log[-1]
        self.raised[slice] = owner.generation
        self.removed.pop(slice, None)
        self.gone.discard(slice)

    def _wins(self, row: Row) -> bool:
        if not self.setup.sequence:
            return True
        there = [found for block in self.blocks for found, _ in block.rows if found.id == row.id]
        return all(rank(row) >= rank(found) for found in there)

    def _add(self, rows: Collection[Row], owner: Owner | None) -> None:
        for partition in sorted({self._partition(row) for row in rows}, key=str):
            self.blocks.append(Block(partition, [(row, owner) for row in rows if self._partition(row) == partition]))

    def _partition(self, row: Row) -> str | None:
        return row.day if self.setup.partitioned else WHOLE

    def _mixed(self, slice: int) -> bool:
        """In mode append: whether the slice's rows cannot be told from others any more."""
        if self.setup.mode != "append" or slice not in self.published:
            return False
        owner = self.published[slice].owner
        return any(owner in block.owners and len(block.owners) > 1 for block in self.blocks)

    def _forget_empty(self) -> None:
        self.blocks = [block for block in self.blocks if block.rows]

    # the warehouse

    def load(self, slice: int) -> None:
        wanted = self.published[slice]
        latest = max((load.order for load in self.loads.values()), default=-1)
        if self.loads.get(slice) is wanted:
            return
        there = self.warehouse or []
        rows = list(wanted.rows)
        match self.setup.mode:
            case "overwrite":
                if latest > wanted.order:
                    return
                there = []
            case "append":
                there = [entry for entry in there if entry[1].owner.slice != slice]
            case "replace_partitions":
                between = [one for one in self.log if wanted.order < one.order <= latest]
                rows = [row for row in rows if not any(row.day in one.replaced for one in between)]
                days = {row.day for row in rows}
                there = [entry for entry in there if entry[1].owner.slice != slice and entry[0].day not in days]
            case "merge":
                by_key = {entry[0].id: entry for entry in there}
                rows = [row for row in rows if row.id not in by_key or not self._stays(by_key[row.id], row, wanted)]
                keys = {row.id for row in rows}
                there = [entry for entry in there if entry[0].id not in keys]
        self.warehouse = [*there, *((row, wanted) for row in rows)]
        self.loads[slice] = wanted

    def _leave_behind(self) -> None:
        """In mode merge, keys of earlier generations are in the Delta table alone."""
        repeated = any(publication.owner.generation > 1 for publication in self.published.values())
        self.left_behind |= self.setup.mode == "merge" and repeated

    def _stays(self, entry: tuple[Row, Publication], row: Row, wanted: Publication) -> bool:
        """Whether a row of the warehouse stays where one of the same key comes in."""
        found, publication = entry
        if publication.order > wanted.order:
            return True
        return self.setup.sequence and rank(found) > rank(row)


def rank(row: Row) -> float:
    """Null is the earliest."""
    return float("-inf") if row.rank is None else row.rank


def replace_extra(row: Row) -> Row:
    return row._replace(extra=f"x{row.id}")


def expect(code: int, codes: set[int], what: str) -> None:
    if code not in codes:
        raise Difference(f"{what}: exit code {sorted(codes)} expected, {code} found")
