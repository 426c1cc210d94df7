"""The control store: what ran, how it ended and what it cost."""
