"""The pipeline: a frozen plan, the steps that carry it out, and a runner for a plain process.

`plan` says which steps a declaration has and in which order; `steps` runs one of them; `runner` runs
all. Airflow renders the same plan and calls the same steps.
"""
