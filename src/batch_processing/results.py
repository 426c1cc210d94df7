"""What happened, as frozen values: outcomes, counts and results. No I/O here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal


class Outcome(StrEnum):
    """How a check, a step or a run ended. The four ends are never merged."""

    PASS = "PASS"  # noqa: S105 - an outcome, no password
    PASS_WITH_QUARANTINE = "PASS_WITH_QUARANTINE"  # noqa: S105 - an outcome
    FAIL = "FAIL"
    ERROR = "ERROR"
    RUNNING = "RUNNING"

    @property
    def passed(self) -> bool:
        return self in (Outcome.PASS, Outcome.PASS_WITH_QUARANTINE)


class Severity(StrEnum):
    """What a broken rule means: `info` and `warning` report and keep the row."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, order=True)
class Slice:
    """The data interval a run is for, `[start, end)`, both UTC. The unit of backfill."""

    start: datetime
    end: datetime

    @property
    def key(self) -> str:
        """`2026-11-01T020000Z`: sorts by time and is safe in a path."""
        return self.start.astimezone(UTC).strftime("%Y-%m-%dT%H%M%SZ")

    @property
    def iso(self) -> str:
        """`2026-11-01T02:00:00Z`."""
        return self.start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def ds(self) -> str:
        """`2026-11-01`."""
        return self.start.astimezone(UTC).strftime("%Y-%m-%d")

    def __str__(self) -> str:
        return self.iso


@dataclass(frozen=True)
class FileFact:
    """An input file as it was when it was found complete.

    Attributes:
        path: absolute path.
        size: bytes.
        mtime: modification time, seconds since the epoch.
        sha256: hex digest of its bytes.
    """

    path: str
    size: int
    mtime: float
    sha256: str


@dataclass(frozen=True)
class Landed:
    """What one extraction (or one chunk of it) left behind.

    `read = landed + rejected` holds, or the extraction raised LedgerError.

    Attributes:
        files: absolute paths of the landed Parquet files; their columns are the declared ones plus
            `_source_file` (string) and `_source_row` (bigint, 1-based data record in that file).
        read: records met in the source.
        landed: typed rows written.
        rejected: records that could not be read as the declared schema.
        reject_files: absolute paths of Parquet files with columns `_source_file` (string),
            `_source_row` (bigint or null), `column` (string or null), `error` (string), `raw` (string).
        inputs: the input files read (empty for a database or an API).
    """

    files: tuple[str, ...] = ()
    read: int = 0
    landed: int = 0
    rejected: int = 0
    reject_files: tuple[str, ...] = ()
    inputs: tuple[FileFact, ...] = ()


@dataclass(frozen=True)
class RuleResult:
    """One rule's verdict.

    Attributes:
        rule_id: unique in its suite: the expectation's `id`/`meta.rule_id` where given, else
            `type(column)`; a custom check's own id.
        kind: `row` (rows can be quarantined for it), `table`, or `check_row`/`check_table` (custom Python).
        outcome: PASS, FAIL or ERROR of this rule alone.
        severity: critical, warning or info.
        element_count: rows looked at (after the row condition); None where it has no meaning.
        unexpected_count: rows that broke it.
        missing_count: nulls that GX leaves out of the judgement.
        observed: observed value of an aggregate rule, JSON-able.
        message: for ERROR and FAIL, one sentence for a person. Never holds a data value.
        expectation_type: as `expect_column_values_to_not_be_null`; "" for custom checks.
        column: the column(s) judged, comma-separated; "" for table-level.
        engine: `compiled`, `gx` (fallback) or `python`.
    """

    rule_id: str
    kind: Literal["row", "table", "check_row", "check_table"]
    outcome: Outcome
    severity: Severity = Severity.CRITICAL
    element_count: int | None = None
    unexpected_count: int | None = None
    missing_count: int | None = None
    observed: Any = None
    message: str = ""
    expectation_type: str = ""
    column: str = ""
    engine: Literal["compiled", "gx", "python"] = "compiled"

    @property
    def judged_count(self) -> int | None:
        """Rows it gave a verdict on: those looked at, without the nulls left out; None where it counts no rows."""
        if self.unexpected_count is None or self.element_count is None:
            return None
        return self.element_count - (self.missing_count or 0)

    @property
    def failing_share(self) -> float | None:
        """Failing rows / rows judged, 0..1; None where it judged no row or counts none."""
        judged = self.judged_count
        return self.unexpected_count / judged if judged and self.unexpected_count is not None else None

    @property
    def score(self) -> float | None:
        """The rule's own score: rows that hold it / rows judged, 0..1; None where `failing_share` is."""
        judged = self.judged_count
        return (judged - self.unexpected_count) / judged if judged and self.unexpected_count is not None else None


@dataclass(frozen=True)
class LimitResult:
    """What came of one limit.

    Attributes:
        rule: the rule's id, or `score` for the score of the whole dataset.
        kind: `share` of the rows judged, `count` of rows, or `worse_by` than the median of earlier slices.
        state: a limit that is not judged (too few earlier slices, no row judged) neither held nor broke.
        limit: as declared.
        message: one sentence with the numbers.
        observed: failing share, failing rows or score; None where nothing was judged.
        median: of the earlier slices; None where there is none.
        slices: earlier slices the median is of.
    """

    rule: str
    kind: Literal["share", "count", "worse_by"]
    state: Literal["held", "broken", "not_judged"]
    limit: float
    message: str
    observed: float | None = None
    median: float | None = None
    slices: int | None = None


OUTPUT_DATASET = "staged output"
"""Name of the transform's output where verdicts are kept; no source can have a name with a space."""


def table_checks_dataset(source: str) -> str:
    """Name under which the verdict of a source's table-level Python checks is kept."""
    return f"{source}: table checks"


