"""The verdict on data alone, with no run around it, as one HTML file: no script, nothing loaded, no data values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from batch_processing.report.html import template
from batch_processing.report.view import dataset_view
from batch_processing.results import Outcome, QualityResult

_SENTENCES = {
    Outcome.PASS: "Every row holds every critical rule.",
    Outcome.PASS_WITH_QUARANTINE: "Some rows broke a critical rule, no more than the threshold tolerates.",
    Outcome.FAIL: "The data did not pass.",
    Outcome.ERROR: "Something could not be judged, so there is no verdict on the data.",
}


def render_verdict(
    results: Sequence[QualityResult], *, outcome: Outcome, data: str, now: datetime | None = None
) -> str:
    """The page.

    Args:
        results: the verdict on the rows first, then one on table checks where there is any.
        outcome: the verdict on all of them.
        data: path of the data, for the title.
        now: time of the check; default now.

    Returns:
        A whole HTML document.
    """
    page = template("verdict.html.j2").render(
        outcome=outcome,
        sentence=_SENTENCES[outcome],
        data=data,
        rows=results[0],
        datasets=[dataset_view(result, has_score=index == 0) for index, result in enumerate(results)],
        now=now or datetime.now(UTC),
    )
    return page.encode("utf-8", "replace").decode("utf-8")
