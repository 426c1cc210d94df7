"""Dotted names load the project's code, and say why where they do not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_processing.errors import CodeReferenceError
from batch_processing.settings.references import load_reference


@pytest.fixture(autouse=True)
def _restored_path() -> Iterator[None]:
    before = list(sys.path)
    yield
    sys.path[:] = before


def project(folder: Path, **modules: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_both_spellings_give_the_object(tmp_path: Path) -> None:
    root = project(tmp_path, jobs_a="class Job:\n    @staticmethod\n    def run(): return 7\nrun = Job.run\n")
    assert load_reference("jobs_a:run", root=root, what="transform")() == 7
    assert load_reference("jobs_a.run", root=root, what="transform")() == 7
    assert load_reference("jobs_a:Job.run", root=root, what="transform")() == 7
    assert sys.path.count(str(root)) == 1


def test_installed_packages_are_found_and_never_shadowed(tmp_path: Path) -> None:
    root = project(tmp_path, json="dumps = None\n")
    assert load_reference("json:dumps", root=root, what="check") is not None


def test_two_projects_with_equal_module_names_stay_apart(tmp_path: Path) -> None:
    one = project(tmp_path / "one", mychecks="WHO = 'one'\n")
    two = project(tmp_path / "two", mychecks="WHO = 'two'\n")
    found = [load_reference("mychecks:WHO", root=root, what="check") for root in (one, two, one)]
    assert found == ["one", "two", "one"]
    assert str(two) not in sys.path


def test_a_module_of_the_same_name_from_elsewhere_does_not_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = project(tmp_path / "elsewhere", namesake_b="WHO = 'another'\n")
    monkeypatch.syspath_prepend(str(elsewhere))
    importlib.import_module("namesake_b")
    monkeypatch.undo()
    own = project(tmp_path / "own", namesake_b="WHO = 'own'\n")
    assert load_reference("namesake_b:WHO", root=own, what="check") == "own"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nodots", ["not a dotted name", "package.module:function"]),
        ("a b:c", ["not a dotted name"]),
        ("jobz_b:run", ["no module 'jobz_b'", "near: jobs_b"]),
        ("jobs_b:rum", ["has no 'rum'", "defines run"]),
        ("jobs_b.missing:run", ["no module 'jobs_b.missing'"]),
        ("raises_b:run", ["raised ZeroDivisionError", "division by zero (line 2)"]),
        ("exits_b:run", ["raised SystemExit"]),
        ("syntax_b:run", ["raised SyntaxError"]),
        ("needs_b:run", ["raised ModuleNotFoundError", "not_installed_anywhere"]),
    ],
)
def test_a_name_that_does_not_load_says_why(tmp_path: Path, name: str, words: list[str]) -> None:
    root = project(
        tmp_path,
        jobs_b="def run(): ...\n",
        raises_b="x = 1\n1 / 0\n",
        exits_b="raise SystemExit(3)\n",
        syntax_b="def run(:\n",
        needs_b="import not_installed_anywhere\n",
    )
    with pytest.raises(CodeReferenceError, match="transform cannot be imported") as caught:
        load_reference(name, root=root, what="transform")
    for word in words:
        assert word in str(caught.value)


def test_the_cause_is_chained(tmp_path: Path) -> None:
    root = project(tmp_path, raises_c="1 / 0\n")
    with pytest.raises(CodeReferenceError) as caught:
        load_reference("raises_c:run", root=root, what="transform")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_corrected_module_loads_after_a_failed_try(tmp_path: Path) -> None:
    root = project(tmp_path, late_d="1 / 0\n")
    with pytest.raises(CodeReferenceError):
        load_reference("late_d:run", root=root, what="transform")
    project(tmp_path, late_d="run = 'a longer text than before'\n")
    assert load_reference("late_d:run", root=root, what="transform")
