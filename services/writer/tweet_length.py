"""The length of a post as X counts it: weighted, after configuration v3 of twitter-text.

A link counts 23, an emoji 2 however many code points it is joined from, a character of the light ranges 1, any other 2:
https://docs.x.com/fundamentals/counting-characters, and config/v3.json in https://github.com/twitter/twitter-text.
"""

from collections.abc import Iterator
from unicodedata import normalize

import regex
from emoji import EMOJI_DATA, STATUS

from services.writer.links import links

LINK_LENGTH = 23

# Only emoji as Unicode recommends to write them: X does not join those that lack a variation selector.
_EMOJI = {emoji for emoji, data in EMOJI_DATA.items() if data["status"] == STATUS["fully_qualified"]}
_LONGEST = max(map(len, _EMOJI))
# What emoji are joined from: only in such runs are they looked for.
_RUN = regex.compile(
    r"[0-9#*\u200d\ufe0f\u20e3\p{Extended_Pictographic}\p{Regional_Indicator}\p{Emoji_Modifier}\U000e0020-\U000e007f]++"
)
_LIGHT = regex.compile(r"[\u0000-\u10ff\u2000-\u200d\u2010-\u201f\u2032-\u2037]++")


def tweet_length(text: str) -> int:
    """How much of X's 280 the text takes."""
    text = normalize("NFC", text)
    length, read_to = 0, 0
    for start, end in links(text):
        length += _weight(text[read_to:start]) + LINK_LENGTH
        read_to = end
    return length + _weight(text[read_to:])


def _weight(text: str) -> int:
    if text.isascii():
        return len(text)
    return _unjoined(text) - sum(_saved(run) for run in _RUN.findall(text))


def _unjoined(text: str) -> int:
    """The weight with each code point counted by itself."""
    return len(text) + len(_LIGHT.sub("", text))


def _saved(run: str) -> int:
    """How much less a run weighs because some of it is joined to emoji."""
    return sum(_unjoined(emoji) - 2 for emoji in _emoji(run))


def _emoji(run: str) -> Iterator[str]:
    """The emoji of a run, each as long as it can be."""
    start = 0
    while start < len(run):
        ends = range(min(start + _LONGEST, len(run)), start, -1)
        end = next((end for end in ends if run[start:end] in _EMOJI), None)
        if end:
            yield run[start:end]
        start = end or start + 1
