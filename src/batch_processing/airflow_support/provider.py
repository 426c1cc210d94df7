"""What Airflow asks of a package that it lists among its providers (entry point `apache_airflow_provider`)."""

from __future__ import annotations

from importlib.metadata import metadata
from typing import Any

_PACKAGE = "batch-processing"


def provider_info() -> dict[str, Any]:
    """Name, version and modules, in the form of Airflow's `provider_info.schema.json`.

    It runs at every start of every Airflow process: no import of Airflow or of an engine belongs here.
    """
    facts = metadata(_PACKAGE)
    return {
        "package-name": _PACKAGE,
        "name": "Batch Processing",
        "description": facts["Summary"],
        "versions": [facts["Version"]],
        "operators": [
            {
                "integration-name": "Batch Processing",
                "python-modules": [
                    "batch_processing.operators.data_extraction",
                    "batch_processing.operators.data_validation",
                    "batch_processing.operators.delta_lake",
                    "batch_processing.operators.maintenance",
                    "batch_processing.operators.spark_transform",
                    "batch_processing.operators.warehouse",
                ],
            }
        ],
        "triggers": [
            {
                "integration-name": "Batch Processing",
                "python-modules": ["batch_processing.operators.trigger"],
            }
        ],
    }
