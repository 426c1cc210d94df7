"""How outcomes look on a terminal: a sign and a style each, so that none depends on colour alone."""

from __future__ import annotations

from batch_processing.results import Outcome

MARKS = {
    Outcome.PASS: "✓",
    Outcome.PASS_WITH_QUARANTINE: "◐",
    Outcome.FAIL: "✗",
    Outcome.ERROR: "!",
    Outcome.RUNNING: "…",
}
STYLES = {
    Outcome.PASS: "green",
    Outcome.PASS_WITH_QUARANTINE: "yellow",
    Outcome.FAIL: "red",
    Outcome.ERROR: "magenta",
    Outcome.RUNNING: "cyan",
}


def words(outcome: Outcome, *, interrupted: bool = False) -> str:
    """`PASS WITH QUARANTINE`; `INTERRUPTED` for a run whose process ended before it did."""
    return "INTERRUPTED" if interrupted else outcome.value.replace("_", " ")
