"""Stage and publish against polars' `sink_delta`, the same rows, in one run.

make bench-env                                                       # once: polars
.venv/bin/python -m benchmarks.staging [--rows 10000000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.contest import OTHERS, Contender, contest
from benchmarks.rules import make_orders


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if not OTHERS.exists():
        raise SystemExit("polars is not installed; run make bench-env")
    with tempfile.TemporaryDirectory() as folder:
        path = make_orders(Path(folder), options.rows)
        for column, title in (("day", "30 partitions"), ("", "not partitioned")):
            print(f"{options.rows:,} orders, {title}")
            others = Contender("polars sink_delta", "sink_delta", column, other=True)
            contest((others, Contender("stage and publish", "staged", column)), path, rounds=options.rounds)


if __name__ == "__main__":
    main()
