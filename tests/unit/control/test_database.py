"""Which URLs the control store takes, and what its errors say."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_processing.control.database import open_database
from batch_processing.errors import ControlStoreError, UsageError


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://u:hidden@h/d", "nonsense", "oracle+none://u:hidden@h/d"]
)
def test_other_urls_are_refused_without_telling_the_password(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_database(url)
    assert "hidden" not in str(caught.value)
    assert "sqlite:////absolute/path/control.db" in caught.value.fix


def test_the_folder_is_made_on_first_use(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path}/a/b/control.db").close()
    assert (tmp_path / "a/b/control.db").is_file()


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ControlStoreError, match="folder cannot be made"):
        open_database(f"sqlite:///{tmp_path}/file/control.db")


def test_an_sqlite_store_is_in_wal_mode(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/control.db")
    with database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    database.close()
