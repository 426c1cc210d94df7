"""The report in a real browser, with no network: what a person sees."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.services.project import GOOD_ROWS, SmallProject

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip


def _browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.fail("no Chromium here; on Debian: apt-get install chromium", pytrace=False)


def _browse(page: Path, profile: Path, *flags: str) -> str:
    command = [_browser(), *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_a_person_sees_outcome_ledger_and_reasons_and_the_page_asks_nobody(
    project: SmallProject, tmp_path: Path
) -> None:
    project.write_orders([*GOOD_ROWS, ",1,5.0,2026-11-01"])
    report = Path(project.run().report)
    shown = _browse(report, tmp_path / "profile", "--dump-dom")
    for words in ("PASS WITH QUARANTINE", "expect_column_values_to_not_be_null", "Quarantined", "load_warehouse"):
        assert words in shown
    assert "http://" not in shown.replace("http://www.w3.org/", "")
    assert "https://" not in shown


@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_a_phone_and_a_desk(project: SmallProject, tmp_path: Path, width: int) -> None:
    report = Path(project.run().report)
    # The page forbids scripts; to be measured from within it must allow this one.
    text = report.read_text().replace('http-equiv="Content-Security-Policy"', 'name="no-policy"')
    measure = "document.title = 'wide by ' + (document.documentElement.scrollWidth - window.innerWidth)"
    text = text.replace("</body>", f"<script>{measure}</script></body>")
    page = tmp_path / "measured.html"
    page.write_text(text)
    shown = _browse(page, tmp_path / "profile", "--dump-dom", f"--window-size={width},2000")
    assert "<title>wide by 0</title>" in shown or "<title>wide by -" in shown
