"""Threads' counting: characters, and emoji in their UTF-8 bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.writer.encoded_lengths import utf8_length, utf16_length
from services.writer.threads_length import threads_length


@pytest.mark.parametrize(
    "emoji", ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🧑🏽‍🚀", "❤️", "❤️‍🔥", "🇩🇪", "🏴󠁧󠁢󠁷󠁬󠁳󠁿", "7️⃣", "#⃣", "©️", "☎", "🫩", "🏽"]
)
def test_emoji_counts_its_bytes(emoji: str) -> None:
    assert threads_length(f"a{emoji}b") == 2 + len(emoji.encode())


@pytest.mark.parametrize(
    "text", ["abc", "123 #*", "éßж", "漢字", "한국어", "ไทย", "क्षि", "e\u0301", "–…“”", "\u200d", "\ufe0f"]
)
def test_what_is_no_emoji_counts_its_characters(text: str) -> None:
    assert threads_length(text) == len(text)


def test_rare_characters_count_2_as_at_metas_others() -> None:
    assert threads_length("𠮷𝐀") == 4


def test_link_counts_in_full() -> None:
    assert threads_length("https://example.com/a/long/path") == 31


@given(st.text())
def test_no_text_counts_less_than_its_characters_or_more_than_its_bytes(text: str) -> None:
    assert utf16_length(text) <= threads_length(text) <= max(utf8_length(text), utf16_length(text))


@given(st.lists(st.sampled_from(["a", "é", "漢", "😀", "👩‍👩‍👧‍👦", "7️⃣", "🇩🇪", "e\u0301"])))
def test_characters_count_one_by_one(characters: list[str]) -> None:
    assert threads_length("".join(characters)) == sum(map(threads_length, characters))
