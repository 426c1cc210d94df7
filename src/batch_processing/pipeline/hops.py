"""The row ledger of a run, as hops to look at: what went in, what came out, and whether the two agree. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batch_processing.control.records import RunRecord, SourceRecord
from batch_processing.results import OUTPUT_DATASET, Outcome, QualityResult

Counts = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Hop:
    """One hop.

    Attributes:
        name: as `extract orders`.
        into: what went in: names and rows.
        out: what came out, all ways together.
        holds: whether the sums agree; None where they need not (a transform), or nobody can say any more.
        note: why, for a person.
    """

    name: str
    into: Counts
    out: Counts
    holds: bool | None
    note: str = ""

    @property
    def equation(self) -> str:
        """`read 108 = rejected 1 + landed 107`."""
        sign = {True: "=", False: "≠", None: "→"}[self.holds]
        return f"{_sum(self.into)} {sign} {_sum(self.out)}"


def equal(name: str, into: Counts, out: Counts, *, note: str = "") -> Hop:
    """A hop that neither loses nor adds rows."""
    return Hop(name, into, out, sum(n for _, n in into) == sum(n for _, n in out), note)


def hops_of(
    record: RunRecord, *, preserved: str | None = None, loads: bool = False, later: Sequence[RunRecord] = ()
) -> tuple[Hop, ...]:
    """The hops that the run came to, from the control store's record.

    Args:
        record: the run.
        preserved: the source whose rows the transform declares to keep, one for one; None where it declares nothing.
        loads: whether the pipeline is known to load a warehouse, also where no step of the run says so.
        later: other runs of the slice, which may have done what this one did not come to; newest last.
    """
    quality = {result.dataset: result for result in record.quality}
    hops = [_extract(source) for source in record.sources]
    hops += [_validate(source, quality[source.source]) for source in record.sources if source.source in quality]
    hops += [
        *_valid(record),
        *_transform(record, quality, preserved),
        *_last_hops(record, quality),
        *_load(record, later, loads),
    ]
    return tuple(hops)


def _extract(source: SourceRecord) -> Hop:
    out = (("rejected", source.rejected), ("landed", source.landed))
    return equal(f"extract {source.source}", (("read", source.read),), out)


def _validate(source: SourceRecord, verdict: QualityResult) -> Hop:
    into = (("landed", source.landed),)
    if verdict.outcome is Outcome.ERROR:
        return Hop(f"validate {source.source}", into, (("judged", 0),), None, "a check could not run: no verdict")
    return equal(f"validate {source.source}", into, (("valid", verdict.valid), ("quarantined", verdict.quarantined)))


def _valid(record: RunRecord) -> Iterator[Hop]:
    """All sources together, those without validation included: what the transform is given."""
    rows = record.rows
    if rows.landed is not None and rows.valid is not None and rows.quarantined is not None:
        out = (("valid", rows.valid), ("quarantined", rows.quarantined))
        yield equal("validate", (("landed", rows.landed),), out, note="all sources")


def _transform(record: RunRecord, quality: dict[str, QualityResult], preserved: str | None) -> Iterator[Hop]:
    rows = record.rows
    if rows.valid is None or rows.staged is None:
        return
    out = (("staged", rows.staged),)
    first = next((source for source in record.sources if source.source == preserved), None)
    if first is not None:
        valid = quality[first.source].valid if first.source in quality else first.landed
        yield equal("transform", ((f"valid {first.source}", valid),), out, note="preserves_rows")
    else:
        yield Hop("transform", (("valid", rows.valid),), out, None, "as the transform has it")


def _last_hops(record: RunRecord, quality: dict[str, QualityResult]) -> Iterator[Hop]:
    rows, staged = record.rows, (("staged", record.rows.staged or 0),)
    judged = quality.get(OUTPUT_DATASET)
    if rows.staged is not None and judged is not None and judged.outcome is not Outcome.ERROR:
        yield equal("validate_output", staged, (("judged", judged.rows),))
    if rows.staged is not None and rows.published is not None:
        yield _publish(record, staged, rows.published)


def _load(record: RunRecord, later: Sequence[RunRecord], loads: bool) -> Iterator[Hop]:
    name, rows, key = "load_warehouse", record.rows, record.key
    step = next((step for step in record.steps if step.step == name), None)
    if rows.published is None or (step is None and not loads and rows.loaded is None):
        return
    into, none = (("published", rows.published),), (("loaded", 0),)
    if rows.loaded is not None:
        yield equal(name, into, (("loaded", rows.loaded),))
    elif step is not None and step.outcome.passed:
        return  # a newer generation was there already
    elif done := [run for run in later if run.rows.loaded is not None or run.key.generation > key.generation]:
        newer = done[-1].key.generation > key.generation
        note = (
            f"generation {done[-1].key.generation} came after it" if newer else f"loaded by run {done[-1].key.run_id}"
        )
        yield Hop(name, into, none, None, note)
    elif record.outcome is Outcome.RUNNING:
        yield Hop(name, into, none, None, "the run goes on")
    else:
        why = step.error.splitlines()[0] if step is not None and step.error else "the run did not come to it"
        yield Hop(name, into, none, False, f"not loaded; batchctl run --slice {key.slice.iso} loads it: {why}")


def _publish(record: RunRecord, staged: Counts, published: int) -> Hop:
    facts = next((step.summary for step in record.steps if step.step == "publish"), {})
    if facts.get("already"):
        by = f" by run {facts['run_id']}" if facts.get("run_id") else ""
        note = f"already published as version {facts.get('version')}{by}"
        return Hop("publish", staged, (("published", published),), None, note)
    older = int(facts.get("superseded", 0))
    superseded = (("older than the table's", older),) if older else ()
    return equal("publish", staged, (("published", published), *superseded))


def _sum(counts: Counts) -> str:
    return " + ".join(f"{name} {rows:,}" for name, rows in counts)
