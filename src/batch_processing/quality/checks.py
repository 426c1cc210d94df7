"""Python checks.

`@row_check` functions give a Spark Column and join the scan; `@table_check` functions get the DataFrame.

@row_check(columns=("ordered_at",))
def no_future_dates(df):
    return F.col("ordered_at") <= F.current_timestamp()

@table_check(severity="warning")
def many_customers(df):
    return df.select("customer_id").distinct().count() > 10
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from batch_processing.errors import CodeReferenceError, UsageError
from batch_processing.results import Severity
from batch_processing.settings.references import load_reference

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

SeverityName = Literal["critical", "warning", "info"]
EVIDENCE_ROWS = 1_000
"""Most failing rows that are kept of one table check."""


@dataclass(frozen=True)
class RowCheck:
    """A row-level check.

    Attributes:
        id: its rule id.
        severity: critical checks quarantine their rows.
        columns: columns that must be there; also shown in results.
        function: `fn(df) -> Column`, true for a good row. False and null are bad rows.
    """

    id: str
    severity: Severity
    columns: tuple[str, ...]
    function: Callable[[DataFrame], Column]

    def __call__(self, df: DataFrame) -> Column:
        return self.function(df)


@dataclass(frozen=True)
class TableCheckResult:
    """What a table check found.

    Attributes:
        success: the verdict.
        observed: a JSON-able value to show.
        message: one sentence on why it failed.
        unexpected_count: rows that broke it, where the check knows; those of `failing_rows` where it does not say.
        failing_rows: the rows that broke it, any columns. Where the check fails, the first `EVIDENCE_ROWS` of them are
            kept as a Parquet file in the run's folder.
    """

    success: bool
    observed: Any = None
    message: str = ""
    unexpected_count: int | None = None
    failing_rows: DataFrame | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class TableCheck:
    """A table-level check: `function` is `fn(df) -> bool | TableCheckResult`."""

    id: str
    severity: Severity
    columns: tuple[str, ...]
    function: Callable[[DataFrame], bool | TableCheckResult]

    def __call__(self, df: DataFrame) -> bool | TableCheckResult:
        return self.function(df)


@dataclass(frozen=True)
class Checks:
    """The Python checks of one dataset."""

    row: tuple[RowCheck, ...] = ()
    table: tuple[TableCheck, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.row or self.table)

    @property
    def ids(self) -> set[str]:
        return {check.id for check in self.row} | {check.id for check in self.table}


@overload
def row_check(function: Callable[[DataFrame], Column], /) -> RowCheck: ...
@overload
def row_check(
    *,
    id: str | None = None,
    severity: SeverityName = "critical",
    columns: Sequence[str] = (),
) -> Callable[[Callable[[DataFrame], Column]], RowCheck]: ...
def row_check(
    function: Callable[[DataFrame], Column] | None = None,
    /,
    *,
    id: str | None = None,  # noqa: A002 -- the word users know from results and quarantine
    severity: SeverityName = "critical",
    columns: Sequence[str] = (),
) -> RowCheck | Callable[[Callable[[DataFrame], Column]], RowCheck]:
    """Marks `fn(df) -> Column` as a row-level check; its id is the function's name unless given.

    The Column is true for a good row. A null is a bad row: a check that cannot say that a row is good does not let it
    through.

    Raises:
        UsageError: not a function, an unknown severity, or an empty id.
    """

    def mark(marked: Callable[[DataFrame], Column]) -> RowCheck:
        return RowCheck(*_facts(marked, id, severity, columns), marked)

    return mark if function is None else mark(function)


@overload
def table_check(function: Callable[[DataFrame], bool | TableCheckResult], /) -> TableCheck: ...
@overload
def table_check(
    *,
    id: str | None = None,
    severity: SeverityName = "critical",
    columns: Sequence[str] = (),
) -> Callable[[Callable[[DataFrame], bool | TableCheckResult]], TableCheck]: ...
def table_check(
    function: Callable[[DataFrame], bool | TableCheckResult] | None = None,
    /,
    *,
    id: str | None = None,  # noqa: A002 -- the word users know from results
    severity: SeverityName = "critical",
    columns: Sequence[str] = (),
) -> TableCheck | Callable[[Callable[[DataFrame], bool | TableCheckResult]], TableCheck]:
    """Marks `fn(df) -> bool | TableCheckResult` as a table-level check; its id is the function's name unless given.

    Raises:
        UsageError: not a function, an unknown severity, or an empty id.
    """

    def mark(marked: Callable[[DataFrame], bool | TableCheckResult]) -> TableCheck:
        return TableCheck(*_facts(marked, id, severity, columns), marked)

    return mark if function is None else mark(function)


def load_checks(names: Sequence[str], *, root: Path) -> Checks:
    """Imports checks by dotted name.

    Args:
        names: `package.module.function` or `package.module:function`.
        root: the project's root, which is put on the import path.

    Raises:
        CodeReferenceError: a name that cannot be imported, or that is not marked as a check.
        UsageError: two checks with one id.
    """
    found = [_load(name, root) for name in names]
    ids = [check.id for check in found]
    if twice := sorted({check_id for check_id in ids if ids.count(check_id) > 1}):
        raise UsageError(
            f"two checks have the id {twice[0]!r}",
            where=", ".join(names),
            fix="give one of them id=... in its decorator",
        )
    return Checks(
        tuple(check for check in found if isinstance(check, RowCheck)),
        tuple(check for check in found if isinstance(check, TableCheck)),
    )


def _load(name: str, root: Path) -> RowCheck | TableCheck:
    found = load_reference(name, root=root, what="check")
    if isinstance(found, RowCheck | TableCheck):
        return found
    raise CodeReferenceError(
        f"{name} is not a check",
        found=f"{type(found).__name__}",
        fix="mark the function with @row_check or @table_check from batch_processing.quality",
    )


def _facts(
    function: Callable[..., Any], check_id: str | None, severity: str, columns: Sequence[str]
) -> tuple[str, Severity, tuple[str, ...]]:
    name = getattr(function, "__name__", "")
    if not callable(function) or inspect.isclass(function):
        raise UsageError(
            "a check is a function", found=type(function).__name__, fix="decorate a function that takes df"
        )
    if severity not in [known.value for known in Severity]:
        raise UsageError(f"unknown severity {severity!r}", where=name, fix=f"valid: {', '.join(Severity)}")
    chosen = name if check_id is None else check_id
    if not chosen:
        raise UsageError("a check needs an id", where=name, fix="give id=... in its decorator")
    if not isinstance(chosen, str):
        raise UsageError("a check's id is text", where=name, found=repr(chosen), fix='write it as id="..."')
    named = (columns,) if isinstance(columns, str) else tuple(columns)
    if odd := [column for column in named if not isinstance(column, str) or not column]:
        raise UsageError("a check's columns are names", where=name, found=repr(odd[0]), fix='write columns=("id", ...)')
    return chosen, Severity(severity), named
