"""The row ledger: every record that was read is published, quarantined or rejected. Pure checks, one per hop."""

from __future__ import annotations

from batch_processing.errors import LedgerError
from batch_processing.results import Landed


def check_hop(hop: str, *, into: int, out: int, where: str, equation: str) -> None:
    """Checks that a hop neither lost nor doubled rows.

    Args:
        hop: the hop's name, as `extract orders`.
        into: rows that went in.
        out: rows that came out, all ways together.
        where: file, table or source.
        equation: the hop's equation in words and numbers.

    Raises:
        LedgerError: `into` and `out` differ.
    """
    if into == out:
        return
    verb = "lost" if out < into else "added"
    raise LedgerError(
        f"the row ledger breaks at {hop}: {abs(into - out):,} rows {verb}",
        where=where,
        found=equation,
        fix="nothing was published from this; keep the run's folder and report it, then run the slice again",
    )


def check_landed(source: str, landed: Landed) -> None:
    """read = rejected + landed."""
    check_hop(
        f"extract {source}",
        into=landed.read,
        out=landed.landed + landed.rejected,
        where=source,
        equation=f"read {landed.read:,} != rejected {landed.rejected:,} + landed {landed.landed:,}",
    )


def check_validated(source: str, *, landed: int, valid: int, quarantined: int) -> None:
    """landed = valid + quarantined."""
    check_hop(
        f"validate {source}",
        into=landed,
        out=valid + quarantined,
        where=source,
        equation=f"landed {landed:,} != valid {valid:,} + quarantined {quarantined:,}",
    )


def check_preserved(*, valid: int, staged: int, source: str) -> None:
    """A transform that declares `preserves_rows` puts out as many rows as its first source has valid ones."""
    check_hop(
        "transform",
        into=valid,
        out=staged,
        where=f"preserves_rows of {source}",
        equation=f"valid {valid:,} of {source} != staged {staged:,}",
    )


def check_published(*, staged: int, published: int, table: str) -> None:
    """staged = published."""
    equation = f"staged {staged:,} != published {published:,}"
    check_hop("publish", into=staged, out=published, where=table, equation=equation)


def check_loaded(*, published: int, loaded: int, table: str) -> None:
    """published = loaded."""
    check_hop(
        "load_warehouse",
        into=published,
        out=loaded,
        where=table,
        equation=f"published {published:,} != loaded {loaded:,}",
    )
