"""Step manifests: the small files by which one step hands its result to the next.

A manifest is written by an atomic rename once its step is done; that rename is the step's commit point.
It says which attempt wrote it (`token`) and from what (`fingerprint`: upstream tokens, declaration, code), so
that a step run again either finds its own finished work or starts clean.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from batch_processing.errors import StorageError
from batch_processing.pipeline.identity import Tally
from batch_processing.results import FileFact, Landed, Published, QualityResult, RuleResult, Staged
from batch_processing.storage import read_json, write_json

ManifestT = TypeVar("ManifestT")


@dataclass(frozen=True)
class WaitManifest:
    """The files a source was found to have, cut into the parts that are extracted one by one."""

    token: str
    parts: tuple[tuple[FileFact, ...], ...]


@dataclass(frozen=True)
class ExtractManifest:
    """One extracted part of a source.

    `digests` has the SHA-256 of each landed and reject file, `identity` the rows landed of each input; both are empty
    where an older release extracted.
    """

    token: str
    landed: Landed
    digests: dict[str, str] = field(default_factory=dict)
    identity: dict[str, Tally] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceVerdict:
    """What `validate` found of one source.

    `quality` is None where the declaration asks for no validation of it; `quarantine` holds the bad rows
    where there are any.
    """

    landed: int
    valid: int
    quarantined: int
    quality: QualityResult | None = None
    quarantine: Published | None = None


@dataclass(frozen=True)
class ValidateManifest:
    """The verdicts on all sources."""

    token: str
    fingerprint: str
    sources: dict[str, SourceVerdict]


@dataclass(frozen=True)
class CustomManifest:
    """The table-level Python checks, by source."""

    token: str
    fingerprint: str
    rules: dict[str, tuple[RuleResult, ...]]


@dataclass(frozen=True)
class TransformManifest:
    """The staged output."""

    token: str
    fingerprint: str
    staged: Staged


@dataclass(frozen=True)
class OutputManifest:
    """The verdict on the staged output."""

    token: str
    fingerprint: str
    quality: QualityResult


@dataclass(frozen=True)
class PublishManifest:
    """The committed version."""

    token: str
    published: Published
    schema_json: str


@dataclass(frozen=True)
class EngineManifest:
    """The Connect server started for the run."""

    token: str
    remote: str
    state_file: str


@dataclass(frozen=True)
class Manifests:
    """The manifests of one run, in one folder."""

    folder: Path
    _adapters: dict[type[Any], TypeAdapter[Any]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of_run(cls, folder: Path) -> Manifests:
        """The manifests of the run whose work folder this is."""
        return cls(folder / "manifests")

    def write(self, step: str, value: object, *, part: int | None = None) -> None:
        """Makes `value` the manifest of a step (or of one part of it).

        Raises:
            StorageError: the disk refused; the step is then not done.
        """
        write_json(self._path(step, part), self._adapter(type(value)).dump_python(value, mode="json"))

    def read(self, step: str, kind: type[ManifestT], *, part: int | None = None) -> ManifestT | None:
        """The manifest of a step, or None where it has not finished.

        Raises:
            StorageError: it is there and is damaged.
        """
        path = self._path(step, part)
        value = read_json(path)
        if value is None:
            return None
        try:
            return self._adapter(kind).validate_python(value)  # type: ignore[no-any-return]
        except ValidationError as error:
            raise StorageError(
                "a step's manifest is damaged", where=str(path), found=str(error)[:300], fix="run the step again"
            ) from error

    def need(self, step: str, kind: type[ManifestT], *, part: int | None = None) -> ManifestT:
        """The manifest of an upstream step.

        Raises:
            StorageError: it is not there, though this step was started.
        """
        found = self.read(step, kind, part=part)
        if found is None:
            raise StorageError(
                f"step {step} has left no result",
                where=str(self._path(step, part)),
                fix=f"run {step} first (in Airflow clear it with all downstream); workers must share BATCH_HOME",
            )
        return found

    def remove_parts(self, step: str, *, part: int | None = None) -> None:
        """Removes one part of a step's manifests, or all of them, so that those of an earlier try are not mixed in.

        Raises:
            StorageError: the disk refused.
        """
        paths = self.folder.glob(f"{step}.*.json") if part is None else [self._path(step, part)]
        try:
            for path in paths:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                "a manifest of an earlier try cannot be removed", where=str(self.folder), found=error.strerror or ""
            ) from error

    def _path(self, step: str, part: int | None) -> Path:
        return self.folder / (f"{step}.json" if part is None else f"{step}.{part:05d}.json")

    def _adapter(self, kind: type[Any]) -> TypeAdapter[Any]:
        if kind not in self._adapters:
            self._adapters[kind] = TypeAdapter(kind)
        return self._adapters[kind]


def new_token() -> str:
    """A name for one attempt at a step, unique and safe in a path."""
    return uuid.uuid4().hex[:12]


def fingerprint(*parts: object) -> str:
    """SHA-256 (16 hex digits) of JSON-able parts."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
