"""What a step is given: the declaration, the slice, where values and results are kept, and the engine."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from batch_processing.control.process import this_process
from batch_processing.control.records import RunKey
from batch_processing.control.store import ControlStore
from batch_processing.errors import EngineError
from batch_processing.pipeline.generations import generation_of_run
from batch_processing.pipeline.interruption import end_interrupted
from batch_processing.pipeline.manifests import EngineManifest, Manifests
from batch_processing.pipeline.plan import Plan, build_plan
from batch_processing.results import Slice
from batch_processing.settings.loading import LoadedPipeline
from batch_processing.settings.models import EngineSpec, PipelineSpec
from batch_processing.settings.project import Project
from batch_processing.settings.references import load_reference
from batch_processing.settings.values import Values, render, render_threshold

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from batch_processing.spark.session import Engine


@dataclass
class RunContext:
    """One run of one slice, as its steps see it. Made by `open_run`.

    Attributes:
        loaded: the declaration with its file and project.
        plan: its plan, with the run's engine.
        key: pipeline, slice, generation and run id.
        values: variables and connections, read when asked.
        control: the control store.
        folder: the run's folder; everything a step leaves behind is under it.
        one_process: all steps run in this process; False where each is a task of its own.
    """

    loaded: LoadedPipeline
    plan: Plan
    key: RunKey
    values: Values
    control: ControlStore
    folder: Path
    one_process: bool = True
    _engine: Engine | None = None

    @property
    def spec(self) -> PipelineSpec:
        return self.plan.spec

    @property
    def project(self) -> Project:
        return self.loaded.project

    @property
    def slice(self) -> Slice:
        return self.key.slice

    @property
    def generation(self) -> int:
        return self.key.generation

    @property
    def run_id(self) -> str:
        return self.key.run_id

    @property
    def report_path(self) -> Path:
        return self.folder / "report.html"

    @cached_property
    def manifests(self) -> Manifests:
        return Manifests.of_run(self.folder)

    @property
    def app_id(self) -> str:
        """Id of the slice's app transaction in the target table's log; its version is the generation."""
        return slice_app_id(self.spec.pipeline, self.slice)

    @property
    def attempt_folder(self) -> str:
        """Folder of this run's staged files, relative to a table's root; a step adds its token."""
        return f"{self.slice.key}/g{self.generation}"

    def render(self, template: str) -> str:
        """A template of the declaration, rendered for this run."""
        return render(template, values=self.values, slice=self.slice, extra=self._run_facts())

    def threshold(self, value: float | str) -> float:
        """A threshold of the declaration as a number, 0..1."""
        return render_threshold(value, values=self.values, slice=self.slice, extra=self._run_facts())

    def target_table(self) -> str:
        """The target table's root path."""
        return self.place(self.spec.target.table)

    def quarantine_table(self, source: str) -> str:
        """The root path of a source's quarantine table."""
        root = self.place(self.spec.quarantine) if self.spec.quarantine else str(self.project.home / "quarantine")
        return f"{root.rstrip('/')}/{self.spec.pipeline}/{source}"

    def place(self, template: str) -> str:
        """A path of the declaration, rendered and made absolute; a relative one is the project's.

        Raises:
            UsageError: a scheme that is not supported.
        """
        return self.project.place(self.render(template))

    def load_code(self, name: str, *, what: str) -> object:
        """The object a dotted name of the declaration stands for."""
        return load_reference(name, root=self.project.root, what=what)

    def code_digest(self, name: str, *, what: str) -> str:
        """The source text of the module that a dotted name is in, for fingerprints; "" where it has none."""
        found = self.load_code(name, what=what)
        found = getattr(found, "function", found)  # a marked check holds the user's function
        try:
            return inspect.getsource(importlib.import_module(getattr(found, "__module__", "")))
        except (OSError, TypeError, ValueError, ImportError):
            return ""

    @property
    def spark(self) -> SparkSession:
        """A Spark Connect session on the run's engine, opened at the first use."""
        if self._engine is None:
            from batch_processing.spark.session import Engine

            spec, remote = self._engine_spec()
            workdir = self.folder / "engine"
            workdir.mkdir(parents=True, exist_ok=True)
            self._engine = Engine.open(
                spec, project_root=self.project.root, workdir=workdir, remote_from_connection=remote
            )
        return self._engine.session

    def close(self) -> None:
        """Ends the session; a server that runs for the whole run is ended by its own step."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def rendered_engine(self) -> EngineSpec:
        """The declared engine with its templates rendered."""
        engine = self.spec.engine
        rendered = {name: self.render(text) for name in ("remote", "master") if (text := getattr(engine, name))}
        return engine.model_copy(update=rendered)

    def _engine_spec(self) -> tuple[EngineSpec, str | None]:
        engine = self.rendered_engine()
        if engine.connection is not None:
            connection = self.values.connection(engine.connection)
            host = (connection.host or "").removeprefix("sc://")
            if not host:
                raise EngineError(
                    "the Spark Connect connection has no host", where=engine.connection, fix="set host and port"
                )
            return engine, f"sc://{host}:{connection.port or 15002}"
        if engine.master is not None:
            server = self.manifests.need("start_engine", EngineManifest)
            return EngineSpec(name="spark", remote=server.remote), None
        return engine, None

    def _run_facts(self) -> dict[str, object]:
        project = str(self.project.root)
        return {
            "project": project,
            "pipeline": self.spec.pipeline,
            "run_id": self.run_id,
            "generation": self.generation,
        }


def slice_app_id(pipeline: str, slice: Slice) -> str:
    """Id of a slice's app transaction in the log of its pipeline's target table."""
    return f"batch_processing:{pipeline}:{slice.iso}"


@contextmanager
def open_run(
    loaded: LoadedPipeline,
    *,
    values: Values,
    slice: Slice,
    run_id: str,
    generation: int | None = None,
    engine: EngineSpec | None = None,
    trigger: str = "cli",
) -> Iterator[RunContext]:
    """Opens a run for its steps; the same run may be opened by many processes, one after the other.

    Args:
        loaded: the declaration.
        values: where variables and connections come from.
        slice: the data interval.
        run_id: unique in its pipeline; a retry has the run's own id.
        generation: how often the slice was deliberately reprocessed; by default `generation_of_run` says it.
        engine: instead of the declared engine.
        trigger: who started it, for the history.

    Raises:
        ControlStoreError: the control store cannot be reached.
    """
    spec = loaded.spec if engine is None else loaded.spec.model_copy(update={"engine": engine})
    plan = build_plan(spec)
    project = loaded.project
    with ControlStore.open(project.control_url) as control:

        def context(generation: int) -> RunContext:
            key = RunKey(pipeline=spec.pipeline, slice=slice, generation=generation, run_id=run_id)
            folder = project.run_folder(spec.pipeline, slice, generation, run_id)
            return RunContext(loaded, plan, key, values, control, folder, one_process=trigger != "airflow")

        ctx = context(generation_of_run(context(1)) if generation is None else generation)
        # An Airflow run has many processes, one after the other; its callbacks end it.
        process = None if trigger == "airflow" else this_process()
        if control.start_run(ctx.key, engine=spec.engine.name, trigger=trigger, process=process):
            end_interrupted(control, pipeline=spec.pipeline)
        try:
            yield ctx
        finally:
            ctx.close()
