"""Every error that this package raises, in one tree.

    BatchError
    ├── UsageError                 exit 2: the declaration or the call is wrong; no retry helps
    │   ├── DeclarationError       problems in a pipeline file, all at once
    │   ├── SettingError           a Variable or connection that is not set or not usable
    │   ├── SuiteError             a suite that does not exist or cannot be read
    │   └── CodeReferenceError     a dotted name that cannot be imported
    ├── DataError                  exit 1: the data is bad; no retry helps
    │   ├── ValidationFailed       below the threshold, or a critical expectation failed
    │   └── SourceSchemaError      a source that has other columns than declared
    └── TechnicalError             exit 3: something could not run
        ├── SourceMissing          a file that is not there yet               (retry helps)
        ├── SourceUnavailable      a database or API that does not answer     (retry helps)
        ├── SourceUnreadable       a file that is damaged or of another format
        ├── EngineError            Spark could not start or answer            (retry helps)
        ├── TransformError         the user's transform raised or returned no DataFrame
        ├── CheckError             a check could not run, so it has no verdict
        ├── TableError             a Delta table that this writer must not touch, or a schema change it refuses
        ├── PublishConflict        other writers kept winning                 (retry helps)
        ├── WarehouseError         the warehouse went away or is busy          (retry helps)
        │   └── WarehouseRefused   columns, values or rights it does not take
        ├── LedgerError            rows lost or doubled between two hops
        ├── StorageError           a path that cannot be read or written      (retry helps)
        ├── ControlStoreError      the control store cannot be reached        (retry helps)
        └── AlertError             a mail that no mail server took            (retry helps)

A message says what happened, where, what was found and what to do next. `retryable` is what the
retry policy reads; `exit_code` is what `batchctl` returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

MESSAGE_LIMIT = 4_000
"""Longest text of an error, in characters: it goes into logs, mails and XCom."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a declaration.

    Attributes:
        message: what is wrong and what would be valid.
        key: the key's path, as `sources.orders.files.path`.
        file: the declaration's file, as given by the user.
        line: 1-based line in that file, where known.
    """

    message: str
    key: str = ""
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line is not None else self.file
        return ": ".join(part for part in (place, self.key, self.message) if part)


class BatchError(Exception):
    """Base of the tree.

    Args:
        what: what happened, in one sentence without its full stop.
        where: the file, key path, row, table or address concerned.
        found: what was found there.
        fix: what to do next.
    """

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 3

    def __init__(self, what: str, *, where: str = "", found: str = "", fix: str = "") -> None:
        self.what, self.where, self.found, self.fix = what, where, found, fix
        super().__init__(what)

    def __str__(self) -> str:
        text = self.what + (f" [{self.where}]" if self.where else "")
        if self.found:
            text += f". Found: {self.found}"
        if self.fix:
            text += f". To do: {self.fix}"
        return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.__dict__.copy())


def _rebuild(kind: type[BatchError], state: dict[str, Any]) -> BatchError:
    error = kind.__new__(kind)
    Exception.__init__(error, state.get("what", ""))
    error.__dict__.update(state)
    return error


class UsageError(BatchError):
    """The declaration or the call is wrong."""

    exit_code: ClassVar[int] = 2


class DeclarationError(UsageError):
    """A pipeline file with problems; `problems` holds all of them."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        super().__init__(f"the pipeline declaration has {count}")

    def __str__(self) -> str:
        text = self.what + "".join(f"\n  {problem}" for problem in self.problems)
        return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"


class SettingError(UsageError):
    """A Variable or connection that is not set or not usable."""


class SuiteError(UsageError):
    """A suite that does not exist or cannot be read."""


class CodeReferenceError(UsageError):
    """A dotted name that cannot be imported."""


class DataError(BatchError):
    """The data is bad."""

    exit_code: ClassVar[int] = 1


class ValidationFailed(DataError):
    """The gate closed: score below the threshold, or a critical expectation failed."""


class SourceSchemaError(DataError):
    """A source that has other columns than declared."""


class TechnicalError(BatchError):
    """Something could not run."""


class SourceMissing(TechnicalError):
    """A file that is not there yet."""

    retryable: ClassVar[bool] = True


class SourceUnavailable(TechnicalError):
    """A database or API that does not answer."""

    retryable: ClassVar[bool] = True


class SourceUnreadable(TechnicalError):
    """A file that is damaged or of another format."""


class EngineError(TechnicalError):
    """Spark could not start or answer."""

    retryable: ClassVar[bool] = True


class TransformError(TechnicalError):
    """The user's transform raised, or did not return a DataFrame."""


class CheckError(TechnicalError):
    """A check could not run, so it has no verdict."""


class TableError(TechnicalError):
    """A Delta table this writer must not touch, or a schema change it refuses."""


class PublishConflict(TechnicalError):
    """Other writers kept winning."""

    retryable: ClassVar[bool] = True


class WarehouseError(TechnicalError):
    """The warehouse went away or is busy."""

    retryable: ClassVar[bool] = True


class WarehouseRefused(WarehouseError):
    """The warehouse does not take these columns or values, or the role lacks a right; no retry helps."""

    retryable: ClassVar[bool] = False


class LedgerError(TechnicalError):
    """Rows were lost or doubled between two hops."""


class StorageError(TechnicalError):
    """A path that cannot be read or written."""

    retryable: ClassVar[bool] = True


class ControlStoreError(TechnicalError):
    """The control store cannot be reached."""

    retryable: ClassVar[bool] = True


class AlertError(TechnicalError):
    """A mail that no mail server took."""

    retryable: ClassVar[bool] = True