@dataclass(frozen=True)
class QualityResult:
    """The verdict on one dataset.

    Attributes:
        dataset: source name, `OUTPUT_DATASET`, or `table_checks_dataset(source)`.
        suite: suite name; `fingerprint` is the SHA-256 (first 16 hex digits) of its canonical JSON.
        outcome: the gate's decision.
        score: valid rows / rows, 0..1 (1.0 when there are no rows and that is allowed).
        threshold: the gate's limit on the score.
        rows: rows looked at; `valid + quarantined == rows`.
        rules: one result per rule.
        message: why the gate closed, or "".
        limits: what came of each declared limit; empty where the outcome is ERROR.
    """

    dataset: str
    suite: str
    fingerprint: str
    outcome: Outcome
    score: float
    threshold: float
    rows: int
    valid: int
    quarantined: int
    rules: tuple[RuleResult, ...] = ()
    message: str = ""
    limits: tuple[LimitResult, ...] = ()

    @property
    def of_source(self) -> bool:
        """True for the verdict on a source's rows, which is what the run's score is made of."""
        return self.dataset.isidentifier()


@dataclass(frozen=True)
class StagedFile:
    """A data file written into the table's folder and not committed.

    Attributes:
        path: relative to the table's root, POSIX, not URL-encoded.
        size: bytes.
        rows: records in it.
        partition_values: column name -> value as Delta's log writes it (string) or None.
        stats: Delta's statistics object (`numRecords`, `minValues`, `maxValues`, `nullCount`).
        mtime_ms: modification time, milliseconds since the epoch.
        sha256: hex digest of its bytes, taken when it was written; "" where nobody took it.
    """

    path: str
    size: int
    rows: int
    partition_values: dict[str, str | None] = field(default_factory=dict)
    stats: dict[str, Any] = field(default_factory=dict)
    mtime_ms: int = 0
    sha256: str = ""


@dataclass(frozen=True)
class Staged:
    """The output of one transform, not yet visible to readers.

    Attributes:
        table: the table's absolute root path.
        schema_json: the table's schema in Delta's JSON form (all columns, partition columns included).
        partition_by: partition columns in order.
        files: the data files; `rows` is their sum.
    """

    table: str
    schema_json: str
    partition_by: tuple[str, ...]
    files: tuple[StagedFile, ...]
    rows: int


@dataclass(frozen=True)
class Published:
    """A committed table version that holds a slice's generation.

    Attributes:
        table: the table's absolute root path.
        version: Delta version whose commit carries the app transaction.
        rows: rows this commit published.
        files: absolute paths of the data files that commit added for the slice.
        already: True where the generation was there before and nothing was done.
        run_id: the run that made the commit.
        metadata: what the commit carries (pipeline, slice, generation, run_id, score, counts ...).
        digests: hex SHA-256 of each of `files`, as the commit carries them; empty where it carries none.
    """

    table: str
    version: int
    rows: int
    files: tuple[str, ...] = ()
    already: bool = False
    run_id: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    digests: tuple[str, ...] = ()


@dataclass(frozen=True)
class LaterWrites:
    """What pipelines wrote to a table after a publish of theirs; compaction and other tools' writes are not among it.

    Attributes:
        slices: slice start and generation of each later publish, in the table's order.
        replaced: those of the publish's `files` whose partition a later publish replaced whole, with their rows.
    """

    slices: tuple[tuple[datetime, int], ...] = ()
    replaced: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Loaded:
    """What the warehouse holds for a slice after the load.

    Attributes:
        table: the warehouse table's name as written in the declaration.
        rows: rows the slice has there.
        already: True where this generation was there before and nothing was done.
        location: where it is, for a person (file path or `host:port/database`); no credentials.
        contents: what the warehouse's ledger says the rows are of, as `digests.contents_of`; "" where it does not.
        generation: the slice's generation that was there before, this one or a newer; None where none was looked for.
    """

    table: str
    rows: int
    already: bool = False
    location: str = ""
    contents: str = ""
    generation: int | None = None


@dataclass(frozen=True)
class Usage:
    """What a step cost: wall seconds, CPU seconds (children included), peak resident memory in MiB."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_rss_mb: float = 0.0


@dataclass(frozen=True)
class StepResult:
    """One step of one run, as the control store keeps it.

    Attributes:
        step: the task id, as `extract_orders`; a mapped part is `extract_orders[3]`.
        outcome: how it ended.
        usage: time, CPU and memory.
        summary: JSON-able facts under 48 KB, what XCom carries.
        error: the message where it did not pass.
        reused: True where a finished manifest was found and nothing was done.
    """

    step: str
    outcome: Outcome
    usage: Usage = Usage()
    summary: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    reused: bool = False
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempt: int = 1


@dataclass(frozen=True)
class RowCounts:
    """The run's row ledger, source to warehouse, summed over its sources.

    `read = rejected + landed`; `landed = quarantined + valid`; `staged = published = loaded`.
    None where the run did not come that far.
    """

    read: int | None = None
    rejected: int | None = None
    landed: int | None = None
    quarantined: int | None = None
    valid: int | None = None
    staged: int | None = None
    published: int | None = None
    loaded: int | None = None


@dataclass(frozen=True)
class RunResult:
    """One run, as `batchctl run --json` prints it."""

    pipeline: str
    slice: Slice
    generation: int
    run_id: str
    engine: str
    outcome: Outcome
    score: float | None
    rows: RowCounts
    steps: tuple[StepResult, ...]
    table: str = ""
    version: int | None = None
    warehouse_table: str = ""
    warehouse_location: str = ""
    report: str = ""
    error: str = ""
    exit_code: int = 0
