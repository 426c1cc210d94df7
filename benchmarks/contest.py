"""Contenders side by side: each in a process of its own, one after the other, on the same file.

    python -m benchmarks.contest MODULE OPTION PATH ROUNDS      # what runs in each process; prints one line of JSON

What is timed is one call; imports and the start of a session come before the clock, and the first call is not counted.
CPU seconds are per call, on all cores; the peak is of the whole process. Both include the embedded engine.
"""

from __future__ import annotations

import importlib
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OTHERS = ROOT / ".venv-bench" / "bin" / "python"


@dataclass(frozen=True)
class Contender:
    """A module of `benchmarks/contenders`, an option for it, and whether it needs the environment of the others."""

    name: str
    module: str
    option: str = ""
    other: bool = False


def contest(contenders: Sequence[Contender], path: Path, *, rounds: int) -> None:
    """Runs each contender and prints a row for it; ratios are to the first."""
    print(f"{'':34}{'median':>10}{'ratio':>8}{'CPU':>10}{'peak':>10}   rounds")
    first = 0.0
    for contender in contenders:
        found = _run(contender, path, rounds)
        middle = statistics.median(found["seconds"])
        first = first or middle
        each = ", ".join(f"{one:.2f}" for one in found["seconds"])
        figures = f"{middle:8.2f} s{middle / first:8.2f}{found['cpu']:8.2f} s{found['peak_mb']:7.0f} MB"
        print(f"{contender.name:34}{figures}   {each}", flush=True)


def _run(contender: Contender, path: Path, rounds: int) -> dict[str, list[float] | float]:
    python = str(OTHERS if contender.other else sys.executable)
    command = [python, "-m", "benchmarks.contest", contender.module, contender.option, str(path), str(rounds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{contender.name} failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    found: dict[str, list[float] | float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    module, option, path, rounds = sys.argv[1:]
    call = importlib.import_module(f"benchmarks.contenders.{module}").prepare(Path(path), option)
    call()
    seconds, before = [], time.process_time()
    for _ in range(int(rounds)):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    cpu = (time.process_time() - before) / int(rounds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak}))


if __name__ == "__main__":
    main()
