"""Python checks are marked, found by dotted name, and refused when they are not what they claim."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from batch_processing.errors import CodeReferenceError, UsageError
from batch_processing.quality.checks import RowCheck, TableCheck, load_checks, row_check, table_check
from batch_processing.results import Severity


def test_a_marked_function_is_still_callable() -> None:
    @row_check
    def same(df: Any) -> Any:
        return df

    assert isinstance(same, RowCheck)
    assert (same.id, same.severity, same("x")) == ("same", Severity.CRITICAL, "x")  # type: ignore[arg-type]


def test_the_decorator_takes_id_severity_and_columns() -> None:
    @table_check(id="t1", severity="warning", columns=["a"])
    def check(df: Any) -> bool:
        return True

    assert isinstance(check, TableCheck)
    assert (check.id, check.severity, check.columns) == ("t1", Severity.WARNING, ("a",))


def test_an_unknown_severity_or_an_empty_id_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown severity 'fatal'"):
        row_check(severity="fatal")(lambda df: df)  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="needs an id"):
        row_check(id="")(lambda df: df)


@pytest.fixture
def module(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, str]:
    name = f"checks_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(
        "from batch_processing.quality import row_check, table_check\n"
        "@row_check\ndef good(df):\n    return df\n"
        "@table_check\ndef whole(df):\n    return True\n"
        "@row_check(id='good')\ndef again(df):\n    return df\n"
        "def bare(df):\n    return df\n"
    )
    return tmp_path, name


def test_checks_load_by_dotted_name_in_order(module: tuple[Path, str]) -> None:
    root, name = module
    found = load_checks([f"{name}.whole", f"{name}:good"], root=root)
    assert ([c.id for c in found.row], [c.id for c in found.table]) == (["good"], ["whole"])


def test_a_function_without_a_mark_is_refused(module: tuple[Path, str]) -> None:
    root, name = module
    with pytest.raises(CodeReferenceError, match=r"@row_check or @table_check"):
        load_checks([f"{name}.bare"], root=root)


def test_an_absent_name_is_refused(module: tuple[Path, str]) -> None:
    root, name = module
    with pytest.raises(CodeReferenceError):
        load_checks([f"{name}.nope"], root=root)


def test_two_checks_with_one_id_are_refused(module: tuple[Path, str]) -> None:
    root, name = module
    with pytest.raises(UsageError, match="two checks have the id 'good'"):
        load_checks([f"{name}.good", f"{name}.again"], root=root)
