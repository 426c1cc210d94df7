"""Airflow's operators, one module per box of the flow, and the seed's public functions beside them."""
