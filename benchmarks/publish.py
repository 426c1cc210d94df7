"""Publishing staged files: one Delta commit, no data rewritten.

    .venv/bin/python -m benchmarks.publish [--rounds 5]

Prints the median time of `publish` for 30 and for 1,000 staged files, each into a new table and into one that is there.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from batch_processing.delta_lake.publish import publish
from batch_processing.delta_lake.staging import stage
from batch_processing.results import Staged
from batch_processing.spark.session import get_spark_session


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for files in (30, 1_000):
        for there in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                seconds = [once(Path(folder) / str(number), files, there=there) for number in range(options.rounds)]
            middle = 1000 * statistics.median(seconds)
            kind = "into a table that is there" if there else "into a new table"
            print(f"{files:5} files, {kind:28} {middle:7.1f} ms  ({', '.join(f'{1000 * s:.1f}' for s in seconds)})")


def once(table: Path, files: int, *, there: bool) -> float:
    """Seconds of one publish of `files` staged files, one per partition."""
    if there:
        _publish(_staged(table, files, "before"), "before")
    staged = _staged(table, files, "now")
    started = time.perf_counter()
    _publish(staged, "now")
    return time.perf_counter() - started


def _staged(table: Path, files: int, name: str) -> Staged:
    spark = get_spark_session()
    rows = spark.range(files * 10).selectExpr("id", f"cast(id % {files} as int) as part", "id * 0.5 as amount")
    staged = stage(rows.coalesce(1), table=table, partition_by=("part",), folder=f"data/{name}")
    if len(staged.files) != files:
        raise SystemExit(f"{len(staged.files)} files were staged, not {files}")
    return staged


def _publish(staged: Staged, name: str) -> None:
    publish(staged, mode="append", app_id=name, generation=1, metadata={"run_id": name})


if __name__ == "__main__":
    main()
