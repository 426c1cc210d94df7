"""How a command that cannot go on says so: a few lines on standard error, one JSON object where that was asked for."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from batch_processing.cli.json_output import standard_output, write_json
from batch_processing.errors import BatchError, DeclarationError

USAGE, TECHNICAL = 2, 3
RUN_KEYS = (
    "pipeline", "slice", "generation", "run_id", "engine", "outcome", "score", "rows", "delta", "warehouse",
    "steps", "report",
)  # fmt: skip
"""Keys of `run --json`, in order; all are there also where nothing could be started."""


def batch_error(error: BatchError, *, verb: str, as_json: bool) -> int:
    """Tells an error of ours and returns its exit code."""
    if isinstance(error, DeclarationError):
        _tell(f"{error.what}\n" + "\n".join(f"  {problem}" for problem in error.problems))
        problems = [{"file": p.file, "line": p.line, "key": p.key, "message": p.message} for p in error.problems]
        _print_json(verb, as_json, error=str(error), exit_code=error.exit_code, problems=problems)
        return error.exit_code
    parts = (("where", error.where), ("found", error.found), ("to do", error.fix))
    _tell("\n".join([error.what, *(f"  {name + ':':7}{text}" for name, text in parts if text)]))
    _print_json(verb, as_json, error=str(error), exit_code=error.exit_code)
    return error.exit_code


def other(error: Exception, *, verb: str, as_json: bool) -> int:
    """Tells wrong use that typer found, or an error that nobody expected."""
    # Typer's own errors have this method; their class is not part of its public names in every release.
    if hasattr(error, "format_message"):
        return _wrong_use(error, verb=verb, as_json=as_json)
    log = _keep_traceback(error)
    message = f"stopped on an unexpected {type(error).__name__}; the traceback is in {log}"
    _tell(message)
    _print_json(verb, as_json, error=message, exit_code=TECHNICAL)
    return TECHNICAL


def interrupted(*, verb: str, as_json: bool, exit_code: int) -> int:
    """Tells that Ctrl-C ended it."""
    _tell("interrupted")
    _print_json(verb, as_json, error="interrupted", exit_code=exit_code)
    return exit_code


def broken_pipe() -> int:
    """The reader of our output has gone: nothing is to be told, and Python must not complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), standard_output().fileno())
    return 0


def _wrong_use(error: Any, *, verb: str, as_json: bool) -> int:
    message = error.format_message().strip()
    context = getattr(error, "ctx", None)
    if not message:  # no arguments at all: typer has printed the help
        return USAGE
    command = context.command_path if context is not None else "batchctl"
    _tell(f"{message}\n  to do: {command} --help lists what is valid")
    _print_json(verb, as_json, error=message, exit_code=USAGE)
    return USAGE


def _tell(text: str) -> None:
    sys.stderr.write(f"batchctl: {text}\n")


def _print_json(verb: str, as_json: bool, **facts: Any) -> None:
    if as_json:
        blank = dict.fromkeys(RUN_KEYS) if verb == "run" else {}
        write_json(blank | facts)


def _keep_traceback(error: Exception) -> Path:
    handle, name = tempfile.mkstemp(prefix="batchctl-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
        file.write("".join(traceback.format_exception(error)))
    return Path(name)
