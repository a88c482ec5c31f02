"""The terminal, where there is one."""

import os
import sys

from rich.console import Console


def is_screen() -> bool:
    """Whether standard output is a terminal that can be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def terminal() -> Console:
    """The terminal, for texts that hold no markup of ours."""
    return Console(markup=False, emoji=False, highlight=False)
