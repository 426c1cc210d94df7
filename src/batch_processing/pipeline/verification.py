"""A run's row ledger against the tables themselves: the quarantine, the Delta commit, the warehouse's ledger row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from batch_processing.control.records import RunRecord
from batch_processing.control.store import ControlStore
from batch_processing.errors import TableError
from batch_processing.pipeline.context import slice_app_id
from batch_processing.pipeline.hops import Hop, equal
from batch_processing.settings.models import PipelineSpec
from batch_processing.settings.values import Values
from batch_processing.storage import local_path


def verify_run(
    record: RunRecord, *, later: Sequence[RunRecord], spec: PipelineSpec | None, values: Values
) -> tuple[Hop, ...]:
    """Counts again what the run left behind; only reads.

    Args:
        record: the run.
        later: other runs of the slice that may have replaced what it left behind; see `later_runs`.
        spec: the pipeline's declaration, which names the warehouse's connection; None where it is not to be found.
        values: connections.

    Raises:
        BatchError: a table or the warehouse cannot be read.
    """
    hops = list(_quarantine(record, later))
    if record.table and record.rows.published is not None:
        hops.append(_published(record, record.rows.published))
    if record.warehouse_table and record.rows.loaded is not None:
        hops.append(_loaded(record, record.rows.loaded, spec=spec, values=values))
    return tuple(hops)


def later_runs(record: RunRecord, control: ControlStore) -> tuple[RunRecord, ...]:
    """Other runs of the slice, of this generation or a higher one, that started later or published it; newest last."""
    key = record.key
    generations = range(key.generation, control.current_generation(key.pipeline, key.slice) + 1)
    runs = [run for number in generations for run in control.runs_of_slice(key.pipeline, key.slice, number)]
    after = [run for run in runs if run.started_at > record.started_at or run.rows.published is not None]
    return tuple(sorted((run for run in after if run.key != key), key=lambda run: run.started_at))


def _quarantine(record: RunRecord, later: Sequence[RunRecord]) -> Iterator[Hop]:
    for verdict in record.quality:
        path = record.quarantine_tables.get(verdict.dataset)
        if not verdict.of_source or (path is None and not verdict.quarantined):
            continue
        name, into = f"quarantine {verdict.dataset}", (("quarantined", verdict.quarantined),)
        runs = _rows_by_run(path, record.key.slice.iso) if path is not None else {}
        found = runs.get(record.key.run_id, 0)
        others = [run for run in runs if run != record.key.run_id]
        others += [run.key.run_id for run in later if any(q.dataset == verdict.dataset for q in run.quality)]
        if others and not found:
            yield Hop(name, into, (("in the table", found),), None, f"replaced since by run {others[-1]}")
        else:
            yield equal(name, into, (("in the table", found),), note=path or "no quarantine table")


def _rows_by_run(path: str, slice_iso: str) -> dict[str, int]:
    """Rows of a slice in a quarantine table, by the run that put them there; empty where there is no table."""
    from collections import Counter

    from batch_processing.delta_lake.log import open_table

    table = open_table(local_path(path))
    if table is None:
        return {}
    rows = table.to_pyarrow_table(columns=["_run_id"], filters=[("_slice", "=", slice_iso)])
    return dict(Counter(rows["_run_id"].to_pylist()))


def _published(record: RunRecord, rows: int) -> Hop:
    from batch_processing.delta_lake.history import committed_rows
    from batch_processing.delta_lake.publish import find_published

    key, into = record.key, (("published", rows),)
    name = "Delta commit"
    try:
        found = find_published(record.table, app_id=slice_app_id(key.pipeline, key.slice), generation=key.generation)
    except TableError as error:
        if "newer generation" not in error.what:
            raise
        return Hop(name, into, (("of this generation", 0),), None, error.what)
    if found is None:
        return equal(name, into, (("in the log", 0),), note=f"{record.table} does not record the slice")
    if not found.metadata:
        return Hop(name, into, (("in the log", 0),), None, "the log is cleaned beyond this commit")
    counted = committed_rows(local_path(record.table), found.version, found.files)
    hop = equal(name, into, (("in its files", counted),), note=f"version {found.version} of {record.table}")
    if hop.holds and found.rows != rows:
        return Hop(name, into, (("by its metadata", found.rows),), False, hop.note)
    return hop


def _loaded(record: RunRecord, rows: int, *, spec: PipelineSpec | None, values: Values) -> Hop:
    from batch_processing.warehouse.ledger import ledger_row

    key, into = record.key, (("loaded", rows),)
    name = "warehouse ledger"
    if spec is None or spec.warehouse is None:
        return Hop(name, into, (("looked at", 0),), None, f"no declaration of {key.pipeline} here names its connection")
    connection = values.connection(spec.warehouse.connection)
    found = ledger_row(connection, table=record.warehouse_table, pipeline=key.pipeline, slice=key.slice)
    if found is None:
        return equal(
            name, into, (("in its ledger", 0),), note=f"{record.warehouse_table} has no ledger row of the slice"
        )
    if found.generation != key.generation:
        newer = found.generation > key.generation
        note = f"generation {found.generation} is loaded"
        return Hop(name, into, (("of this generation", 0),), None if newer else False, note)
    if found.rows == rows and (found.counted > rows or (spec.target.mode == "append" and found.counted != rows)):
        return Hop(name, into, (("in the table", found.counted),), False, record.warehouse_table)
    return equal(name, into, (("in its ledger", found.rows),), note=record.warehouse_table)
