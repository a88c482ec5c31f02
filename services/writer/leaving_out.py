"""Leaving out parts of a text so that what stays reads on: no character broken, no two words run into one."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from services.writer.graphemes import runs_together, seams
from services.writer.links import Span


def without(text: str, spans: Sequence[Span]) -> str:
    """The text without these parts, which are in order and apart; a character that reaches into one goes with it."""
    if not spans:
        return text
    kept, read_to, parts = "", 0, seams(text)
    for start, end in spans:
        kept += text[read_to : max(read_to, parts[bisect_right(parts, start) - 1])].rstrip(" ")
        read_to = parts[bisect_left(parts, end)]
        kept += " " if runs_together(kept, text[read_to:]) else ""
    return (kept + text[read_to:]).lstrip()
