"""X's counting: every public conformance case of twitter-text, and the rules that these leave out."""

import json
from pathlib import Path

import pytest
from emoji import EMOJI_DATA, STATUS

from services.writer.tweet_length import tweet_length

SUITES = json.loads((Path(__file__).parent / "conformance" / "tweet_length.json").read_text(encoding="utf-8"))
CASES = [
    pytest.param(case["text"], case["weightedLength"], id=f"{suite}: {case['description']}")
    for suite, cases in SUITES.items()
    if suite != "about"
    for case in cases
]


@pytest.mark.parametrize(("text", "length"), CASES)
def test_conformance_case_counts_as_published(text: str, length: int) -> None:
    assert tweet_length(text) == length


@pytest.mark.parametrize("link", ["https://example.com/" + "a" * 500, "http://x.com", "example.com", "t.co/a?b=c"])
def test_link_counts_23_however_long_it_is(link: str) -> None:
    assert tweet_length(f"See {link}") == len("See ") + 23


@pytest.mark.parametrize(
    "no_link", ["http://localhost:8000", "report.pdf", "file.unknowntld", "a@example.com", f"http://x.com/{'a' * 4096}"]
)
def test_what_is_no_link_counts_its_characters(no_link: str) -> None:
    assert tweet_length(no_link) == len(no_link)


@pytest.mark.parametrize("emoji", ["🧑🏽‍🚀", "❤️‍🔥", "🫩", "🇩🇪", "🏴󠁧󠁢󠁷󠁬󠁳󠁿", "7️⃣", "©️"])
def test_emoji_joined_of_many_parts_counts_2(emoji: str) -> None:
    assert tweet_length(emoji) == 2


def test_copyright_sign_as_text_counts_1() -> None:
    assert tweet_length("©") == 1


def test_composed_and_decomposed_accents_count_alike() -> None:
    assert tweet_length("cafe\u0301") == tweet_length("café") == 4


def test_endless_dots_are_counted_without_delay() -> None:
    assert tweet_length("a." * 5_000) == 10_000


def test_every_emoji_is_found_where_emoji_are_looked_for() -> None:
    recommended = [emoji for emoji, data in EMOJI_DATA.items() if data["status"] == STATUS["fully_qualified"]]
    assert [emoji for emoji in recommended if tweet_length(f"漢{emoji}a") != 2 + 2 + 1] == []
