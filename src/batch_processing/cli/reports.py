"""`batchctl report`: a run's HTML page, rendered anew from the control store."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path

from batch_processing.cli.places import current_project
from batch_processing.cli.stores import looking_back
from batch_processing.report.html import render_report
from batch_processing.storage import write_atomic


def report_command(run_id: str | None, *, pipeline: str | None, open_it: bool) -> int:
    """Writes the report and prints its path.

    Raises:
        UsageError: no such run.
        BatchError: the store cannot be read or the file not be written.
    """
    project = current_project()
    with looking_back(project) as control:
        record = control.run(run_id, pipeline=pipeline)
    key = record.key
    kept = Path(record.report) if record.report else None
    folder = project.run_folder(key.pipeline, key.slice, key.generation, key.run_id)
    target = (kept or folder / "report.html").absolute()
    write_atomic(target, render_report(record).encode())
    sys.stdout.write(f"{target}\n")
    if open_it and not webbrowser.open(target.as_uri()):
        sys.stderr.write("batchctl: no browser could be started; open the file by its path\n")
    return 0
