"""Box "Data Warehouse": loads exactly the published version, in one transaction with its ledger row."""

from __future__ import annotations

from batch_processing.operators.step import StepOperator


class LoadWarehouseOperator(StepOperator):
    """Serves the slice from the warehouse."""

    ui_color = "#f3e8fd"
