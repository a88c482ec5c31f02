"""Graphemes: characters as people see them, however many code points each is joined from (Unicode's UAX #29)."""

from unicodedata import category

import regex

_GRAPHEME = regex.compile(r"\X")


def grapheme_length(text: str) -> int:
    """How many characters people see in the text."""
    if text.isascii():  # the only ones that join are these two
        return len(text) - text.count("\r\n")
    return len(_GRAPHEME.findall(text))


def seams(text: str) -> list[int]:
    """Where the text may be parted without breaking a character: its beginning, and the end of each."""
    return [0, *(found.end() for found in _GRAPHEME.finditer(text))]


def runs_together(before: str, after: str) -> bool:
    """Would the two, written one after the other, read as one word, or become one character?"""
    return bool(before and after) and all(
        category(side)[0] not in "PZ" and not side.isspace() for side in (before[-1], after[0])
    )
