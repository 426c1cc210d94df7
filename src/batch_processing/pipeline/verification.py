"""A run's row ledger against what it left behind: landed files, quarantine, Delta commit, the warehouse's rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from batch_processing.control.records import RunRecord
from batch_processing.control.store import ControlStore
from batch_processing.digests import contents_of, file_digests
from batch_processing.errors import TableError
from batch_processing.pipeline.context import slice_app_id
from batch_processing.pipeline.hops import Hop, equal
from batch_processing.pipeline.manifests import (
    ExtractManifest,
    Manifests,
    SourceVerdict,
    ValidateManifest,
    WaitManifest,
)
from batch_processing.results import Outcome, Published, QualityResult
from batch_processing.settings.models import PipelineSpec
from batch_processing.settings.values import Connection, Values
from batch_processing.storage import local_path

if TYPE_CHECKING:
    from batch_processing.warehouse.ledger import LedgerRow

_SAME = "the contents agree"


def verify_run(
    record: RunRecord, *, later: Sequence[RunRecord], spec: PipelineSpec | None, values: Values, manifests: Manifests
) -> tuple[Hop, ...]:
    """Counts again what the run left behind, and compares its contents; only reads.

    Args:
        record: the run.
        later: other runs of the slice that may have replaced what it left behind; see `later_runs`.
        spec: the pipeline's declaration, which names the warehouse's connection; None where it is not to be found.
        values: connections.
        manifests: the run's; what was removed from its work folder is not looked at.

    Raises:
        BatchError: a table or the warehouse cannot be read.
    """
    hops = [*_landed(record, manifests), *_quarantine(record, later, manifests)]
    if record.table and record.rows.published is not None:
        hop, published = _published(record, record.rows.published)
        hops.append(hop)
        if published is not None:
            hops += _in_the_table(record, published)
        if record.warehouse_table and record.rows.loaded is not None:
            hops += _loaded(record, record.rows.loaded, published, spec=spec, values=values)
    else:
        hops += _of_the_publisher(later)
    return tuple(hops)


def _of_the_publisher(later: Sequence[RunRecord]) -> Iterator[Hop]:
    """What became of the rows that another run of the slice had published: a rerun that failed does not hide it."""
    for run in reversed(later):
        if run.table and run.rows.published is not None:
            _, published = _published(run, run.rows.published)
            if published is not None:
                yield from _in_the_table(run, published)
            return


def later_runs(record: RunRecord, control: ControlStore) -> tuple[RunRecord, ...]:
    """Other runs of the slice, of this generation or a higher one, that started later or published it; newest last."""
    key = record.key
    generations = range(key.generation, control.current_generation(key.pipeline, key.slice) + 1)
    runs = [run for number in generations for run in control.runs_of_slice(key.pipeline, key.slice, number)]
    after = [run for run in runs if run.started_at > record.started_at or run.version is not None]
    return tuple(sorted((run for run in after if run.key != key), key=lambda run: run.started_at))


def _landed(record: RunRecord, manifests: Manifests) -> Iterator[Hop]:
    """The landed files and rejects, as far as the work folder still has them."""
    for source in record.sources:
        step = f"extract_{source.source}"
        waited = manifests.read(f"wait_for_{source.source}", WaitManifest)
        numbers = range(len(waited.parts) if waited is not None else 1)
        parts = [part for n in numbers if (part := manifests.read(step, ExtractManifest, part=n)) is not None]
        for what, rows, files in (
            ("landed", source.landed, [path for part in parts for path in part.landed.files]),
            ("rejected", source.rejected, [path for part in parts for path in part.landed.reject_files]),
        ):
            wanted = set(files)
            digests = {path: digest for part in parts for path, digest in part.digests.items() if path in wanted}
            if files and all(Path(path).is_file() for path in files):
                yield _in_files(f"{what} {source.source}", ((what, rows),), files, digests)


def _in_files(name: str, into: tuple[tuple[str, int], ...], files: Sequence[str], digests: Mapping[str, str]) -> Hop:
    """Files against the rows they should have, and the digests they had when they were written."""
    changed, note = _changed(digests)
    counted = equal(name, into, (("in the files", _rows(files)),), note=note)
    return Hop(name, into, counted.out, False, note) if changed else counted


def _changed(digests: Mapping[str, str]) -> tuple[int, str]:
    """How many of the files that are there are not as they were written, in words too; "" where nobody can say."""
    known = {path: digest for path, digest in digests.items() if digest and Path(path).is_file()}
    found = file_digests(known)
    changed = [path for path, digest in known.items() if found[path] != digest]
    if changed:
        return len(changed), f"{len(changed):,} of {len(known):,} files changed after their writing: {changed[0]}"
    return 0, _SAME if known and len(known) == len(digests) else ""


def _rows(files: Sequence[str]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return sum(pq.read_metadata(path).num_rows for path in files)
    except (OSError, pa.ArrowException) as error:
        raise TableError(
            "a file that the run wrote cannot be read",
            where=files[0],
            found=type(error).__name__,
            fix="restore it, or reprocess the slice",
        ) from error


def _quarantine(record: RunRecord, later: Sequence[RunRecord], manifests: Manifests) -> Iterator[Hop]:
    written = manifests.read("validate", ValidateManifest)
    for verdict in record.quality:
        path = record.quarantine_tables.get(verdict.dataset)
        if not verdict.of_source or (path is None and not verdict.quarantined):
            continue
        name, into = f"quarantine {verdict.dataset}", (("quarantined", verdict.quarantined),)
        if verdict.outcome is Outcome.ERROR:
            yield Hop(name, into, (("looked at", 0),), None, "a check could not run: no verdict")
            continue
        source = written.sources.get(verdict.dataset) if written is not None else None
        digests = _digests(source.quarantine) if source is not None and source.quarantine is not None else {}
        changed, words = _changed(digests)
        if changed:
            kept = [path for path in digests if Path(path).is_file()]
            yield Hop(name, into, (("in the files", _rows(kept)),), False, words)
            continue
        runs = _rows_by_run(path, record.key.slice.iso) if path is not None else {}
        found = runs.get(record.key.run_id, 0)
        if _settled_before(record, verdict, source, found=found):
            yield Hop(name, into, (("in the table", found),), None, "the published run's quarantine stays")
            continue
        others = [run for run in runs if run != record.key.run_id]
        others += [run.key.run_id for run in later if any(q.dataset == verdict.dataset for q in run.quality)]
        if others and not found:
            yield Hop(name, into, (("in the table", found),), None, f"replaced since by run {others[-1]}")
            continue
        note = "; ".join(filter(None, (words, path))) or "no quarantine table"
        hop = equal(name, into, (("in the table", found),), note=note)
        # A closed gate quarantines before it fails; whatever else ended validate may have come before that.
        ended = record.rows.valid is not None or record.outcome is Outcome.FAIL
        yield hop if hop.holds or ended else Hop(name, into, hop.out, None, "validate did not come to its end")


def _settled_before(record: RunRecord, verdict: QualityResult, source: SourceVerdict | None, *, found: int) -> bool:
    """True where the slice was published before this try of the run, which then leaves the quarantine alone."""
    if source is not None and source.quarantine is not None:
        return source.quarantine.version < 0
    return record.version is not None and not verdict.quarantined and found > 0


def _digests(published: Published) -> dict[str, str]:
    known = len(published.files) == len(published.digests)
    return dict(zip(published.files, published.digests, strict=True)) if known else {}


def _rows_by_run(path: str, slice_iso: str) -> dict[str, int]:
    """Rows of a slice in a quarantine table, by the run that put them there; empty where there is no table."""
    from batch_processing.delta_lake.log import open_table

    table = open_table(local_path(path))
    if table is None:
        return {}
    rows = table.to_pyarrow_table(columns=["_run_id"], filters=[("_slice", "=", slice_iso)])
    return dict(Counter(rows["_run_id"].to_pylist()))


def _published(record: RunRecord, rows: int) -> tuple[Hop, Published | None]:
    """The commit against its files; gives what is published where files and commit agree."""
    from batch_processing.delta_lake.history import committed_rows
    from batch_processing.delta_lake.publish import find_published

    key, into = record.key, (("published", rows),)
    name = "Delta commit"
    try:
        found = find_published(record.table, app_id=slice_app_id(key.pipeline, key.slice), generation=key.generation)
    except TableError as error:
        if "newer generation" not in error.what:
            raise
        return Hop(name, into, (("of this generation", 0),), None, error.what), None
    if found is None:
        return equal(name, into, (("in the log", 0),), note=f"{record.table} does not record the slice"), None
    if not found.metadata:
        return Hop(name, into, (("in the log", 0),), None, "the log is cleaned beyond this commit"), None
    counted = committed_rows(local_path(record.table), found.version, found.files)
    changed, words = _changed(_digests(found))
    place = f"version {found.version} of {record.table}"
    hop = equal(name, into, (("in its files", counted),), note="; ".join(filter(None, (words, place))))
    if changed:
        return Hop(name, into, hop.out, False, hop.note), None
    if hop.holds and found.rows != rows:
        return Hop(name, into, (("by its metadata", found.rows),), False, hop.note), None
    return hop, found if hop.holds else None


def _in_the_table(record: RunRecord, published: Published) -> Iterator[Hop]:
    """Only where another tool changed the table's rows since."""
    from batch_processing.delta_lake.remains import remains_of

    remains = remains_of(published)
    if remains.version < 0:
        return
    name, into = "Delta table", (("published", published.rows),)
    if remains.held is None:
        note = f"{remains.change} rewrote files that hold the slice's rows among others"
        yield Hop(name, into, (("looked at", 0),), None, note)
        return
    replaced = (("replaced by later publishes", remains.replaced),) if remains.replaced else ()
    out = (("in the table", remains.held), *replaced)
    if remains.missing:
        fix = f"batchctl reprocess --slice {record.key.slice.iso} publishes them again"
        note = f"{remains.missing:,} rows removed by another tool in {remains.change}; {fix}"
        yield Hop(name, into, out, False, note)
    else:
        yield Hop(name, into, out, None, f"rows changed by another tool in {remains.change}")


