"""`batchctl init`: a new project that runs at once."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from batch_processing.cli.sample import write_sample
from batch_processing.errors import StorageError, UsageError

_TEMPLATE = Path(__file__).parent / "template"
_RENAMED = {"gitignore": ".gitignore"}
_SKIPPED = ("__pycache__",)


def init_command(folder: Path, *, seed: int) -> int:
    """Makes the project and says what to type next.

    Raises:
        UsageError: the folder is there and not empty.
        StorageError: it cannot be written.
    """
    files = make_project(folder, seed=seed)
    shown = "\n".join(f"  {name}" for name in files)
    home = "" if folder.absolute() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    sys.stdout.write(f"Made a project in {folder.absolute()}:\n{shown}\n\nNext: {home}batchctl run\n")
    return 0


def make_project(folder: Path, *, seed: int) -> tuple[str, ...]:
    """Writes template and sample data; gives the files' names, relative to the folder.

    Raises:
        UsageError: the folder is there and not empty, or is a file.
        StorageError: it cannot be written.
    """
    _check_free(folder)
    try:
        for source in _template_files():
            target = folder / source.relative_to(_TEMPLATE).with_name(_RENAMED.get(source.name, source.name))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
        write_sample(folder / "data", seed=seed)
        return tuple(sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()))
    except OSError as error:
        raise StorageError(
            "cannot make the project", where=str(folder), found=error.strerror or "", fix="check space and rights"
        ) from error


def _template_files() -> list[Path]:
    return [path for path in _TEMPLATE.rglob("*") if path.is_file() and not set(path.parts) & set(_SKIPPED)]


def _check_free(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError("a project needs a folder", where=str(folder), found="a file", fix="name a new folder")
    if found := sorted(path.name for path in folder.iterdir()):
        names = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
        raise UsageError(
            "the folder is not empty", where=str(folder.absolute()), found=names, fix="name a new or an empty folder"
        )
