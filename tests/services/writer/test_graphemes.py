"""Characters as people see them: how many there are, and where a text may be parted or joined."""

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from services.writer.graphemes import grapheme_length, runs_together, seams


@pytest.mark.parametrize(
    "character", ["a", "é", "e\u0301", "漢", "हि", "👩‍👩‍👧‍👦", "👍🏽", "🇩🇪", "🏴󠁧󠁢󠁷󠁬󠁳󠁿", "7️⃣", "\r\n", "한"]
)
def test_what_people_see_as_one_counts_1(character: str) -> None:
    assert grapheme_length(character) == 1


@pytest.mark.parametrize(("word", "length"), [("क्षि", 2), ("हिन्दी", 3), ("स्कूल", 3), ("ক্ষ", 2), ("ខ្មែរ", 3)])
def test_consonants_of_a_conjunct_count_each(word: str, length: int) -> None:
    assert grapheme_length(word) == length


@pytest.mark.parametrize("conjunct", ["क्षि", "ক্ষ"])
def test_conjunct_is_never_parted_nevertheless(conjunct: str) -> None:
    assert seams(conjunct) == [0, len(conjunct)]


@given(st.text() | st.text(st.sampled_from("\r\na")) | st.text(st.characters(min_codepoint=0x900, max_codepoint=0xD7F)))
def test_no_text_counts_less_than_its_graphemes(text: str) -> None:
    assert grapheme_length(text) >= len(regex.findall(r"\X", text)) == len(seams(text)) - 1


@given(st.text(st.characters(exclude_categories=["Mn", "Mc", "Cs"])))
def test_text_without_conjuncts_counts_its_graphemes(text: str) -> None:
    assert grapheme_length(text) == len(regex.findall(r"\X", text))


def test_seams_lie_between_characters() -> None:
    assert seams("e\u0301🇩🇪") == [0, 2, 4]


@pytest.mark.parametrize(("before", "after"), [("a", "b"), ("漢", "字"), ("🇩", "🇪"), ("\u200d", "👩")])
def test_two_words_run_together(before: str, after: str) -> None:
    assert runs_together(before, after)


@pytest.mark.parametrize(("before", "after"), [("", "a"), ("a", ""), ("a ", "b"), ("a", "\nb"), ("(", "a"), ("a", ".")])
def test_space_and_punctuation_keep_words_apart(before: str, after: str) -> None:
    assert not runs_together(before, after)
