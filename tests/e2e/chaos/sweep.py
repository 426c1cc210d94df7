"""The full sweep: every named point in every mode, random kills, and what else can happen to a run. Prints a table.

    .venv/bin/python -m tests.e2e.chaos.sweep [--engine sc://host:port] [--random 50] [--modes append,merge] [--write]

With `--engine` the runs go to Apache Spark, at the points that matter there. Ends with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.chaos import at_once
from tests.e2e.chaos.disk import FULL_AT, Full, fill_at, small_disk
from tests.e2e.chaos.harness import REPOSITORY, Chaos
from tests.e2e.chaos.mail import kill_at_mail
from tests.e2e.chaos.points import MAIL_POINTS, MERGE_POINTS, POINTS, POSTGRES_POINTS, UPKEEP_POINTS
from tests.e2e.chaos.server import kill_amid_load, stop_amid_load
from tests.e2e.chaos.trials import Scene, Trials
from tests.e2e.chaos.upkeep import Worn
from tests.e2e.chaos.world import MODES, Mode
from tests.services.smtp import smtp_server

if TYPE_CHECKING:
    from tests.services.postgres import PostgresServer

PAGE = REPOSITORY / "docs" / "fault_tolerance.md"
SPARK_POINTS = (
    "manifest validate: before", "quarantine: before its commit", "quarantine: after its commit",
    "staging: at the first file", "staging: before the footers are read", "staging: done",
    "manifest transform: before its rename", "publish: before the commit", "publish: at the log entry",
    "publish: after the commit", "warehouse: before its commit", "warehouse: after its commit",
)  # fmt: skip
"""Where the engine or what it wrote takes part."""
DAYS = 30
"""Of the backfill."""

Job = tuple[str, str, Callable[[], list[str]]]
"""The table's row it counts for, a name, and the trial."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the sweep; 0 where every trial ended as a clean run."""
    options = _options(arguments)
    folder = Path(tempfile.mkdtemp(prefix="batch-chaos-"))
    started = time.monotonic()
    with ExitStack() as stack:
        chaos = stack.enter_context(Chaos(folder / "runs"))
        trials = Trials(chaos, folder, remote=options.engine)
        jobs = [*_named_jobs(trials, options), *_random_jobs(trials, options)]
        whole = not (options.engine or options.point or options.modes)
        if whole:
            jobs += [*_upkeep_jobs(trials), *_other_jobs(trials, folder)]
        done = _carry_out(jobs, workers=1 if options.engine else 2)
        if whole:
            done += _carry_out(_lone_jobs(trials, stack, folder), workers=1)
        if whole and not options.no_postgres:
            done += _carry_out(_postgres_jobs(trials, stack), workers=1)
        seconds, cpu = time.monotonic() - started, chaos.cpu
    shutil.rmtree(folder, ignore_errors=True)
    table = _table(done, seconds=seconds, cpu=cpu)
    print(table)
    if options.write:
        _write(table, part="spark" if options.engine else "embedded")
    return int(any(found for _, _, found in done))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="", help="sc://host:port of a Spark Connect server on this machine")
    parser.add_argument("--random", type=int, default=50, help="random kills")
    parser.add_argument("--seed", type=int, default=1000, help="the first seed")
    parser.add_argument("--modes", default="", help="comma-separated; default all")
    parser.add_argument("--point", default="", help="only named points with this text")
    parser.add_argument("--no-postgres", action="store_true")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    return parser.parse_args(arguments)


def _modes(options: argparse.Namespace) -> list[Mode]:
    return [mode for mode in MODES if not options.modes or mode in options.modes.split(",")]


def _named_jobs(trials: Trials, options: argparse.Namespace) -> Iterator[Job]:
    chosen = _modes(options)
    scenes = [Scene(mode) for mode in chosen] + [Scene("merge", late=True) for mode in chosen if mode == "merge"]
    if not options.engine:
        scenes += [Scene(mode, empty=True) for mode in chosen[:1]]
    for scene in scenes:
        points = dict.fromkeys(SPARK_POINTS if options.engine else POINTS)
        if scene.late:
            points |= dict.fromkeys(MERGE_POINTS)
        for number, point in enumerate(points):
            if options.point in point:
                # A Spark server writes on for a while after its client's death: there a world cannot be kept.
                both = not options.engine and scene == Scene(scenes[0].mode)
                ways = ("run", "retry") if both else (("run", "retry")[number % 2],)
                yield f"named point, {scene}", point, partial(trials.kill_at, point, scene, ways=ways)