def _loaded(
    record: RunRecord, rows: int, published: Published | None, *, spec: PipelineSpec | None, values: Values
) -> Iterator[Hop]:
    from batch_processing.warehouse.ledger import ledger_row

    key, into = record.key, (("loaded", rows),)
    name = "warehouse ledger"
    if spec is None or spec.warehouse is None:
        note = f"no declaration of {key.pipeline} here names its connection"
        yield Hop(name, into, (("looked at", 0),), None, note)
        return
    connection = values.connection(spec.warehouse.connection)
    found = ledger_row(connection, table=record.warehouse_table, pipeline=key.pipeline, slice=key.slice)
    if found is None:
        newest = _newest_loaded(record, connection) if spec.target.mode == "overwrite" else -1
        if record.version is not None and newest > record.version:
            note = f"replaced by version {newest} of the table, which is loaded"
            yield Hop(name, into, (("looked at", 0),), None, note)
            return
        note = (
            f"{record.warehouse_table} has no ledger row of the slice: the table or the row was dropped since; "
            f"batchctl run --slice {key.slice.iso} loads it again"
        )
        yield equal(name, into, (("in its ledger", 0),), note=note)
        return
    if found.generation != key.generation:
        newer = found.generation > key.generation
        note = f"generation {found.generation} is loaded"
        yield Hop(name, into, (("of this generation", 0),), None if newer else False, note)
        return
    hop = equal(name, into, (("in its ledger", found.rows),), note=record.warehouse_table)
    contents = contents_of(published) if published is not None else ""
    if contents and found.contents:
        same = contents == found.contents
        note = f"{_SAME if same else 'loaded from other files than were published'}; {record.warehouse_table}"
        hop = Hop(name, into, hop.out, bool(hop.holds) and same, note)
    yield hop
    if hop.holds:
        yield _arrived(record, found, published, spec=spec, values=values)


