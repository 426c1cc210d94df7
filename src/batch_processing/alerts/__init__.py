"""Tells people by mail how a run ended. What happened is queued in the control store first and sent after."""
