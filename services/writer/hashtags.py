"""Hashtags: where a text has them, and how it gets along with fewer."""

from itertools import pairwise

import regex

from services.writer.graphemes import runs_together
from services.writer.links import Span, addresses

# Instagram also links digits, emoji and tags that touch the word before; a keycap (#️⃣) is none.
_HASHTAG = regex.compile(r"[#＃]++(?![\p{M}\u200d])[\w\u200d\p{Extended_Pictographic}\p{Regional_Indicator}]+")
_SIGN = regex.compile("[#＃]")


def hashtags(text: str) -> list[Span]:
    """Where the text has hashtags; the fragment of a link is none."""
    if not _SIGN.search(text):
        return []
    within = addresses(text)
    return [
        found.span()
        for found in _HASHTAG.finditer(text)
        if not any(start <= found.start() < end for start, end in within)
    ]


def without_surplus_hashtags(text: str, hashtags_max: int) -> str:
    """The first ones stay. Of the others a closing row of tags goes, while within a sentence the word stays."""
    surplus = [*pairwise(hashtags(text))][hashtags_max - 1 :]
    for (_, tag_before_end), (start, end) in reversed(surplus):
        before, word, after = text[:start], text[start:end].lstrip("#＃"), text[end:]
        gap = before[len(before.rstrip()) :]
        is_in_row = len(before) == tag_before_end + len(gap) or "\n" in gap
        if is_in_row and not after.strip():
            text = before.rstrip()
        else:
            text = before + (" " if runs_together(before, word) else "") + word + after
    return text
