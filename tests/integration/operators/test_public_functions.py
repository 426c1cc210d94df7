"""A pipeline written by hand with the public functions, in a fresh interpreter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.services.airflow import run_python
from tests.services.project import SUITE

pytestmark = [pytest.mark.airflow]

EXAMPLE = """
import sys
from pathlib import Path

from batch_processing.operators.data_extraction import extract_data
from batch_processing.operators.data_validation import validate_data
from batch_processing.operators.delta_lake import write_to_delta_lake
from batch_processing.operators.spark_transform import transform_data
from batch_processing.spark.session import get_spark_session

root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

spark = get_spark_session()
df = extract_data(spark, str(root / "*.csv"), schema={"id": "bigint", "amount": "double"})
if not validate_data(df, "orders", suites_dir=root):
    raise ValueError("Data validation failed")
df_transformed = transform_data(spark, {"orders": df}, "seed_jobs:transform", root=root)
published = write_to_delta_lake(df_transformed, str(root / "batch"))
print(published.rows, published.version)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "orders.json").write_text(json.dumps(SUITE))
    (tmp_path / "seed_jobs.py").write_text(
        "def transform(spark, inputs):\n    return inputs['orders'].selectExpr('id', 'amount * 2 AS doubled')\n"
    )
    return tmp_path


def _run(folder: Path) -> str:
    return run_python(f"import sys\nsys.argv = ['x', {str(folder)!r}]\n{EXAMPLE}", home=folder / "airflow")


def test_the_seeds_example_writes_a_table(folder: Path) -> None:
    from deltalake import DeltaTable

    (folder / "a.csv").write_text("id,amount\n1,2.5\n2,3.5\n")

    assert _run(folder).splitlines()[-1] == "2 0"
    rows = DeltaTable(folder / "batch").to_pyarrow_table().sort_by("id").to_pylist()
    assert rows == [{"id": 1, "doubled": 5.0}, {"id": 2, "doubled": 7.0}]


def test_the_seeds_example_stops_at_bad_data(folder: Path) -> None:
    (folder / "a.csv").write_text("id,amount\n1,2.5\n1,3.5\n")

    with pytest.raises(AssertionError, match="Data validation failed"):
        _run(folder)
    assert not (folder / "batch").exists()
