"""One row lost, doubled or swapped at any hop of a real run is an ERROR that names the hop and the numbers.

The harm is done to the real files and tables: as they are written, between two steps, or after the run.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from batch_processing.cli.main import run_cli
from batch_processing.delta_lake import staging
from batch_processing.pipeline import landing_steps, quality_steps, table_steps
from batch_processing.results import Landed, Outcome, RunResult
from batch_processing.warehouse.duckdb import DuckDbSession
from tests.services.project import GOOD_ROWS, SmallProject

BAD = [",1,5.0,2026-11-01", "201,1,-3.0,2026-11-01", "oops,1,2.0,2026-11-01", "202,nobody,2.0,2026-11-01"]
READ, LANDED, REJECTED, QUARANTINED, PUBLISHED = 104, 102, 2, 2, 100
TRANSFORM = """
def transform(spark, inputs):
    return inputs["orders"]
"""
CHANGED = {"lose": -1, "double": 1, "swap": 0}

Harm = Callable[[pa.Table], pa.Table]
HARMS: dict[str, Harm] = {
    "lose": lambda rows: rows.slice(1),
    "double": lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]),
    "swap": lambda rows: pa.concat_tables([rows.slice(1, 1), rows.slice(1)]),
}


def harm_file(path: str | Path, mutation: str) -> None:
    """Rewrites a Parquet file; a swap puts a row in place of another."""
    with pq.ParquetFile(path) as source:
        rows = source.read()
    pq.write_table(HARMS[mutation](rows), path)


@pytest.fixture
def keeping(project: SmallProject) -> SmallProject:
    """A run with rejects, quarantined rows, and a transform that keeps each row of orders."""
    project.write_transform(TRANSFORM)
    project.declaration["transform"] = {"function": f"{project.module}:transform", "preserves_rows": True}
    project.write_orders([*GOOD_ROWS, *BAD])
    return project


def landed(project: SmallProject) -> Path:
    return next((project.root / "home" / "runs").rglob("landed/orders/*/part-*.parquet"))


def rejects(project: SmallProject) -> Path:
    return next((project.root / "home" / "runs").rglob("landed/orders/*/rejects-*.parquet"))


def quarantined(project: SmallProject) -> Path:
    return next((project.root / "home" / "quarantine").rglob("_slice=*/**/*.parquet"))


def output(project: SmallProject) -> Path:
    return next(project.table.rglob("day=*/**/*.parquet"))


def as_extracted(kind: str) -> Callable[..., None]:
    """Harms what extraction wrote, before it is looked at."""

    def install(project: SmallProject, monkeypatch: pytest.MonkeyPatch, mutation: str) -> None:
        real = landing_steps._extract

        def harmed(ctx: Any, name: str, *rest: Any) -> Landed:
            found = real(ctx, name, *rest)
            if name == "orders":
                harm_file((found.files if kind == "landed" else found.reject_files)[0], mutation)
            return found

        monkeypatch.setattr(landing_steps, "_extract", harmed)

    return install


def as_staged(folder: str) -> Callable[..., None]:
    """Harms what the engine wrote into a table's folder, before it is looked at."""

    def install(project: SmallProject, monkeypatch: pytest.MonkeyPatch, mutation: str) -> None:
        real = staging._collect

        def harmed(place: Path, *rest: Any, **named: Any) -> Any:
            if folder in place.parts:
                harm_file(next(place.rglob("*.parquet")), mutation)
            return real(place, *rest, **named)

        monkeypatch.setattr(staging, "_collect", harmed)

    return install


def before(module: Any, step: str, file: Callable[[SmallProject], Path]) -> Callable[..., None]:
    """Harms a file between two steps."""

    def install(project: SmallProject, monkeypatch: pytest.MonkeyPatch, mutation: str) -> None:
        real = getattr(module, step)

        def harmed(*arguments: Any) -> Any:
            harm_file(file(project), mutation)
            return real(*arguments)

        monkeypatch.setattr(module, step, harmed)

    return install


def is_caught(result: RunResult, *, hop: str, rows: int, mutation: str) -> None:
    assert result.outcome is Outcome.ERROR
    assert re.search(f"row ledger breaks at {hop}:", result.error), result.error
    for number in {rows, rows + CHANGED[mutation]}:
        assert re.search(rf"(?<!\S){number:,}(?![\w,])", result.error), result.error


@pytest.mark.parametrize("mutation", list(HARMS))
@pytest.mark.parametrize(
    ("harm", "hop", "rows", "all_rows"),
    [
        pytest.param(as_extracted("landed"), "extract orders", LANDED, READ, id="landed as written"),
        pytest.param(as_extracted("rejects"), "extract orders", REJECTED, READ, id="rejects as written"),
        pytest.param(before(quality_steps, "validate", landed), "extract orders", LANDED, LANDED, id="landed"),
        pytest.param(before(quality_steps, "validate", rejects), "extract orders", REJECTED, REJECTED, id="rejects"),
        pytest.param(
            as_staged("quarantine"), "(quarantine|validate) orders", QUARANTINED, LANDED, id="quarantine as written"
        ),
        pytest.param(
            before(table_steps, "transform", quarantined), "validate orders", QUARANTINED, QUARANTINED, id="quarantine"
        ),
        pytest.param(as_staged("lake"), "transform", PUBLISHED, PUBLISHED, id="staged as written"),
        pytest.param(
            before(quality_steps, "validate_output", output), "validate_output", PUBLISHED, PUBLISHED, id="staged"
        ),
        pytest.param(before(table_steps, "publish", output), "publish", PUBLISHED, PUBLISHED, id="judged"),
    ],
)
def test_before_publication_a_row_lost_doubled_or_swapped_publishes_nothing(
    keeping: SmallProject,
    monkeypatch: pytest.MonkeyPatch,
    harm: Callable[[SmallProject, pytest.MonkeyPatch, str], None],
    hop: str,
    rows: int,
    all_rows: int,
    mutation: str,
) -> None:
    harm(keeping, monkeypatch, mutation)
    result = keeping.run()
    is_caught(result, hop=hop, rows=all_rows if mutation == "swap" else rows, mutation=mutation)
    assert result.version is None
    assert not (keeping.table / "_delta_log").exists()
    assert not keeping.warehouse.exists()


