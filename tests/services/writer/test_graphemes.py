"""Characters as people see them: how many there are, and where a text may be parted or joined."""

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from services.writer.graphemes import grapheme_length, runs_together, seams


@pytest.mark.parametrize(
    "character", ["a", "é", "e\u0301", "漢", "क्षि", "👩‍👩‍👧‍👦", "👍🏽", "🇩🇪", "🏴󠁧󠁢󠁷󠁬󠁳󠁿", "7️⃣", "\r\n", "한"]
)
def test_what_people_see_as_one_counts_1(character: str) -> None:
    assert grapheme_length(character) == 1


@given(st.text() | st.text(st.sampled_from("\r\na")))
def test_every_text_counts_its_graphemes(text: str) -> None:
    assert grapheme_length(text) == len(regex.findall(r"\X", text)) == len(seams(text)) - 1


def test_seams_lie_between_characters() -> None:
    assert seams("e\u0301🇩🇪") == [0, 2, 4]


@pytest.mark.parametrize(("before", "after"), [("a", "b"), ("漢", "字"), ("🇩", "🇪"), ("\u200d", "👩")])
def test_two_words_run_together(before: str, after: str) -> None:
    assert runs_together(before, after)


@pytest.mark.parametrize(("before", "after"), [("", "a"), ("a", ""), ("a ", "b"), ("a", "\nb"), ("(", "a"), ("a", ".")])
def test_space_and_punctuation_keep_words_apart(before: str, after: str) -> None:
    assert not runs_together(before, after)
