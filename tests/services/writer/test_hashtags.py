"""Hashtags: what is one, and what becomes of those that are too many."""

import pytest

from services.writer.hashtags import hashtags, without_surplus_hashtags


@pytest.mark.parametrize("tag", ["#python", "＃写真", "#2026", "#🚀", "#naïve_idea", "##twice"])
def test_word_behind_a_sign_is_a_hashtag(tag: str) -> None:
    assert hashtags(f"A {tag}.") == [(2, 2 + len(tag))]


@pytest.mark.parametrize("text", ["# Title", "C# and F#", "#️⃣ key", "https://example.com/#part", "#"])
def test_other_signs_are_no_hashtags(text: str) -> None:
    assert hashtags(text) == []


def test_tags_that_touch_count_one_by_one() -> None:
    assert len(hashtags("#a#b#c")) == 3


def test_surplus_tags_of_a_closing_row_go() -> None:
    assert without_surplus_hashtags("Text.\n\n#a #b #c #d\n", 2) == "Text.\n\n#a #b"


def test_surplus_tag_in_a_sentence_becomes_a_word() -> None:
    assert without_surplus_hashtags("#a and #b help us to love #c.", 2) == "#a and #b help us to love c."


def test_surplus_tag_that_ends_a_sentence_becomes_a_word() -> None:
    assert without_surplus_hashtags("#a and #b are like #c", 2) == "#a and #b are like c"


def test_surplus_row_goes_whole_after_tags_in_the_text() -> None:
    assert without_surplus_hashtags("#a and #b.\n\n#c #d", 2) == "#a and #b."


def test_surplus_tag_that_touches_a_word_becomes_its_own() -> None:
    assert without_surplus_hashtags("#a#b#c is it", 2) == "#a#b c is it"


def test_text_with_few_tags_stays_as_it_is() -> None:
    assert without_surplus_hashtags(" #a\n#b ", 2) == " #a\n#b "
