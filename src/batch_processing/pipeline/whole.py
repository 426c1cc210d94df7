"""Whether the table still holds what a slice published: other tools may have removed or changed rows since."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from batch_processing.errors import TableError
from batch_processing.results import Published, Slice

if TYPE_CHECKING:
    from batch_processing.delta_lake.remains import Remains

_LOG = logging.getLogger(__name__)


def known_remains(published: Published) -> Remains | None:
    """What the table still holds of a publish; None where the log no longer has the commit."""
    from batch_processing.delta_lake.remains import remains_of

    return remains_of(published) if published.metadata else None


def can_be_loaded(published: Published) -> bool:
    """Whether a load would find the slice's rows: its commit and its files are there, and no other tool took any."""
    remains = known_remains(published)
    return remains is not None and not remains.missing and all(Path(file).is_file() for file in published.files)


def check_whole(published: Published, slice: Slice) -> None:
    """Nothing is claimed of a published slice, and nothing loaded from it, that the table has no more.

    Rows that later publishes of pipelines replaced are no loss. Rows changed in place, or rewritten among those of
    others, are only logged.

    Raises:
        TableError: another tool removed rows of it.
    """
    remains = known_remains(published)
    if remains is None:
        return
    if remains.missing:
        raise TableError(
            "another tool removed rows that the slice had published",
            where=f"{published.table} slice {slice}",
            found=f"published {published.rows:,} rows, the table holds {remains.held:,} of them; "
            f"removed in {remains.change}",
            fix=f"nothing was changed; to have them back: batchctl reprocess --slice {slice.iso}; "
            "where the removal is meant, leave the slice alone",
        )
    if remains.version >= 0:
        _LOG.warning("%s: %s changed files that hold rows of slice %s", published.table, remains.change, slice)
