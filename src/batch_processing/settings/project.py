"""The project a pipeline file belongs to: its folders, its control store, its settings file."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batch_processing.results import Slice
from batch_processing.settings.connections_file import FILE_NAME as CONNECTIONS_FILE
from batch_processing.storage import local_path

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST_NAME = 120


@dataclass(frozen=True)
class Project:
    """Where the pipelines of one folder keep what they need and what they leave.

    Attributes:
        root: the folder that holds `gx/`; project modules are imported from here.
        home: work folder of the runs (`BATCH_HOME`, else `root/.batch`).
        control_url: SQLAlchemy URL of the control store (`BATCH_CONTROL_STORE`, else SQLite in `home`). May
            hold a password, so it stays out of `repr`.
        named_settings: the settings file that `BATCH_SETTINGS` names, or None.
    """

    root: Path
    home: Path
    control_url: str
    named_settings: Path | None = None

    def __repr__(self) -> str:
        return f"Project(root={str(self.root)!r}, home={str(self.home)!r})"

    @property
    def suites_dir(self) -> Path:
        """`root/gx/expectations`."""
        return self.root / "gx" / "expectations"

    def run_folder(self, pipeline: str, slice: Slice, generation: int, run_id: str) -> Path:
        """The work folder of one run: `home/runs/<pipeline>/<slice key>/g<generation>/<run id>`."""
        return self.home / "runs" / pipeline / slice.key / f"g{generation}" / safe_name(run_id)

    def place(self, path: str) -> str:
        """A path of the declaration as an absolute one: a relative path counts from the project's root.

        Raises:
            UsageError: a URI of a scheme that is not supported.
        """
        if "://" in path or path.startswith("~"):
            return str(local_path(path))
        return str(self.root / path)

    def settings_file(self) -> Path | None:
        """The JSON file of variables for runs outside Airflow, or None.

        The file that `BATCH_SETTINGS` names wins, also where it does not exist, so that a mistyped path is
        reported rather than passed over.
        """
        if self.named_settings is not None:
            return self.named_settings
        return self._configuration("variables.json")

    def connections_file(self) -> Path | None:
        """The JSON file of connections for runs outside Airflow, in the same places, or None."""
        return self._configuration(CONNECTIONS_FILE)

    def _configuration(self, name: str) -> Path | None:
        places = (self.root / name, self.root / "config" / name, self.root.parent / "config" / name)
        return next((place for place in places if place.is_file()), None)


def find_project(pipeline_file: Path, *, environ: Mapping[str, str] = os.environ) -> Project:
    """The project of a pipeline file: the nearest folder above it that holds a `gx` folder, else its own folder."""
    folder = pipeline_file.absolute().parent
    root = next((place for place in (folder, *folder.parents) if (place / "gx").is_dir()), folder)
    return project_at(root, environ=environ)


def project_at(root: Path, *, environ: Mapping[str, str] = os.environ) -> Project:
    """The project whose root is known."""
    place = root.absolute()
    home = Path(environ["BATCH_HOME"]).expanduser().absolute() if environ.get("BATCH_HOME") else place / ".batch"
    named = environ.get("BATCH_SETTINGS")
    return Project(
        root=place,
        home=home,
        control_url=environ.get("BATCH_CONTROL_STORE") or f"sqlite:///{home}/control.db",
        named_settings=Path(named).expanduser().absolute() if named else None,
    )


def safe_name(text: str) -> str:
    """A file name for a text: itself where it is safe, else cleaned with a short digest, so that two never meet."""
    if text and len(text) <= _LONGEST_NAME and not _UNSAFE.search(text) and text.strip("."):
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{_UNSAFE.sub('_', text)[:_LONGEST_NAME].strip('._') or 'run'}-{digest}"
