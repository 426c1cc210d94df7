"""batchctl: the pipeline in a plain process."""
