"""Airflow's operators, one module per box of the flow; beside them functions for use without a declaration."""
