"""Cutting a text to a length so that it still reads: at a sentence, else at a word, else between two characters."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import regex

from services.writer.graphemes import seams
from services.writer.leaving_out import without
from services.writer.links import addresses

# A cut at a sentence or a word is worth it while it keeps this share of what the platform allows.
SHARE_MIN = 0.4


@dataclass(frozen=True, slots=True)
class Way:
    """A way of cutting: where the text may end, what is put there, and how much must be left of it."""

    ends: regex.Pattern[str]
    mark: str = ""
    share_min: float = 0


# A full stop ends no sentence after an initial or a short title (`U.S.`, `Dr.`), nor after the number of a list item.
_FULL_STOP = r"(?<!\b(?:\p{L}|\p{Lu}\p{Ll}{1,2}|vs))(?<!^\s*\d{1,2})\."
_CLOSING = r"[\"'”’»)\]」』）】]*+"
_SENTENCE_END = rf"""(?mx)
    (?: [!?…] | {_FULL_STOP} ) [.!?…]*+ {_CLOSING} (?= \s*+\Z | [^\S\n]*+\n | \s++(?![\p{{Ll}}\p{{N}}]) )
    | [。！？｡]++ {_CLOSING}
"""
_WORD_END = r"(?<=[^\s,;:.–—\-…(\[{“‘„«#@])(?=[,;:.–—\-…]*+\s)"

# From the gentlest to the last resort.
_WAYS = (
    Way(regex.compile(r"(?<=\S)(?=\s*\Z)")),
    Way(regex.compile(_SENTENCE_END), share_min=SHARE_MIN),
    Way(regex.compile(_WORD_END), mark="…", share_min=SHARE_MIN),
    Way(regex.compile(r"(?<=\S)"), mark="…"),
)


def shortened(text: str, *, count: Callable[[str], int], limit: int) -> str:
    """The beginning of a text that counts more than the limit; where not even a first character fits, an ellipsis.

    It ends between characters as people see them, never inside a link; a link that is too long by itself is left out.
    """
    text = _without_endless_links(text, count=count, limit=limit)
    links = addresses(text)
    inside_links = {position for start, end in links for position in range(start + 1, end)}
    possible = set(seams(text)[1:]) - inside_links
    link_ends = {end for _, end in links}

    def cut_at(end: int, mark: str) -> str:
        return text[:end] + (" " if mark and end in link_ends else "") + mark

    for way in _WAYS:
        ends = [found.end() for found in way.ends.finditer(text) if found.end() in possible]
        fitting = bisect_left(ends, True, key=lambda end: count(cut_at(end, way.mark)) > limit)
        if fitting and count(cut := cut_at(ends[fitting - 1], way.mark)) >= limit * way.share_min:
            return cut
    return "…"


def _without_endless_links(text: str, *, count: Callable[[str], int], limit: int) -> str:
    return without(text, [(start, end) for start, end in addresses(text) if count(text[start:end]) > limit])
