import logging
import re
import warnings
from pathlib import Path

import pytest

from batch_processing.cli.logs import run_log
from batch_processing.errors import StorageError

LINE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - shop - INFO - \[p 2026-11-01T00:00:00Z r1\] 3 rows\n"


def test_lines_have_the_common_format_with_run_and_slice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with run_log(tmp_path / "run", label="p 2026-11-01T00:00:00Z r1", verbose=False) as path:
        logging.getLogger("shop").info("%s rows", 3)
    assert re.fullmatch(LINE, path.read_text())
    assert capsys.readouterr().err == ""


def test_verbose_shows_the_same_lines_on_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with run_log(tmp_path, label="p 2026-11-01T00:00:00Z r1", verbose=True):
        logging.getLogger("shop").info("%s rows", 3)
    assert re.fullmatch(LINE, capsys.readouterr().err)


def test_the_root_logger_is_left_as_it_was(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    with run_log(tmp_path, label="x", verbose=True):
        pass
    assert (root.level, list(root.handlers)) == before


def test_python_s_warnings_go_to_the_log(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with run_log(tmp_path, label="x", verbose=False) as path:
            warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert "DeprecationWarning: old" in path.read_text()


def test_a_log_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="log"), run_log(tmp_path / "file" / "run", label="x", verbose=False):
        pass
