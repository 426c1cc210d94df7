"""One run as one HTML file: no script, nothing loaded from elsewhere, no data values."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from batch_processing.control.records import RunRecord
from batch_processing.report import text
from batch_processing.report.view import build_view

_FOLDER = Path(__file__).parent / "template"


def render_report(record: RunRecord, *, now: datetime | None = None) -> str:
    """The report of a run, finished or not.

    Args:
        record: the run as the control store knows it; whatever is missing is left out.
        now: end of the bars of running steps.

    Returns:
        A whole HTML document.
    """
    page = template("report.html.j2").render(view=build_view(record, now=now))
    # A path may hold bytes that are no text (lone surrogates): the page shows a question mark there.
    return page.encode("utf-8", "replace").decode("utf-8")


@cache
def template(name: str) -> Template:
    """A page of the template folder, with the filters that pages use."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        number=text.number,
        percent=text.percent,
        duration=text.duration,
        memory=text.memory,
        size=text.size,
        moment=text.moment,
    )
    return environment.get_template(name)
