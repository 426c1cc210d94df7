"""Suites: plain Great Expectations JSON, read and checked without importing GX.

A suite is `{"name": ..., "expectations": [...], "meta": ...}`, and an expectation is
`{"type": ..., "kwargs": {...}, "meta": {...}, "severity": ...}`, as GX 1.x writes them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from batch_processing.errors import SuiteError
from batch_processing.quality.catalog import CATALOG, COLUMN_KWARGS, IGNORED_KWARGS
from batch_processing.quality.kwargs import problems_in_values
from batch_processing.results import Severity

_SUITE_KEYS = ("name", "expectations", "meta", "notes", "id", "suite_parameters")
_EXPECTATION_KEYS = (
    "type", "kwargs", "meta", "severity", "id", "description", "notes", "rendered_content", "expectation_context",
)  # fmt: skip


@dataclass(frozen=True)
class ExpectationConfig:
    """One expectation of a suite.

    Attributes:
        type: as `expect_column_values_to_not_be_null`.
        kwargs: its keyword arguments, as written.
        rule_id: unique in its suite: `meta.rule_id`, else `id`, else `type(columns)` (`type` where it
            has none), with `#2` for a second one.
        severity: what a failure means.
        meta: free facts, kept in results.
        id: GX's own id where the suite has one.
    """

    type: str
    kwargs: Mapping[str, Any]
    rule_id: str
    severity: Severity = Severity.CRITICAL
    meta: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it judges, in order; empty for table-level expectations."""
        return _columns(self.kwargs)

    def to_json(self) -> dict[str, Any]:
        """The configuration as GX writes it."""
        found: dict[str, Any] = {
            "type": self.type,
            "kwargs": dict(self.kwargs),
            "meta": dict(self.meta),
            "severity": self.severity.value,
        }
        return {**found, "id": self.id} if self.id else found


@dataclass(frozen=True)
class Suite:
    """A named list of expectations.

    Attributes:
        name: the suite's name.
        expectations: in the order of the file.
        meta: free facts.
        fingerprint: first 16 hex digits of the SHA-256 of the suite's canonical JSON.
    """

    name: str
    expectations: tuple[ExpectationConfig, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""

    @property
    def rule_ids(self) -> tuple[str, ...]:
        return tuple(expectation.rule_id for expectation in self.expectations)


def load_suite(name_or_path: str, *, suites_dir: Path) -> Suite:
    """Reads a suite by name (`batch_suite` is `<suites_dir>/batch_suite.json`) or by path.

    A relative path is looked for in `suites_dir`, in the project's root (two folders above it) and in the current
    folder, in that order.

    Raises:
        SuiteError: no such suite, not JSON, or not a valid suite; every problem is named.
    """
    path = _find(name_or_path, suites_dir)
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_no_duplicates)
    except (OSError, ValueError) as error:
        raise SuiteError(
            "the suite cannot be read as JSON", where=str(path), found=str(error), fix="correct the file"
        ) from error
    return parse_suite(data, name=path.stem, where=str(path))


def parse_suite(data: object, *, name: str = "suite", where: str = "") -> Suite:
    """Checks a suite that is already JSON values.

    Args:
        data: the suite's JSON object.
        name: its name where the object has none.
        where: the file, for messages.

    Raises:
        SuiteError: anything about it that GX would refuse, or that would be silently ignored.
    """
    if not isinstance(data, Mapping):
        raise SuiteError(
            "a suite is a JSON object", where=where, found=type(data).__name__, fix='start with {"name": ...'
        )
    problems = list(_suite_problems(data))
    expectations = data.get("expectations")
    configs: list[ExpectationConfig] = []
    if isinstance(expectations, list):
        taken: set[str] = set()
        for index, entry in enumerate(expectations):
            found = list(_expectation_problems(entry))
            problems += [f"expectations[{index}]: {problem}" for problem in found]
            if not found:
                configs.append(_config(entry, taken))
                if configs[-1].rule_id in taken:
                    problems.append(f"expectations[{index}]: the rule id {configs[-1].rule_id!r} is given twice")
                taken.add(configs[-1].rule_id)
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        raise SuiteError(f"the suite has {count}: " + "; ".join(problems), where=where, fix="correct the suite")
    given = data.get("name", name)
    return Suite(str(given), tuple(configs), dict(data.get("meta") or {}), _fingerprint(data))


