"""Standard output for a person: the terminal's width, or wide lines in a file or pipe."""

from __future__ import annotations

from rich.console import Console

_FILE_WIDTH = 200  # columns


def output_console() -> Console:
    """A console on standard output. It colours nothing by itself and honours NO_COLOR."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_FILE_WIDTH)
