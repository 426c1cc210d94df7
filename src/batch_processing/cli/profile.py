"""`batchctl profile`: drafts a suite from data, for a person to review."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from batch_processing.cli.data import find_data, open_data
from batch_processing.errors import UsageError
from batch_processing.report.text import number
from batch_processing.storage import write_atomic


def profile_command(data: Path, *, output: Path, name: str | None) -> int:
    """Writes the drafted suite; a file that is there already is left as it is.

    Raises:
        BatchError: wrong use, or data that cannot be read.
    """
    place = find_data(data)
    if output.suffix != ".json":
        raise UsageError("a suite is a .json file", found=output.name, fix="name it as orders.json")
    if output.exists():
        raise UsageError(
            "the suite file is there already", where=str(output), fix="name another file; it may hold your edits"
        )
    with open_data(place) as df:
        from batch_processing.quality.profile import draft_suite

        draft = draft_suite(df, name=name or output.stem, types_are_inferred=place.types_are_inferred)
    text = json.dumps(draft.suite, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomic(output.absolute(), (text + "\n").encode())
    count = len(draft.suite["expectations"])
    lines = [f"{count} rules from {number(draft.rows)} rows in {output}"]
    if draft.left_out:
        lines.append(f"Tried, and does not hold: {', '.join(draft.left_out)}")
    lines.append(f"Review it, then: batchctl check {shlex.quote(str(data))} --suite {shlex.quote(str(output))}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
