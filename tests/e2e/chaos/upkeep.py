"""Upkeep that is killed: readers see the same rows all the while, and its rerun leaves what one clean upkeep leaves."""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from tests.e2e.chaos.state import State, delta_rows, multiset_hash, state_of
from tests.e2e.chaos.trials import Scene, Trials
from tests.e2e.chaos.world import copy_world, day_after, write_day
from tests.services.project import SmallProject

SCENE = Scene("overwrite")
_NEXT_DAY = day_after(2)
_AGE_MS = 200 * 3600 * 1000
"""Beyond the floor of 168 hours."""


@dataclass(frozen=True)
class Worn:
    """A world whose table has small files to compact, files replaced long ago, and old files never published.

    Attributes:
        trials: what runs it.
        world: to copy.
        rows: of its table.
        clean: the state after a clean upkeep and the next run.
        kept: old files that a clean upkeep leaves.
    """

    trials: Trials
    world: SmallProject
    rows: str
    clean: State
    kept: frozenset[str]

    @classmethod
    def make(cls, trials: Trials) -> Worn:
        world = trials.copy(SCENE)
        trials.chaos.pass_(world, day=SCENE.day)
        _wear(world.table)
        write_day(world, _NEXT_DAY)
        clean = copy_world(world, world.root.with_name(f"{world.root.name}-clean"))
        trials.chaos.pass_(clean, way="maintain")
        kept = frozenset(_old_files(clean.table))
        trials.chaos.pass_(clean, day=_NEXT_DAY)
        return cls(trials, world, multiset_hash(delta_rows(world.table)), _state(clean), kept)

    def kill_at(self, point: str) -> list[str]:
        """Kills the upkeep at a point; gives what differs then, after its rerun, and after the next run."""
        world = copy_world(self.world, self.world.root.with_name(f"upkeep-{uuid.uuid4().hex[:8]}"))
        self.trials.chaos.kill_at(world, point, way="maintain")
        found = [] if multiset_hash(delta_rows(world.table)) == self.rows else ["rows differ after the kill"]
        self.trials.chaos.pass_(world, way="maintain")
        found += [] if multiset_hash(delta_rows(world.table)) == self.rows else ["rows differ after the rerun"]
        found += [f"left over: {name}" for name in sorted(_old_files(world.table) - self.kept)]
        self.trials.chaos.pass_(world, day=_NEXT_DAY)
        found += _state(world).differences(self.clean)
        shutil.rmtree(world.root, ignore_errors=True)
        return found


def _state(world: SmallProject) -> State:
    """The state without table versions: a killed vacuum has told of its start, so the log has an entry more."""
    found = state_of(world)
    return replace(found, loads=tuple((*load[:4], *load[5:]) for load in found.loads))


def _wear(table: Path) -> None:
    _age_removed(table)
    for number in (1, 2):
        more = DeltaTable(str(table)).to_pyarrow_table().slice(0, number)
        write_deltalake(str(table), pa.table(more), mode="append")
    old = time.time() - _AGE_MS / 1000
    for name in ("one", "two"):
        orphan = table / "data" / name / "part-0.parquet"
        orphan.parent.mkdir(parents=True)
        orphan.write_bytes(b"staged by a run that died")
        os.utime(orphan, (old, old))


def _age_removed(table: Path) -> None:
    """Dates back what the log says of files that were replaced, and these files themselves."""
    for entry in (table / "_delta_log").glob("*.json"):
        actions = [json.loads(line) for line in entry.read_text().splitlines()]
        for action in actions:
            if "remove" in action:
                action["remove"]["deletionTimestamp"] -= _AGE_MS
                path = table / action["remove"]["path"]
                os.utime(path, (path.stat().st_mtime - _AGE_MS / 1000,) * 2)
        entry.write_text("\n".join(map(json.dumps, actions)) + "\n")


def _old_files(table: Path) -> set[str]:
    """Data files beyond the floor that no reader needs."""
    live = {Path(uri).resolve() for uri in DeltaTable(str(table)).file_uris()}
    limit = time.time() - 168 * 3600
    files = [path for path in table.rglob("*.parquet") if "_delta_log" not in path.parts]
    return {str(path.relative_to(table)) for path in files if path not in live and path.stat().st_mtime < limit}