def _find(name_or_path: str, suites_dir: Path) -> Path:
    written = Path(name_or_path)
    if written.suffix == ".json":
        places = [suites_dir / written, suites_dir.parent.parent / written, written.absolute()]
    else:
        places = [suites_dir / f"{name_or_path}.json"]
    for place in places:
        if place.is_file():
            return place
    known = sorted(path.stem for path in suites_dir.glob("*.json")) if suites_dir.is_dir() else []
    raise SuiteError(
        f"there is no suite {name_or_path!r}{_near(written.stem, known)}",
        where=", ".join(dict.fromkeys(map(str, places))),
        found=f"suites {', '.join(known)}" if known else "no suite in that folder",
        fix="correct the name or write the suite",
    )


def _suite_problems(data: Mapping[str, Any]) -> Iterator[str]:
    if "expectation_suite_name" in data:
        yield "'expectation_suite_name' is GX 0.x; in GX 1.x it is 'name'"
    for key in data:
        if key not in (*_SUITE_KEYS, "expectation_suite_name"):
            yield f"unknown key {key!r}{_near(key, _SUITE_KEYS)}"
    if not isinstance(data.get("name", ""), str):
        yield "'name' is not text"
    if not isinstance(data.get("expectations"), list):
        yield "'expectations' is missing or not a list"
    if not isinstance(data.get("meta") or {}, Mapping):
        yield "'meta' is not an object"
    if data.get("suite_parameters"):
        yield "suite parameters are not supported; write the values into the expectations"


def _expectation_problems(entry: object) -> Iterator[str]:
    if not isinstance(entry, Mapping):
        yield f"an expectation is a JSON object, not {type(entry).__name__}"
        return
    for key in entry:
        if key == "expectation_type":
            yield "'expectation_type' is GX 0.x; in GX 1.x it is 'type'"
        elif key not in _EXPECTATION_KEYS:
            yield f"unknown key {key!r}{_near(key, _EXPECTATION_KEYS)}"
    severity = entry.get("severity", "critical")
    if severity not in [s.value for s in Severity]:
        yield f"unknown severity {severity!r}; valid: {', '.join(Severity)}"
    meta = entry.get("meta") or {}
    if not isinstance(meta, Mapping):
        yield "'meta' is not an object"
    elif not isinstance(meta.get("rule_id", ""), str):
        yield "'meta.rule_id' is not text"
    kind, kwargs = entry.get("type"), entry.get("kwargs", {})
    if not isinstance(kind, str):
        yield "'type' is missing" if kind is None else "'type' is not text"
    elif not isinstance(kwargs, Mapping):
        yield "'kwargs' is not an object"
    else:
        yield from _kwargs_problems(kind, kwargs)


def _kwargs_problems(kind: str, kwargs: Mapping[str, Any]) -> Iterator[str]:
    known = CATALOG.get(kind)
    if known is None:
        yield f"unknown expectation type {kind!r}{_near(kind, tuple(CATALOG))}"
        return
    if known.how == "refused":
        yield f"{kind} cannot be used here: {known.reason}; write a @row_check or @table_check instead"
        return
    for key in kwargs:
        if key not in known.kwargs:
            names = tuple(sorted(known.required | known.optional))
            yield f"{kind} has no argument {key!r}{_near(key, names)}; it takes {', '.join(names)}"
    for key in sorted(known.required - set(kwargs)):
        yield f"{kind} needs {key!r}"
    if known.required <= set(kwargs):
        yield from (f"{kind}: {problem}" for problem in problems_in_values(kind, kwargs))


def _config(entry: Mapping[str, Any], taken: set[str]) -> ExpectationConfig:
    meta = dict(entry.get("meta") or {})
    kind = entry["type"]
    kwargs = {k: v for k, v in entry.get("kwargs", {}).items() if k not in IGNORED_KWARGS}
    given = meta.get("rule_id") or entry.get("id")
    if given:
        rule_id = str(given)
    else:
        columns = ", ".join(_columns(kwargs))
        base = f"{kind}({columns})" if columns else kind
        rule_id, again = base, 2
        while rule_id in taken:
            rule_id, again = f"{base}#{again}", again + 1
    return ExpectationConfig(kind, kwargs, rule_id, Severity(entry.get("severity", "critical")), meta, entry.get("id"))


def _columns(kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    named = tuple(str(kwargs[key]) for key in COLUMN_KWARGS if key in kwargs)
    listed = kwargs.get("column_list")
    return named or (tuple(map(str, listed)) if isinstance(listed, list | tuple) else ())


def _fingerprint(data: Mapping[str, Any]) -> str:
    canonical = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _near(name: str, known: tuple[str, ...] | list[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for index, (key, _) in enumerate(pairs) if key in dict(pairs[:index]))
        raise ValueError(f"the key {twice!r} is there twice in one object")
    return found
