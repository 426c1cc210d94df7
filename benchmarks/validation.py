"""Three rules on orders: the compiled scan against Great Expectations on the same engine and the same file, in one run.

    .venv/bin/python benchmarks/validation.py [--rows 10000000] [--rounds 3]

Prints a row per contender: seconds per round, the median, and its ratio to the compiled scan. The session is started,
the file made and Great Expectations imported before the clock; the import's cost is printed apart.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
from pyspark.sql import DataFrame

from batch_processing.quality import parse_suite, validate
from batch_processing.spark.session import get_spark_session

RULES = [
    {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}},
    {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}},
    {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "amount", "min_value": 0, "max_value": 1000000},
    },
]


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        path = make_orders(Path(folder), options.rows)
        df = get_spark_session().read.parquet(str(path))
        df.count()
        print(f"{options.rows:,} orders, {path.stat().st_size / 1e6:.0f} MB of Parquet, {options.rounds} rounds")
        ours = measure("compiled", lambda: compiled(df), options.rounds)
        started = time.perf_counter()
        import great_expectations  # noqa: F401 - its import is what is timed

        print(f"{'import of great_expectations':32} {time.perf_counter() - started:8.2f} s")
        for form in ("BOOLEAN_ONLY", "SUMMARY"):
            measure(f"great_expectations {form}", lambda form=form: gx(df, form), options.rounds, against=ours)


def make_orders(folder: Path, rows: int) -> Path:
    """Orders with unique ids and amounts in range: every rule holds, so each contender does its least work."""
    path = folder / "orders.parquet"
    with duckdb.connect() as memory:
        memory.execute("SET enable_progress_bar = false")
        memory.execute(
            "COPY (SELECT i AS id, hash(i) % 100000 AS customer_id, (hash(i * 7) % 100000000) / 100.0 AS amount, "
            "DATE '2026-11-01' + CAST(i % 30 AS INTEGER) AS day, 'note ' || (i % 1000) AS note "
            f"FROM range({rows}) t(i)) TO '{path}' (FORMAT parquet)"
        )
    return path


def compiled(df: DataFrame) -> None:
    found = validate(df, suite=parse_suite({"name": "orders", "expectations": RULES, "meta": {}}), dataset="orders")
    if not found:
        raise SystemExit(f"the verdict is wrong: {found.result.message}")


def gx(df: DataFrame, form: str) -> None:
    import great_expectations as ge

    context = ge.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    batch = (
        context.data_sources.add_spark("spark")
        .add_dataframe_asset("orders")
        .add_batch_definition_whole_dataframe("all")
    ).get_batch({"dataframe": df})
    suite = ge.ExpectationSuite(
        name="orders", expectations=[{"type": rule["type"], "kwargs": rule["kwargs"]} for rule in RULES]
    )
    if not batch.validate(suite, result_format=form).success:
        raise SystemExit("the verdict of Great Expectations is wrong")


def measure(name: str, call: Callable[[], None], rounds: int, *, against: float | None = None) -> float:
    call()  # warm
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    middle = statistics.median(seconds)
    ratio = f"  {middle / against:6.1f} x" if against else ""
    print(f"{name:32} {middle:8.2f} s  ({', '.join(f'{one:.2f}' for one in seconds)}){ratio}")
    return middle


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