@pytest.mark.parametrize("mutation", list(HARMS))
def test_a_published_file_that_changed_is_not_loaded(
    keeping: SmallProject, monkeypatch: pytest.MonkeyPatch, mutation: str
) -> None:
    before(table_steps, "load_warehouse", output)(keeping, monkeypatch, mutation)
    result = keeping.run()
    is_caught(result, hop="load_warehouse", rows=PUBLISHED, mutation=mutation)
    assert (result.version, tables(keeping)) == (0, [])


WAREHOUSE_HARMS = {
    "lose": "DELETE FROM orders WHERE id = 7",
    "double": "INSERT INTO orders SELECT * FROM orders WHERE id = 7",
    "swap": "UPDATE orders SET amount = 8.5 WHERE id = 7",
}


@pytest.mark.parametrize("mutation", ["lose", "double"])
def test_rows_that_the_warehouse_drops_or_doubles_as_they_arrive_are_not_kept(
    keeping: SmallProject, monkeypatch: pytest.MonkeyPatch, mutation: str
) -> None:
    real = DuckDbSession.copy

    def harmed(session: DuckDbSession, *rest: Any) -> None:
        real(session, *rest)
        session.execute(WAREHOUSE_HARMS[mutation])

    monkeypatch.setattr(DuckDbSession, "copy", harmed)
    result = keeping.run()
    is_caught(result, hop="load_warehouse", rows=PUBLISHED, mutation=mutation)
    assert tables(keeping) == []


def tables(project: SmallProject) -> list[tuple[Any, ...]]:
    if not project.warehouse.exists():
        return []
    with duckdb.connect(str(project.warehouse), read_only=True) as warehouse:
        return warehouse.execute("SELECT table_name FROM duckdb_tables()").fetchall()


@contextmanager
def harmed_file(path: Path, mutation: str) -> Iterator[None]:
    kept = path.with_suffix(".kept")
    shutil.copy2(path, kept)
    try:
        harm_file(path, mutation)
        yield
    finally:
        kept.replace(path)


@contextmanager
def harmed_warehouse(path: Path, mutation: str) -> Iterator[None]:
    kept = path.with_suffix(".kept")
    shutil.copy2(path, kept)
    try:
        with duckdb.connect(str(path)) as warehouse:
            warehouse.execute(WAREHOUSE_HARMS[mutation])
        yield
    finally:
        kept.replace(path)


def test_after_the_run_the_ledger_command_names_the_hop(
    keeping: SmallProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = keeping.run()
    assert (result.outcome, result.rows.loaded) == (Outcome.PASS_WITH_QUARANTINE, PUBLISHED)
    for name, value in keeping.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(keeping.root)

    def broken() -> tuple[int, list[str]]:
        code = run_cli(["ledger", result.run_id, "--json"])
        found = json.loads(capsys.readouterr().out)
        return code, [hop["hop"] for hop in (*found["hops"], *found["verified"]) if hop["holds"] is False]

    assert broken() == (0, [])
    seen = {}
    for mutation in HARMS:
        for file in (landed, rejects, quarantined, output):
            with harmed_file(file(keeping), mutation):
                seen[file.__name__, mutation] = broken()
        with harmed_warehouse(keeping.warehouse, mutation):
            seen["warehouse", mutation] = broken()
    hops = {
        "landed": "landed orders",
        "rejects": "rejected orders",
        "quarantined": "quarantine orders",
        "output": "Delta commit",
        "warehouse": "warehouse rows",
    }
    assert seen == {(place, mutation): (3, [hop]) for place, hop in hops.items() for mutation in HARMS}
    assert broken() == (0, []), "looking changes nothing"
    assert DeltaTable(str(keeping.table)).version() == 0


def test_a_run_that_an_earlier_release_began_goes_on(keeping: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its manifests have neither digests nor identities: rows are counted, as they were then."""
    for module, step in (
        (quality_steps, "validate"),
        (table_steps, "transform"),
        (quality_steps, "validate_output"),
        (table_steps, "publish"),
        (table_steps, "load_warehouse"),
    ):
        monkeypatch.setattr(module, step, after_forgetting(keeping, getattr(module, step)))
    result = keeping.run()
    assert (result.outcome, result.rows.loaded) == (Outcome.PASS_WITH_QUARANTINE, PUBLISHED), result.error


def after_forgetting(project: SmallProject, step: Callable[..., Any]) -> Callable[..., Any]:
    """The step, given manifests as the release before digests wrote them."""

    def run(*arguments: Any) -> Any:
        files = list((project.root / "home" / "runs").rglob("manifests/*.json"))
        assert files
        for file in files:
            file.write_text(json.dumps(forgetting(json.loads(file.read_text()))))
        return step(*arguments)

    return run


def forgetting(value: Any) -> Any:
    if isinstance(value, list):
        return [forgetting(item) for item in value]
    if not isinstance(value, dict):
        return value
    staged_file = "stats" in value
    new = {"digests", "identity", *(("sha256",) if staged_file else ())}
    return {name: forgetting(item) for name, item in value.items() if name not in new}
