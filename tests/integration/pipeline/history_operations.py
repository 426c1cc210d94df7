"""Operations of a history, drawn at random."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from tests.integration.pipeline.history_model import Mode, Row, Setup

Operation = tuple[Any, ...]
SLICES = (1, 2, 3, 4)
DAYS = ("2026-11-01", "2026-11-02", "2026-11-03", None)
NAMES = {1: "Ada", 2: "Bo", 3: "Cy"}
FAULTS = [(fault, command) for fault in ("rows", "audit") for command in ("run", "reprocess")]
WEIGHTS = {
    "run": 4,
    "reprocess": 6,
    "publish": 1,
    "late_loads": 3,
    "fault": 2,
    "input": 1,
    "foreign_rows": 2,
    "delete": 3,
    "compact": 2,
    "maintain": 1,
    "vacuum": 1,
    "lose_store": 1,
    "drop_warehouse": 2,
    "column": 1,
}


def random_setup(chance: random.Random, mode: Mode) -> Setup:
    partitioned = mode == "replace_partitions" or chance.random() < 0.5
    return Setup(mode, partitioned, mode == "merge" and chance.random() < 0.5, chance.random() < 0.5)


def random_history(chance: random.Random) -> list[Operation]:
    """Inputs for every slice, two that are run, then 6 to 12 operations."""
    draw = _Draw(chance)
    operations: list[Operation] = [("input", slice, draw.rows()) for slice in SLICES]
    operations += [("run", slice) for slice in chance.sample(SLICES[:3], 2)]
    for _ in range(chance.randint(6, 12)):
        operations += draw.operation()
    return operations


@dataclass
class _Draw:
    chance: random.Random
    amount: int = 0

    def operation(self) -> list[Operation]:
        kind = self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        slice = self.chance.choice(SLICES[: self.chance.choice((2, 3, 4))])
        maybe = self.chance.random()
        match kind:
            case "input":
                return [(kind, slice, self.rows())]
            case "reprocess":
                return [("input", slice, self.rows()), (kind, slice)] if maybe < 0.8 else [(kind, slice)]
            case "fault":
                return [(kind, slice, *self.chance.choice(FAULTS)), *([("run", slice)] if maybe < 0.3 else [])]
            case "late_loads":
                slices = self.chance.sample(SLICES, 2)
                return [("publish", slice) for slice in slices] + [("load", slice) for slice in reversed(slices)]
            case "foreign_rows":
                return [(kind, self.rows(at_most=3))]
            case "delete":
                delete = (kind, slice, self.chance.choice((1, 2, 100)))
                return [delete, *([(self.chance.choice(("run", "run", "reprocess")), slice)] if maybe < 0.8 else [])]
            case "maintain":
                return [(kind, maybe < 0.5)]
            case "drop_warehouse":
                order = self.chance.sample(SLICES, 4)
                return [(kind,), *(("again", slice) for slice in order if self.chance.random() < 0.8)]
            case "run" | "publish" | "column":
                return [(kind, slice)]
            case _:
                return [(kind,)]

    def rows(self, at_most: int = 11) -> tuple[Row, ...]:
        keys = self.chance.sample(range(1, 15), self.chance.randint(1, at_most))
        days = self.chance.sample(DAYS, self.chance.randint(1, 3))
        return tuple(self._row(key, self.chance.choice(days)) for key in keys)

    def _row(self, key: int, day: str | None) -> Row:
        self.amount += 1
        customer = self.chance.choice(tuple(NAMES))
        return Row(key, customer, NAMES[customer], self.amount + 0.5, day, self.chance.choice((None, 1, 2, 3)))
