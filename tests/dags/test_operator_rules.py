"""Rules that every operator keeps, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_processing import operators

FOLDER = Path(operators.__file__).parent
BASES = ("StepOperator", "BaseOperator", "BaseSensorOperator", "BaseTrigger")
HEAVY = {
    "pyspark",
    "pysail",
    "duckdb",
    "deltalake",
    "great_expectations",
    "pyarrow",
    "pandas",
    "numpy",
    "httpx",
    "sqlalchemy",
}
HEAVY_ROOMS = ("sources", "quality", "spark", "delta_lake", "warehouse", "control", "report", "alerts")


def _classes() -> Iterator[tuple[str, ast.ClassDef]]:
    for file in sorted(FOLDER.glob("*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef) and any(isinstance(b, ast.Name) and b.id in BASES for b in node.bases):
                yield file.name, node


CLASSES = [pytest.param(node, id=f"{file}:{node.name}") for file, node in _classes()]
MODULES = [pytest.param(file, id=file.name) for file in sorted(FOLDER.glob("*.py"))]


def _method(node: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    return next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == name), None)


def test_there_is_an_operator_for_every_box() -> None:
    assert len(CLASSES) >= 12


@pytest.mark.parametrize("node", CLASSES)
def test_init_assigns_and_does_nothing_else(node: ast.ClassDef) -> None:
    init = _method(node, "__init__")
    if init is None:
        return
    names = {argument.arg for argument in [*init.args.args, *init.args.kwonlyargs]} - {"self"}
    first, *rest = init.body
    assert ast.unparse(first) in ("super().__init__(**kwargs)", "super().__init__()")
    assert {ast.unparse(one) for one in rest} == {f"self.{name} = {name}" for name in names}


@pytest.mark.parametrize("node", CLASSES)
def test_template_fields_are_attributes_that_init_assigns(node: ast.ClassDef) -> None:
    given = {ast.unparse(one.target): one.value for one in node.body if isinstance(one, ast.AnnAssign)}
    fields = given.get("template_fields")
    if fields is None:
        return
    init = _method(node, "__init__")
    assigned = ast.unparse(init) if init else ""
    for name in ast.literal_eval(fields):
        assert f"self.{name} = {name}" in assigned


@pytest.mark.parametrize("node", CLASSES)
def test_execute_is_short(node: ast.ClassDef) -> None:
    execute = _method(node, "execute")
    if execute is not None:
        assert (execute.end_lineno or 0) - execute.lineno < 30


def _imported(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


@pytest.mark.parametrize("file", MODULES)
def test_a_module_imports_no_engine_and_no_box_where_a_dag_is_parsed(file: Path) -> None:
    for node in ast.parse(file.read_text()).body:
        names = (
            [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        for name in names:
            assert name.partition(".")[0] not in HEAVY
            assert not name.startswith(tuple(f"batch_processing.{room}" for room in HEAVY_ROOMS))
            assert name not in ("batch_processing.pipeline.steps", "batch_processing.pipeline.context")
