"""The DAG `batch_processor`, rendered from `pipelines/batch_processor.yml`.

Nothing is looked up when Airflow parses this file: Variables, connections and data are read when a task runs.
A wrong declaration shows up in the UI as an import error that lists every problem with its line.
"""

from __future__ import annotations

from pathlib import Path

from batch_processing.airflow_support.dag import build_dag
from batch_processing.settings.loading import load_pipeline

dag = build_dag(load_pipeline(Path(__file__).parent / "pipelines" / "batch_processor.yml"))
