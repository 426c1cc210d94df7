"""Whether a source has the declared columns."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from batch_processing.errors import SourceSchemaError

_SHOWN = 20


def match_columns(
    found: Sequence[str] | None,
    declared: Mapping[str, str],
    *,
    extra: Literal["error", "ignore"],
    where: str,
) -> None:
    """Compares column names; the order does not matter.

    Args:
        found: the source's columns; None where it has no header at all.
        declared: the declared columns.
        extra: what a column means that is not declared.
        where: the file, table or address, for the message.

    Raises:
        SourceSchemaError: a declared column is missing or there twice, or one is there that is not declared.
    """
    if found is None:
        raise SourceSchemaError(
            "a file is empty: it has no header", where=where, fix=f"deliver it with the header {_list(list(declared))}"
        )
    problems = _missing(found, declared)
    repeated = [n for n, count in Counter(found).items() if count > 1 and (n in declared or extra == "error")]
    if repeated:
        problems.append(f"more than one column is named {_list(repeated)}")
    unknown = [n for n in dict.fromkeys(found) if n not in declared]
    if unknown and extra == "error":
        problems.append(f"not declared: {_list(unknown)}")
    if problems:
        raise SourceSchemaError(
            f"a source has other columns than declared: {'; '.join(problems)}",
            where=where,
            found=_list(found),
            fix="mend the source or its schema; extra_columns: ignore leaves out what is not declared",
        )


def near(name: str, known: Sequence[str]) -> str:
    """` (did you mean x?)`, or nothing."""
    lowered = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return f" (did you mean {lowered[close[0]]}?)" if close else ""


def _missing(found: Sequence[str], declared: Mapping[str, str]) -> list[str]:
    spare = [n for n in found if n not in declared]
    missing = [n for n in declared if n not in found]
    hints = [f"{n}{_found_instead(n, spare)}" for n in missing[:_SHOWN]]
    return [f"missing: {', '.join(hints)}"] if missing else []


def _found_instead(name: str, spare: Sequence[str]) -> str:
    return near(name, spare).replace("did you mean", "is it")


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(repr(n) if n != n.strip() or not n else n[:60] for n in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
