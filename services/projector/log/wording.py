"""Wording: how positions and copies of the log are told to people."""

from collections.abc import Sequence
from itertools import islice

from services.projector.verify.wording import stretches

STRETCHES_MAX = 5
"""Told in one sentence; behind them it only says that there are more."""


def told_stretches(positions: Sequence[int], most: int = STRETCHES_MAX) -> str:
    """These rising positions, in words: "positions 3 to 5, position 9"."""
    told = list(islice(stretches(positions), most + 1))
    return ", ".join(told[:most]) + (", and more" if len(told) > most else "")


def told_copies(servers: Sequence[str]) -> str:
    """What is spoken of, as one thing: the log, or its copy on these servers."""
    return f"the log's copy on {' and on '.join(servers)}" if servers else "the log"
