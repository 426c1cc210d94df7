"""The control store: an index of runs, steps, quality results, generations and alerts.

It is not the truth about data: the Delta log and the warehouse's ledger rows are. Writes are small upserts,
each in its own transaction, so that a retry writes the same row again and several processes share one store.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Table, select, update

from batch_processing.control import reading, schema, statements
from batch_processing.control.alerts import AlertOutbox
from batch_processing.control.database import open_database
from batch_processing.control.finding import find_run
from batch_processing.control.generations import Generations
from batch_processing.control.process import ProcessMark
from batch_processing.control.records import PipelineMetrics, QueuedAlert, RunKey, RunRecord
from batch_processing.errors import UsageError
from batch_processing.results import (
    Landed,
    Loaded,
    Outcome,
    Published,
    QualityResult,
    RowCounts,
    Slice,
    StepResult,
)

_COUNTS = tuple(f.name for f in fields(RowCounts))


class ControlStore:
    """An open control store; safe to use from several threads and processes at once.

    Every method raises ControlStoreError where the database cannot be reached or refuses.
    """

    def __init__(self, url: str) -> None:
        self._database = open_database(url)
        self._alerts = AlertOutbox(self._database)
        self._generations = Generations(self._database)

    @classmethod
    def open(cls, url: str) -> Self:
        """Opens a store and makes its tables on first use.

        Args:
            url: `sqlite:////path/control.db` or `postgresql://user:password@host:port/database`.

        Raises:
            UsageError: another kind of URL.
            ControlStoreError: it cannot be reached, or a newer release made it.
        """
        return cls(url)

    @property
    def address(self) -> str:
        """Where the store is, for a person; no password."""
        return self._database.address

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- a run, as it goes on

    def start_run(self, key: RunKey, *, engine: str, trigger: str, process: ProcessMark | None = None) -> bool:
        """Records a run's start, and says whether it is the first: a retry opens the run again, unless it has passed.

        Args:
            key: the run.
            engine: `embedded` or `spark`; "" where it is not known.
            trigger: who started it.
            process: the process that the whole run is in; None where each step has one of its own.
        """
        again = {
            "outcome": Outcome.RUNNING.value,
            "ended_at": None,
            "error": "",
            "host": process.host if process else None,
            "pid": process.pid if process else None,
            "process_started": process.started if process else None,
            "interrupted": None,
            "engine": engine,
        }
        row = {
            "run": key.digest,
            "pipeline": key.pipeline,
            "slice_start": key.slice.start,
            "slice_end": key.slice.end,
            "generation": key.generation,
            "run_id": key.run_id,
            "trigger_name": trigger,
            "started_at": datetime.now(UTC),
            **dict.fromkeys(("report", "table_path", "warehouse_table", "warehouse_location"), ""),
            **again,
        }
        taken = tuple(name for name in again if engine or name != "engine")
        with self._database.writing(once=True) as connection:
            found = connection.execute(statements.start_run(tuple(row), taken), row).scalar()
            return bool(found == row["started_at"])

    def record_step(self, key: RunKey, result: StepResult, *, counts: Mapping[str, int | None] | None = None) -> None:
        """Keeps one attempt of a step; the same attempt recorded again replaces it.

        Args:
            key: the run.
            result: what happened.
            counts: what it gave to the row ledger, named as in RowCounts; kept together with it.
        """
        with self._database.writing(once=not counts) as connection:
            _put(connection, schema.steps, reading.step_row(key.digest, result))
            if counts:
                _change(connection, key, _row_columns(counts))

    def record_quality(self, key: RunKey, result: QualityResult) -> None:
        """Keeps the verdict on one dataset; a later one on the same dataset replaces it."""
        with self._database.writing(once=True) as connection:
            _put(connection, schema.quality, reading.quality_row(key.digest, result))

    def record_source(self, key: RunKey, source: str, part: int, landed: Landed) -> None:
        """Keeps what one part of an extraction gave; parts are summed when read."""
        row = {
            "run": key.digest,
            "source": source,
            "part": part,
            "read": landed.read,
            "rejected": landed.rejected,
            "landed": landed.landed,
            "inputs": [asdict(fact) for fact in landed.inputs],
        }
        with self._database.writing(once=True) as connection:
            _put(connection, schema.sources, row)

    def clear_source(self, key: RunKey, source: str, *, part: int | None = None) -> None:
        """Forgets a source's parts, or one of them: for an extraction that starts over."""
        table = schema.sources
        statement = table.delete().where(table.c.run == key.digest, table.c.source == source)
        if part is not None:
            statement = statement.where(table.c.part == part)
        with self._database.writing(once=True) as connection:
            connection.execute(statement)

    def record_quarantine(self, key: RunKey, source: str, table_path: str) -> None:
        """Keeps where a source's quarantined rows are."""
        with self._database.writing(once=True) as connection:
            row = {"run": key.digest, "source": source, "table_path": table_path}
            _put(connection, schema.quarantine, row)

    def update_rows(self, key: RunKey, **counts: int | None) -> None:
        """Sets counts of the row ledger, named as in RowCounts.

        Raises:
            UsageError: another name.
        """
        self._set(key, **_row_columns(counts))

    def reopen(self, key: RunKey, *, counts: Collection[str], verdicts: Collection[str]) -> None:
        """Forgets what a step that starts over, and the steps after it, found in an earlier try.

        Args:
            key: the run.
            counts: counts of the row ledger, named as in RowCounts.
            verdicts: datasets.
        """
        quality = schema.quality
        with self._database.writing() as connection:
            if counts:
                unset = dict.fromkeys(_row_columns(dict.fromkeys(counts)))
                connection.execute(statements.change_run(tuple(unset)), {"run": key.digest, **unset})
            if verdicts:
                connection.execute(quality.delete().where(quality.c.run == key.digest, quality.c.dataset.in_(verdicts)))

    def record_published(self, key: RunKey, published: Published) -> None:
        """Keeps the table and version that the run published."""
        self._set(key, table_path=published.table, version=published.version, rows_published=published.rows)

    def record_loaded(self, key: RunKey, loaded: Loaded) -> None:
        """Keeps where the run's rows are served."""
        self._set(key, warehouse_table=loaded.table, warehouse_location=loaded.location, rows_loaded=loaded.rows)

    def record_report(self, key: RunKey, path: str) -> None:
        """Keeps where the run's report is."""
        self._set(key, report=path)

    def finish_run(self, key: RunKey, *, outcome: Outcome, error: str = "") -> None:
        """Records a run's end."""
        self._set(key, outcome=outcome.value, error=error, ended_at=datetime.now(UTC), interrupted=None)

    def interrupt_run(self, key: RunKey, *, error: str, ended_at: datetime) -> bool:
        """Records, as ERROR, the end of a run that could not record one itself; False where it has recorded one."""
        table = schema.runs
        statement = (
            update(table)
            .where(table.c.run == key.digest, table.c.outcome == Outcome.RUNNING.value)
            .values(outcome=Outcome.ERROR.value, error=error, ended_at=ended_at, interrupted=True)
        )
        with self._database.writing(once=True) as connection:
            return connection.execute(statement).rowcount > 0

    def _set(self, key: RunKey, **values: Any) -> None:
        if values:
            with self._database.writing(once=True) as connection:
                _change(connection, key, values)

    # --- looking back

    def history(self, *, pipeline: str | None = None, limit: int = 20) -> tuple[RunRecord, ...]:
        """The latest runs, newest first, of one pipeline or of all."""
        query = select(schema.runs).order_by(schema.runs.c.started_at.desc(), schema.runs.c.run).limit(limit)
        if pipeline is not None:
            query = query.where(schema.runs.c.pipeline == pipeline)
        with self._database.reading() as connection:
            return reading.run_records(connection, connection.execute(query).all())

    def run(self, run_id_or_prefix: str | None = None, *, pipeline: str | None = None) -> RunRecord:
        """One run by its id or the start of it; the latest where none is given.

        Of one pipeline's runs with exactly this id, the one started last.

        Raises:
            UsageError: there is none, or the text fits several.
        """
        with self._database.reading() as connection:
            row = find_run(connection, run_id_or_prefix, pipeline=pipeline, address=self.address)
            return reading.run_records(connection, [row])[0]

    def record(self, key: RunKey) -> RunRecord | None:
        """The run of exactly this key, or None."""
        with self._database.reading() as connection:
            found = connection.execute(statements.rows_of_run(schema.runs), {"run": key.digest}).all()
            return next(iter(reading.run_records(connection, found)), None)

    def latest_outcome(self, pipeline: str, slice: Slice, run_id: str) -> tuple[int, Outcome] | None:
        """Generation and outcome of a run, of its highest generation; None where it is not recorded."""
        asked = {"pipeline": pipeline, "slice_start": slice.start, "run_id": run_id}
        with self._database.reading() as connection:
            found = connection.execute(statements.latest_of_run(), asked).first()
        return (found.generation, Outcome(found.outcome)) if found else None

    def attempts(self, key: RunKey) -> tuple[StepResult, ...]:
        """Every attempt of every step of a run, in the order they started."""
        table = schema.steps
        with self._database.reading() as connection:
            rows = connection.execute(select(table).where(table.c.run == key.digest)).all()
        return tuple(reading.step_result(row) for row in reading.in_order(rows))

    def runs_of_slice(self, pipeline: str, slice: Slice, generation: int) -> tuple[RunRecord, ...]:
        """Runs of a slice's generation, newest first."""
        table = schema.runs
        query = (
            select(table)
            .where(table.c.pipeline == pipeline, table.c.slice_start == slice.start, table.c.generation == generation)
            .order_by(table.c.started_at.desc(), table.c.run)
        )
        with self._database.reading() as connection:
            return reading.run_records(connection, connection.execute(query).all())

    def earlier_verdicts(self, pipeline: str, slice: Slice, *, dataset: str, last: int) -> tuple[QualityResult, ...]:
        """What a dataset was found to be in the latest `last` earlier slices that passed and were published.

        Earlier is by the slice's start, not by when it ran. Each slice counts once, by its newest published generation;
        one without a row does not count.

        Returns:
            The verdicts, the latest slice first.
        """
        with self._database.reading() as connection:
            return reading.earlier_verdicts(connection, pipeline, dataset=dataset, before=slice.start, last=last)

    def running(self, *, since: datetime) -> tuple[RunRecord, ...]:
        """Runs that have started since then and not ended, newest first."""
        table = schema.runs
        query = (
            select(table)
            .where(table.c.outcome == Outcome.RUNNING.value, table.c.started_at >= since)
            .order_by(table.c.started_at.desc(), table.c.run)
        )
        with self._database.reading() as connection:
            return reading.run_records(connection, connection.execute(query).all())

    def processes(self, host: str, *, pipeline: str | None = None) -> tuple[tuple[RunKey, ProcessMark], ...]:
        """The runs that have not ended and that one process of this host runs, newest first; none of Airflow's.

        Few columns and no steps: each of Airflow's tasks asks for them.
        """
        table = schema.runs
        query = (
            select(*(table.c[name] for name in reading.PROCESS_COLUMNS))
            .where(table.c.outcome == Outcome.RUNNING.value, table.c.host == host)
            .order_by(table.c.started_at.desc(), table.c.run)
        )
        if pipeline is not None:
            query = query.where(table.c.pipeline == pipeline)
        with self._database.reading() as connection:
            found = connection.execute(query).all()
        return tuple((reading.run_key(row), ProcessMark(row.host, row.pid, row.process_started)) for row in found)

    def pipelines_of_table(self, table_path: str) -> frozenset[str]:
        """Pipelines that have published to a table, or quarantined rows in it."""
        runs, kept = schema.runs, schema.quarantine
        published = select(runs.c.pipeline).where(runs.c.table_path == table_path)
        quarantined = (
            select(runs.c.pipeline).join(kept, kept.c.run == runs.c.run).where(kept.c.table_path == table_path)
        )
        with self._database.reading() as connection:
            found = [*connection.execute(published).scalars(), *connection.execute(quarantined).scalars()]
        return frozenset(found)

    def quarantine_tables(self) -> tuple[tuple[str, str, str], ...]:
        """Every quarantine table that a run has written: pipeline, source, path."""
        runs, kept = schema.runs, schema.quarantine
        query = select(runs.c.pipeline, kept.c.source, kept.c.table_path).join(kept, kept.c.run == runs.c.run)
        with self._database.reading() as connection:
            return tuple(sorted({(row[0], row[1], row[2]) for row in connection.execute(query.distinct())}))

    def metrics(self, pipeline: str, *, last: int = 30) -> PipelineMetrics:
        """Success, durations, scores and costs over the latest `last` runs that have ended."""
        with self._database.reading() as connection:
            return reading.pipeline_metrics(connection, pipeline, last=last)

    def success_rate(self, pipeline: str, *, last: int = 30) -> float | None:
        """Runs that passed / runs that ended, 0..1; None without any."""
        return self.metrics(pipeline, last=last).success_rate

    # --- generations

    def current_generation(self, pipeline: str, slice: Slice) -> int:
        """The slice's generation: 1 until it is deliberately reprocessed."""
        return self._generations.current(pipeline, slice)

    def raise_generation(self, pipeline: str, slice: Slice, *, above: int = 1) -> int:
        """Raises the slice's generation by one, for a reprocess, and returns it.

        Args:
            pipeline: its name.
            slice: the data interval.
            above: what the table's log has published, which counts where this store does not know of it.
        """
        return self._generations.put(pipeline, slice, above=above, raised_by=1)

    def learn_generation(self, pipeline: str, slice: Slice, published: int) -> None:
        """Takes over a generation that the table's log has published; a higher one that is known stays."""
        self._generations.put(pipeline, slice, above=published, raised_by=0)

    # --- alerts

    def queue_alert(self, dedupe_key: str, payload: dict[str, Any]) -> bool:
        """Puts an alert into the outbox. False where one with this key was there before."""
        return self._alerts.queue(dedupe_key, payload)

    def pending_alerts(self) -> tuple[QueuedAlert, ...]:
        """Alerts that have not been sent, oldest first."""
        return self._alerts.pending()

    def mark_alert(self, dedupe_key: str, *, sent: bool, error: str = "") -> None:
        """Records that an alert was sent, or why it was not; then it stays pending."""
        self._alerts.mark(dedupe_key, sent=sent, error=error)


def _put(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Puts the row in place of the one with its key."""
    connection.execute(statements.upsert(table, tuple(row)), row)


def _change(connection: Connection, key: RunKey, values: Mapping[str, Any]) -> None:
    done = connection.execute(statements.change_run(tuple(values)), {"run": key.digest, **values})
    if done.rowcount == 0:
        raise UsageError(
            "the run is not in the control store",
            where=f"{key.pipeline} {key.slice} {key.run_id}",
            fix="start_run first",
        )


def _row_columns(counts: Mapping[str, int | None]) -> dict[str, int | None]:
    if unknown := [name for name in counts if name not in _COUNTS]:
        raise UsageError(f"unknown row counts {', '.join(unknown)}", fix=f"use {', '.join(_COUNTS)}")
    return {f"rows_{name}": value for name, value in counts.items()}
