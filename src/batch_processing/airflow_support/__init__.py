"""Renders a plan into an Airflow DAG, with its callbacks, retry policy and provider metadata."""
