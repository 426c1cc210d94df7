"""Dotted names of a declaration, turned into the project's Python objects."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from batch_processing.errors import CodeReferenceError

_SHAPE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*|[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_active_root: list[str] = []
_own_modules: set[str] = set()
"""Modules that came from the active root."""


def reference_problem(name: str) -> str | None:
    """What is wrong with the shape of a dotted name, or None where nothing is."""
    if _SHAPE.fullmatch(name):
        return None
    return f"{name[:120]!r} is not a dotted name; valid: package.module:function or package.module.function"


def load_reference(name: str, *, root: Path, what: str) -> Any:
    """The object that a dotted name stands for.

    Args:
        name: `package.module:attribute` or `package.module.attribute`.
        root: the project's root; it is put on `sys.path` (at its end, so that no library is shadowed).
        what: what the name is for, as `transform`; it opens the error's text.

    Raises:
        CodeReferenceError: no such module or attribute, or the module's import failed (the cause is chained).
    """
    if problem := reference_problem(name):
        raise CodeReferenceError(f"{what} cannot be imported", where=name[:120], found=problem)
    module_name, _, attribute = name.partition(":") if ":" in name else name.rpartition(".")
    _enter(root, module_name)
    found: Any = _import(module_name, name=name, root=root, what=what)
    walked = module_name
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise _no_attribute(found, part, walked=walked, name=name, what=what)
        found, walked = getattr(found, part), f"{walked}.{part}"
    return found


def _enter(root: Path, module_name: str) -> None:
    """Makes a project's modules importable; those of another project leave, so that equal names never mix."""
    place = str(root.absolute())
    if _active_root != [place]:
        for other in _active_root:
            _leave(other)
        _active_root[:] = [place]
    if place not in sys.path:
        sys.path.append(place)
    _drop_namesake(module_name.partition(".")[0], root)
    if module_name not in sys.modules:
        importlib.invalidate_caches()


def _drop_namesake(top: str, root: Path) -> None:
    """Forgets a loaded module of that name that is not a library's, where the project has one of its own."""
    file = getattr(sys.modules.get(top), "__file__", None)
    if file is None or _is_under(top, root) or not ((root / f"{top}.py").is_file() or (root / top).is_dir()):
        return
    if any(Path(file).is_relative_to(prefix) for prefix in (sys.prefix, sys.base_prefix)):
        return
    for loaded in [key for key in sys.modules if key == top or key.startswith(f"{top}.")]:
        del sys.modules[loaded]


def _leave(other: str) -> None:
    if other in sys.path:
        sys.path.remove(other)
    for loaded in _own_modules:
        sys.modules.pop(loaded, None)
    _own_modules.clear()


def _import(module_name: str, *, name: str, root: Path, what: str) -> ModuleType:
    before = set(sys.modules)
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise _failed(error, module_name=module_name, name=name, what=what) from error
        near = difflib.get_close_matches(module_name, _modules_beside(error.name, root), n=3)
        raise CodeReferenceError(
            f"{what} cannot be imported",
            where=name,
            found=f"no module {error.name!r} in {root} or among the installed packages"
            + (f"; near: {', '.join(near)}" if near else ""),
            fix="correct the name, or put the module into the project's root",
        ) from error
    except (Exception, SystemExit) as error:  # the user's module may raise anything while it is imported
        raise _failed(error, module_name=module_name, name=name, what=what) from error
    finally:
        _own_modules.update(key for key in set(sys.modules) - before if _is_under(key, root))


def _is_under(module_name: str, root: Path) -> bool:
    file = getattr(sys.modules.get(module_name), "__file__", None)
    return file is not None and Path(file).is_relative_to(root.absolute()) and "site-packages" not in file


def _failed(error: BaseException, *, module_name: str, name: str, what: str) -> CodeReferenceError:
    line = error.lineno if isinstance(error, SyntaxError) else _last_line(error)
    return CodeReferenceError(
        f"{what} cannot be imported: importing {module_name} raised {type(error).__name__}",
        where=name,
        found=str(error)[:500] + (f" (line {line})" if line and not isinstance(error, SyntaxError) else ""),
        fix=f"run python -c 'import {module_name}' in the project's root and correct the module",
    )


def _last_line(error: BaseException) -> int | None:
    trace, line = error.__traceback__, None
    while trace is not None:
        line, trace = trace.tb_lineno, trace.tb_next
    return line


def _no_attribute(owner: Any, part: str, *, walked: str, name: str, what: str) -> CodeReferenceError:
    public = [key for key in dir(owner) if not key.startswith("_")]
    near = difflib.get_close_matches(part, public, n=3) or public[:10]
    file = getattr(owner, "__file__", None)
    return CodeReferenceError(
        f"{what} cannot be imported: {walked} has no {part!r}",
        where=name,
        found=f"{file or walked} defines {', '.join(near) or 'nothing public'}",
        fix="correct the name, or define it there",
    )


def _modules_beside(missing: str, root: Path) -> list[str]:
    parent = missing.rpartition(".")[0]
    if not parent:
        return [info.name for info in pkgutil.iter_modules([str(root)])]
    package = sys.modules.get(parent)
    path = list(getattr(package, "__path__", []))
    return [f"{parent}.{info.name}" for info in pkgutil.iter_modules(path)]
