"""The length of a post as X counts it: weighted, after configuration v3 of twitter-text.

A link counts 23, an emoji 2 however many code points it is joined from, a character of the light ranges 1, any other 2:
https://docs.x.com/fundamentals/counting-characters, and config/v3.json in https://github.com/twitter/twitter-text.
"""

from unicodedata import normalize

import regex
from emoji import EMOJI_DATA, STATUS

from services.writer.links import links

LINK_LENGTH = 23

# Only emoji as Unicode recommends to write them: X does not join those that lack a variation selector.
_EMOJI = {emoji for emoji, data in EMOJI_DATA.items() if data["status"] == STATUS["fully_qualified"]}
_JOINED = regex.compile(r"\L<emoji>", emoji=_EMOJI)
_LIGHT = regex.compile(r"[\u0000-\u10ff\u2000-\u200d\u2010-\u201f\u2032-\u2037]")


def tweet_length(text: str) -> int:
    """How much of X's 280 the text takes."""
    text = normalize("NFC", text)
    length, read_to = 0, 0
    for start, end in links(text):
        length += _weight(text[read_to:start]) + LINK_LENGTH
        read_to = end
    return length + _weight(text[read_to:])


def _weight(text: str) -> int:
    characters, emoji_count = _JOINED.subn("", text)
    return 2 * (emoji_count + len(characters)) - len(_LIGHT.findall(characters))