def _random_jobs(trials: Trials, options: argparse.Namespace) -> Iterator[Job]:
    def kill(seed: int) -> list[str]:
        scene = Scene(modes[seed % len(modes)])
        moment, where, found = trials.kill_after(seed, scene)
        print(f"seed {seed}: {scene} killed after {moment:.3f} s, {where}", file=sys.stderr)
        return found

    modes = _modes(options)
    for seed in range(options.seed, options.seed + options.random):
        yield "random moment, any of the modes", f"seed {seed}", partial(kill, seed)


def _upkeep_jobs(trials: Trials) -> Iterator[Job]:
    worn = Worn.make(trials)
    for point in UPKEEP_POINTS:
        yield "named point, upkeep", point, partial(worn.kill_at, point)


def _other_jobs(trials: Trials, folder: Path) -> Iterator[Job]:
    for mode in MODES:
        yield "the same slice twice at once", mode, partial(at_once.start_twice, trials, mode)
    for mode in MODES:
        for point, way in at_once.FROZEN_AT:
            yield "frozen run that wakes late", f"{mode}, {point}", partial(at_once.wake_late, trials, point, way, mode)
    for full in FULL_AT:
        yield "full disk", str(full), partial(_fill, trials, folder, full)


def _lone_jobs(trials: Trials, stack: ExitStack, folder: Path) -> Iterator[Job]:
    """Those that want the machine, or a server, for themselves."""
    writers, commits = at_once.WRITERS, at_once.COMMITS
    mailbox = stack.enter_context(smtp_server())

    def write_together() -> list[str]:
        at_once.write_together(folder / "together", writers=writers, commits=commits)
        return []

    def backfill() -> list[str]:
        at_once.run_in_both_orders(trials.chaos, folder / "backfill", days=DAYS)
        return []

    yield f"{writers} processes with {commits} commits each", "together", write_together
    yield f"{DAYS} days newest first", "backfill", backfill
    for number, point in enumerate(MAIL_POINTS):
        where = folder / f"mail-{number}"
        yield "named point, mail", point, partial(kill_at_mail, trials.chaos, mailbox, where, point)


def _fill(trials: Trials, folder: Path, full: Full) -> list[str]:
    with small_disk(folder / f"disk-{FULL_AT.index(full)}") as disk:
        return fill_at(trials, disk, full)


def _postgres_jobs(trials: Trials, stack: ExitStack) -> Iterator[Job]:
    server = stack.enter_context(_postgres())
    for point in POSTGRES_POINTS:
        yield "PostgreSQL stopped amid a load", point, partial(stop_amid_load, trials, server, point)
        yield "named point, load into PostgreSQL", point, partial(kill_amid_load, trials, server, point)


@contextmanager
def _postgres() -> Iterator[PostgresServer]:
    from tests.services.postgres import PostgresServer, free_port, postgres_bin

    programs = postgres_bin()
    if programs is None:
        raise SystemExit("PostgreSQL's server programs are not installed: make system, or --no-postgres")
    folder = Path(tempfile.mkdtemp(prefix="batch-postgres-"))
    server = PostgresServer(bin=programs, folder=folder, port=free_port())
    try:
        server.create()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _carry_out(jobs: Iterable[Job], *, workers: int) -> list[tuple[str, str, list[str]]]:
    def one(job: Job) -> tuple[str, str, list[str]]:
        row, name, trial = job
        try:
            found = trial()
        except AssertionError as error:
            found = [str(error)]
        for text in found:
            print(f"{row}, {name}: {text}", file=sys.stderr)
        return row, name, found

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, jobs))


def _table(done: Sequence[tuple[str, str, list[str]]], *, seconds: float, cpu: float) -> str:
    tried = Counter(row for row, _, _ in done)
    differed = Counter(row for row, _, found in done if found)
    lines = ["| kills | trials | not as a clean run |", "|---|---:|---:|"]
    lines += [f"| {row} | {count} | {differed[row]} |" for row, count in tried.items()]
    lines += [f"| all | {tried.total()} | {differed.total()} |", ""]
    lines.append(f"{seconds:.0f} s, {cpu:.0f} CPU seconds in the runs.")
    return "\n".join(lines)


def _write(table: str, *, part: str) -> None:
    text = PAGE.read_text()
    start, end = f"<!-- {part}: figures -->\n", f"<!-- {part}: end -->"
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    PAGE.write_text(pattern.sub(lambda _: f"{start}{table}\n{end}", text))


if __name__ == "__main__":
    sys.exit(main())
