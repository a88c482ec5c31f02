"""Ten thousand texts for each platform: counted and cut, none is ever too long, broken or lost.

Hypothesis chooses what the texts of an example are made of, and their lengths lie around what the platform allows.
"""

import random
import re
from collections.abc import Iterator

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events import UNSTORABLE
from contracts.platforms import Platform
from services.writer.platforms import cut, limit, measure, overrun

EXAMPLES, TEXTS_OF_AN_EXAMPLE = 500, 20
"""Ten thousand together. Twenty texts of the same pieces take little longer than one: the choice takes the time."""

EXAMPLES_EACH_TIME = 50
"""A tenth of them, for each run of the tests; all of them with `./run test -m long`."""

NEAR_THE_LIMIT = {
    Platform.X: 6,
    Platform.BLUESKY: 8,
    Platform.THREADS: 6,
    Platform.MASTODON: 6,
    Platform.LINKEDIN: 2,
    Platform.INSTAGRAM: 2,
}
"""Texts of an example that are as long as the platform allows, and longer; for Facebook see below."""

FACEBOOKS_TURN = 20
"""Every twentieth example of Facebook has such a text, of 50,000 to 100,000 characters: some 25 of the ten thousand."""

SHORT_MAX = 160

SIGN = re.compile("[#＃]")

PIECES = [
    *(
        "word ",
        "so, ",
        "An end. ",
        "Really?! ",
        "e.g. ",
        "\n\n",
        "  ",
        "«quoted» ",
        "(aside) ",
        "x" * 60,
        "…",
        "Dr. Who ",
    ),
    *("漢字", "終わり。", "한국어 ", "ไทย", "क्षि", "שלום ", "ﷺ", "e\u0301", "a" + "\u0301" * 9, "ö", "𠮷", "𝐀"),
    *("\u0600", "\u200d", "\u200b", "\u202e", "\ufeff", "\r\n", "\t", "\ufe0f", "\u0301", "\x85"),
    *("😀", "👍🏽", "👩‍👩‍👧‍👦", "🧑🏽‍🚀 ", "🇩🇪", "🇫", "🏴󠁧󠁢󠁷󠁬󠁳󠁿", "7️⃣", "❤️", "❤️‍🔥", "🫩", "🏽", "©"),
    *(" https://example.com/a_(b)?c=d#e ", " example.com ", "www.example.co.uk/path", " http://localhost:8000/ "),
    *(" https://例え.jp/日本?q=語 ", "http://", " https://a.co/" + "b" * 300 + " ", " t.co/abc "),
    *(" @alice ", " @alice@example.social ", "@alice.bsky.social", " me@example.com ", "@", "＠"),
    *("#tag ", "#a#b", " ＃写真", "\n#one #two", " #🚀 ", "##", "C# ", " #Naïve_Idea2 "),
]

pieces = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), min_size=1, max_size=12)


def targets(platform: Platform, chance: random.Random) -> Iterator[int]:
    """How long the texts of an example shall be: near the limit on both sides and far beyond, or short."""
    near = NEAR_THE_LIMIT.get(platform, int(chance.randrange(FACEBOOKS_TURN) == 0))
    yield from (int(limit(platform) * chance.uniform(0.8, 1.6)) for _ in range(near))
    yield from (chance.randint(1, SHORT_MAX) for _ in range(TEXTS_OF_AN_EXAMPLE - near))


def texts(platform: Platform, pieces: list[str], chance: random.Random) -> Iterator[str]:
    """Texts of these pieces. One of them over and over, or one of a few, makes those that have no space at all."""
    for target in targets(platform, chance):
        some = chance.sample(pieces, chance.randint(1, len(pieces)))
        lengthy = sum(map(len, some)) or 1
        yield "".join(chance.choices(some, k=target * len(some) // lengthy + 1))


def graphemes(text: str) -> list[str]:
    """As people see them. A mark that stands on a space stays where the space goes: both are nothing to be seen."""
    return [one.strip() or one for one in regex.findall(r"\X", text)]


def may_be_posted(platform: Platform, text: str) -> bool:
    return overrun(platform, text) is None and measure(platform, text) <= limit(platform)


def is_whole(text: str, left: str) -> bool:
    """Is each character that is left, as people see it, one of the text's own, and do they keep their order?

    A hashtag that is one too many may have lost its sign.
    """
    own = graphemes(SIGN.sub(" ", text))
    without_mark = left.removesuffix("…").removesuffix(" ")
    return any(is_part(graphemes(SIGN.sub(" ", kept)), own) for kept in (without_mark, left))


def is_part(kept: list[str], whole: list[str]) -> bool:
    """Are these characters some of the others, in their order?"""
    rest = iter(whole)
    return all(character.isspace() or character in rest for character in kept)


def is_storable(text: str) -> bool:
    """Without half a surrogate pair, which neither JSON nor UTF-8 can hold."""
    return UNSTORABLE.sub("", text) == text


@pytest.mark.parametrize("platform", Platform)
@given(pieces, st.integers(0, 2**32))
@settings(max_examples=EXAMPLES_EACH_TIME, derandomize=True, deadline=None)
def test_a_thousand_texts_may_be_posted_whole(platform: Platform, pieces: list[str], seed: int) -> None:
    check(platform, pieces, seed)


@pytest.mark.long
@pytest.mark.parametrize("platform", Platform)
@given(pieces, st.integers(0, 2**32))
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
def test_ten_thousand_texts_may_be_posted_whole(platform: Platform, pieces: list[str], seed: int) -> None:
    check(platform, pieces, seed)


def check(platform: Platform, pieces: list[str], seed: int) -> None:
    """Cuts every text that these pieces make."""
    for text in texts(platform, pieces, random.Random(seed)):
        left = cut(platform, text)
        assert may_be_posted(platform, left), text
        assert left == text or not may_be_posted(platform, text), text
        assert cut(platform, left) == left, text
        assert left.strip() or not text.strip(), text
        assert is_whole(text, left), text
        assert is_storable(left) or not is_storable(text), text


def test_each_platform_gets_ten_thousand_texts() -> None:
    assert EXAMPLES * TEXTS_OF_AN_EXAMPLE == 10_000
    for platform in Platform:
        assert len([*texts(platform, ["a"], random.Random(0))]) == TEXTS_OF_AN_EXAMPLE


def test_texts_of_an_example_lie_on_both_sides_of_the_limit() -> None:
    for platform in NEAR_THE_LIMIT:
        long_enough = [text for seed in range(20) for text in texts(platform, ["a", "word "], random.Random(seed))]
        beyond = sum(not may_be_posted(platform, text) for text in long_enough)
        assert 20 <= beyond <= len(long_enough) - 20
