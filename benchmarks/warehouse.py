"""Loading published rows into PostgreSQL, against a bare COPY of the same files, in one run.

    .venv/bin/python -m benchmarks.warehouse [--rows 10000000] [--rounds 3]

The bare COPY goes through the same driver, in one transaction, and checks nothing: once with the columns of the files,
once with the two that a load adds (`_slice`, `_generation`). Both are measured into a table that they make, and then of
the next slice into the same table, vacuumed before as the server does by itself within minutes: the bare COPY also into
one with the index that a load makes. Needs PostgreSQL's server programs (`make system`); the server is a throw-away one
in a temporary folder.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import adbc_driver_postgresql.dbapi
import pyarrow as pa
import pyarrow.dataset as ds
from tests.services.postgres import PostgresServer, free_port, postgres_bin

from batch_processing.delta_lake.publish import publish
from batch_processing.delta_lake.staging import stage
from batch_processing.results import LaterWrites, Published, Slice, Staged
from batch_processing.settings.models import TargetSpec
from batch_processing.spark.session import get_spark_session
from batch_processing.warehouse.load import load
from benchmarks.rules import make_orders

SLICE = Slice(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))
NEXT = Slice(datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    programs = postgres_bin()
    if programs is None:
        raise SystemExit("PostgreSQL's server programs are not installed; run make system")
    folder = Path(tempfile.mkdtemp(prefix="batch-warehouse-"))
    server = PostgresServer(bin=programs, folder=folder / "server", port=free_port())
    folder.chmod(0o755)
    server.folder.mkdir()
    try:
        server.create()
        staged, published = _publish(folder, options.rows)
        print(f"{options.rows:,} orders, {sum(file.size for file in staged.files) / 1e6:.0f} MB of Parquet")
        contenders: dict[str, Callable[[], None]] = {
            "bare COPY": lambda: _copy(server, published, "bare", own=False),
            "bare COPY, two more columns": lambda: _copy(server, published, "same", own=True),
            "load": lambda: _load(server, staged, published, "loaded", SLICE),
            "next: bare COPY": lambda: _copy(server, published, "bare", own=False),
            "next: two more columns": lambda: _copy(server, published, "same", own=True),
            "next: with the index too": lambda: _copy(server, published, "indexed", own=True),
            "next: load": lambda: _load(server, staged, published, "loaded", NEXT),
        }
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(options.rounds):  # by turns, so that a slow minute is everybody's
            for name, call in contenders.items():
                if name == "next: bare COPY":
                    _make_ready(server)
                seconds[name].append(_timed(call))
            server.execute("DROP TABLE bare, same, indexed, loaded")
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    for name, middle in medians.items():
        like = medians["next: bare COPY" if name.startswith("next") else "bare COPY"]
        each = ", ".join(f"{one:.2f}" for one in seconds[name])
        print(f"{name:28}{middle:8.2f} s  speed {like / middle:5.2f}   {each}")
    print(
        f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB, the embedded engine included"
    )


def _publish(folder: Path, rows: int) -> tuple[Staged, Published]:
    spark = get_spark_session()
    df = spark.read.parquet(str(make_orders(folder, rows)))
    staged = stage(df, table=folder / "table", partition_by=(), folder=f"data/{uuid.uuid4().hex}")
    return staged, publish(staged, mode="append", app_id="orders", generation=1, metadata={"run_id": "benchmark"})


def _copy(server: PostgresServer, published: Published, table: str, *, own: bool) -> None:
    read = ds.dataset(list(published.files), format="parquet").scanner(batch_size=65_536).to_reader()
    schema = pa.schema([*read.schema, ("_slice", pa.timestamp("us", "UTC")), ("_generation", pa.int32())])
    moment = pa.scalar(SLICE.start, schema.field("_slice").type)

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in read:
            more = [pa.repeat(moment, batch.num_rows), pa.repeat(pa.scalar(1, pa.int32()), batch.num_rows)]
            yield pa.RecordBatch.from_arrays([*batch.columns, *more], schema=schema)

    rows = pa.RecordBatchReader.from_batches(schema, batches()) if own else read
    with closing(adbc_driver_postgresql.dbapi.connect(server.uri)) as db, db.cursor() as cursor:
        cursor.adbc_ingest(table, rows, mode="create_append")
        db.commit()


def _make_ready(server: PostgresServer) -> None:
    """For the next slice: a table that has the index, and what autovacuum would have done."""
    server.execute("CREATE TABLE indexed AS SELECT * FROM same")
    server.execute('CREATE INDEX ON indexed USING brin ("_slice")')
    for table in ("bare", "same", "indexed", "loaded"):
        server.execute(f"VACUUM (ANALYZE) {table}")


def _load(server: PostgresServer, staged: Staged, published: Published, table: str, slice: Slice) -> None:
    load(
        published,
        connection=server.connection("warehouse"),
        table=table,
        target=TargetSpec(table="orders", mode="append"),
        schema_json=staged.schema_json,
        pipeline="benchmark",
        slice=slice,
        generation=1,
        later=lambda _: LaterWrites(),
    )


def _timed(call: Callable[[], None]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
