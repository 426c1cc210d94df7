"""Rules on orders: the compiled scan against other validators, on the same file, in one run.

    make bench-env                                                          # once: the other validators
    .venv/bin/python -m benchmarks.validation [--rows 10000000] [--rounds 3] [--only compiled ...]
    .venv/bin/python -m benchmarks.validation --suites [--rows 10000000]    # 10 rules against 100, on the same columns

Prints a row per contender: the median of the rounds, its ratio to the first, and the peak memory of its process.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.contest import OTHERS, Contender, contest
from benchmarks.rules import make_orders

THREE = (
    Contender("compiled", "compiled", "three"),
    Contender("great_expectations BOOLEAN_ONLY", "gx", "BOOLEAN_ONLY"),
    Contender("great_expectations SUMMARY", "gx", "SUMMARY"),
    Contender("polars by hand, streaming", "by_polars", "streaming", other=True),
    Contender("polars by hand, in memory", "by_polars", "in-memory", other=True),
    Contender("pandera on polars", "by_pandera", other=True),
    Contender("pointblank on polars", "by_pointblank", other=True),
)
SUITES = (Contender("10 rules", "compiled", "10"), Contender("100 rules", "compiled", "100"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--suites", action="store_true", help="10 rules against 100")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="contenders whose name begins so")
    options = parser.parse_args()
    names = tuple(options.only or ("",))
    chosen = [one for one in (SUITES if options.suites else THREE) if one.name.startswith(names)]
    if any(one.other for one in chosen) and not OTHERS.exists():
        raise SystemExit("the other validators are not installed; run make bench-env")
    with tempfile.TemporaryDirectory() as folder:
        path = make_orders(Path(folder), options.rows, wide=options.suites)
        print(f"{options.rows:,} orders, {path.stat().st_size / 1e6:.0f} MB of Parquet")
        contest(chosen, path, rounds=options.rounds)


if __name__ == "__main__":
    main()
