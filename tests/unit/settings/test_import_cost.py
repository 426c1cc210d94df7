"""Reading a declaration stays light."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("pyspark", "duckdb", "great_expectations", "airflow", "sqlalchemy", "pyarrow", "pandas", "deltalake", "httpx")

CODE = f"""
import sys
from pathlib import Path
import batch_processing.settings.values
import batch_processing.settings.references
from batch_processing.settings.loading import pipeline_from_dict
pipeline_from_dict({{
    "pipeline": "p",
    "schedule": "@daily",
    "sources": {{"o": {{"files": {{"path": "{{{{ var.value.x }}}}"}}, "schema": {{"a": "int"}}}}}},
    "transform": "a.b",
    "target": {{"table": "t", "mode": "append"}},
}}, root=Path("."))
print([name for name in {HEAVY!r} if name in sys.modules])
"""


def test_no_heavy_library_is_imported_to_read_a_declaration() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", CODE], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"
