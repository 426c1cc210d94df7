"""The DAG `batch_maintenance`: once a week, the upkeep of every Delta table that a pipeline in `pipelines/` declares.

Which tables those are is found when its first task runs. What it does to each is `batchctl maintain`.
"""

from __future__ import annotations

from pathlib import Path

from batch_processing.airflow_support.maintenance import build_maintenance_dag

dag = build_maintenance_dag(Path(__file__).parent / "pipelines")
