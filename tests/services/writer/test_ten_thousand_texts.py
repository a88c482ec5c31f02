"""Ten thousand texts for each platform: counted and cut, none is ever too long, broken or lost.

Hypothesis chooses what the texts of an example are made of, and their lengths lie around what the platform allows.
"""

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.platforms import Platform
from services.writer.encoded_lengths import utf8_length
from services.writer.hashtags import hashtags
from services.writer.platforms import RULES, cut, hashtags_max, limit, measure, overrun

EXAMPLES, TEXTS_OF_AN_EXAMPLE = 500, 20
"""Ten thousand together. Twenty texts from the same pieces cost little more than one: hypothesis is what takes time."""

TARGET_MAX = 6_000
"""Facebook's limit is 63,206. A cut there takes 0.1 s, so that only a few texts are as long as that (see `targets`)."""

PIECES = [
    *("word ", "so, ", "An end. ", "Really?! ", "e.g. ", "\n\n", "  ", "«quoted» ", "(aside) ", "x" * 60, "…", "Dr. Who "),
    *("漢字", "終わり。", "한국어 ", "ไทย", "क्षि", "שלום ", "ﷺ", "e\u0301", "a" + "\u0301" * 9, "ö", "𠮷", "𝐀"),
    *("\u0600", "\u200d", "\u200b", "\u202e", "\ufeff", "\r\n", "\t", "\ufe0f", "\u0301", "\x85"),
    *("😀", "👍🏽", "👩‍👩‍👧‍👦", "🧑🏽‍🚀 ", "🇩🇪", "🇫", "🏴󠁧󠁢󠁷󠁬󠁳󠁿", "7️⃣", "❤️", "❤️‍🔥", "🫩", "🏽", "©"),
    *(" https://example.com/a_(b)?c=d#e ", " example.com ", "www.example.co.uk/path", " http://localhost:8000/ "),
    *(" https://例え.jp/日本?q=語 ", "http://", " https://a.co/" + "b" * 300 + " ", " t.co/abc "),
    *(" @alice ", " @alice@example.social ", "@alice.bsky.social", " me@example.com ", "@", "＠"),
    *("#tag ", "#a#b", " ＃写真", "\n#one #two", " #🚀 ", "##", "C# ", " #Naïve_Idea2 "),
]

pieces = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), min_size=1, max_size=12)


@dataclass(frozen=True)
class Cut:
    """A text, and what was made of it."""

    platform: Platform
    text: str
    cut: str


def targets(platform: Platform, chance: random.Random) -> Iterator[int]:
    """How long the texts of an example shall be: short, near the limit on both sides, and far beyond."""
    most = limit(platform) if limit(platform) <= TARGET_MAX or chance.random() < 0.02 else TARGET_MAX // 4
    yield most * 2
    yield from (int(most * chance.uniform(0, 1.5)) for _ in range(TEXTS_OF_AN_EXAMPLE - 2))
    yield 1


def texts(platform: Platform, pieces: list[str], chance: random.Random) -> Iterator[str]:
    """Texts of these pieces. One of them over and over, or one of a few, makes those that have no space at all."""
    for target in targets(platform, chance):
        some = chance.sample(pieces, chance.randint(1, len(pieces)))
        lengthy = sum(map(len, some)) or 1
        yield "".join(chance.choices(some, k=target * len(some) // lengthy + 1))


def graphemes(text: str) -> list[str]:
    return regex.findall(r"\X", text)


def may_be_posted(one: Cut) -> bool:
    """Held against the published limits, and not only against what the writer itself thinks of them."""
    rules = RULES[one.platform]
    within = measure(one.platform, one.cut) <= rules.limit and len(graphemes(one.cut)) <= max(rules.limit, 1)
    bytes_max = 3_000 if one.platform is Platform.BLUESKY else None
    return (
        overrun(one.platform, one.cut) is None
        and (within or "://" in one.cut)
        and (bytes_max is None or utf8_length(one.cut) <= bytes_max)
    )


def is_whole(one: Cut) -> bool:
    """Each character that is left, as people see it, is one of the text's own, in their order."""
    left = graphemes(re.sub(" ?…$", "", one.cut)) if one.cut != one.text else []
    given = iter(graphemes(one.text))
    return all(character.isspace() or character in given for character in left)
