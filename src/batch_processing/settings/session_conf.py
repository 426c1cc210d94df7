"""Properties of an engine's session: set where the session is made, read where its engine's nature matters."""

from __future__ import annotations

KEYS_AT_ONCE = "batch_processing.keys_at_once"
"""How many distinct keys one grouped count shall hold; more are counted part by part. Unset: no limit."""
