"""Scheduled batch pipelines declared in one file."""