def _newest_loaded(record: RunRecord, connection: Connection) -> int:
    """The newest version of the run's Delta table that its warehouse table has taken; -1 where it has taken none."""
    from batch_processing.delta_lake.log import open_table
    from batch_processing.warehouse.ledger import table_loads

    table = open_table(local_path(record.table))
    loads = table_loads(connection, table=record.warehouse_table)
    return loads.newest.get(str(table.metadata().id), -1) if table is not None else -1


def _arrived(
    record: RunRecord, found: LedgerRow, published: Published | None, *, spec: PipelineSpec, values: Values
) -> Hop:
    """The rows that the warehouse has now, by value where the published files are still there, else by number."""
    from batch_processing.delta_lake.schema import table_schema_json
    from batch_processing.warehouse.ledger import compare_loaded, rows_of_others

    name, into = "warehouse rows", (("loaded", found.rows),)
    stay = _rows_that_stay(found, published, spec)
    again = f"batchctl reprocess --slice {record.key.slice.iso} loads it anew"
    if spec.warehouse is None or published is None or not all(Path(path).is_file() for path in published.files):
        broken = not stay <= found.counted <= found.rows
        note = "by number alone: the published files are gone"
        holds = not broken if broken or stay == found.rows else None
        return Hop(name, into, (("in the table", found.counted),), holds, f"{note}; {again}" if broken else note)
    connection = values.connection(spec.warehouse.connection)
    compared = compare_loaded(
        published,
        connection=connection,
        table=record.warehouse_table,
        target=spec.target,
        schema_json=table_schema_json(published.table, published.version),
        slice=record.key.slice,
        generation=record.key.generation,
    )
    foreign = (("in no published file", compared.foreign),) if compared.foreign else ()
    out = (("equal in the table", compared.equal), *foreign)
    lost = max(0, stay - compared.equal)
    if compared.missing and spec.target.mode == "merge":
        # Each key that a later load took has a row of that load.
        others = rows_of_others(connection, table=record.warehouse_table, slice=record.key.slice)
        lost = max(lost, compared.missing - others)
    if compared.foreign:
        note = f"{compared.missing:,} rows missing, {compared.foreign:,} too many; {again}"
        return Hop(name, into, out, False, note)
    if lost:
        return Hop(name, into, out, False, f"{lost:,} rows missing that no later load replaced; {again}")
    if compared.missing:
        return Hop(name, into, out, None, f"{compared.missing:,} rows replaced by later loads")
    words = "not compared: " + ", ".join(compared.left_out) if compared.left_out else "every value agrees"
    return Hop(name, into, out, True, words)


def _rows_that_stay(found: LedgerRow, published: Published | None, spec: PipelineSpec) -> int:
    """At least so many of the loaded rows no later load can have replaced."""
    from batch_processing.delta_lake.later import later_writes

    mode = spec.target.mode
    if mode == "append" or not found.later:
        return found.rows
    if mode != "replace_partitions" or published is None or found.newest <= published.version:
        return 0
    return found.rows - sum(later_writes(published, until=found.newest).replaced.values())
