"""The cut: a post that is too long ends where a reader would let it end, and always fits."""

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.platforms import Platform
from services.writer.links import addresses
from services.writer.platforms import cut, limit, measure, overrun

# The same examples in every run; Facebook's are up to 200,000 characters long, so there are not many.
reproducibly = settings(derandomize=True, deadline=None, max_examples=40)

platforms = st.sampled_from(Platform)
WORDS = [
    "word ",
    "so, ",
    "An end. ",
    "Really?! ",
    "e.g. ",
    "\n\n",
    "  ",
    "\t",
    "«quoted» ",
    "(aside) ",
    "x" * 60,
    "-",
    "…",
]
SCRIPTS = [
    "漢字",
    "終わり。",
    "한국어 ",
    "ไทย",
    "क्षि",
    "e\u0301",
    "a" + "\u0301" * 9,
    "\u0600",
    "\u200d",
    "\u200b",
    "\r\n",
]
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🇩🇪", "🇫", "🏴󠁧󠁢󠁷󠁬󠁳󠁿", "7️⃣", "❤️", "🫩", "\ufe0f"]
LINKS = ["https://example.com/a_(b)?c=d ", "example.com", " example.co.uk/path ", "http://localhost:8000/", "www."]
HASHTAGS = ["#tag ", "#a#b", " ＃写真", "\n#one #two", "#🚀 ", "##", "C# "]
untagged = st.lists(st.sampled_from(WORDS + SCRIPTS + EMOJI + LINKS) | st.text(st.characters(exclude_characters="#＃")))
tagged = st.lists(st.sampled_from(WORDS + EMOJI + LINKS + HASHTAGS) | st.text())


def overlong(platform: Platform, pieces: list[str]) -> str:
    """The pieces, over and over until the platform would refuse them."""
    piece = "".join(pieces) or "a"
    return piece * (limit(platform) // max(measure(platform, piece), 1) + 2)


def kept(text: str) -> str:
    """What a cut left of the text: without the ellipsis, and the space that keeps it off a link."""
    return text.removesuffix("…").removesuffix(" ")


def graphemes(text: str) -> list[str]:
    return regex.findall(r"\X", text)


class TestAnyText:
    @given(platforms, tagged)
    @reproducibly
    def test_cut_text_may_always_be_posted(self, platform: Platform, pieces: list[str]) -> None:
        assert overrun(platform, cut(platform, overlong(platform, pieces))) is None

    @given(platforms, tagged)
    @reproducibly
    def test_cutting_twice_changes_nothing_more(self, platform: Platform, pieces: list[str]) -> None:
        once = cut(platform, overlong(platform, pieces))
        assert cut(platform, once) == once

    @given(platforms, tagged)
    @reproducibly
    def test_cut_text_is_never_empty(self, platform: Platform, pieces: list[str]) -> None:
        assert cut(platform, overlong(platform, pieces)).strip()

    @given(platforms, tagged)
    @reproducibly
    def test_fitting_text_stays_as_it_is(self, platform: Platform, pieces: list[str]) -> None:
        text = "".join(pieces)
        assert overrun(platform, text) or cut(platform, text) == text

    @given(platforms, untagged)
    @reproducibly
    def test_cut_never_breaks_a_character(self, platform: Platform, pieces: list[str]) -> None:
        text = overlong(platform, pieces)
        left = graphemes(kept(cut(platform, text)))
        assert left == graphemes(text)[: len(left)]

    @given(platforms, untagged)
    @reproducibly
    def test_cut_never_breaks_a_link(self, platform: Platform, pieces: list[str]) -> None:
        text = overlong(platform, pieces)
        end = len(kept(cut(platform, text)))
        assert not any(start < end < link_end for start, link_end in addresses(text))


class TestWhereItEnds:
    def test_last_sentence_that_fits_ends_the_post(self) -> None:
        assert (
            cut(Platform.X, "A first one. " * 20 + "And a last one that is too long.") == ("A first one. " * 20).strip()
        )

    def test_cjk_sentence_ends_without_a_space(self) -> None:
        assert cut(Platform.X, "春眠不觉晓。" * 30) == "春眠不觉晓。" * 23

    @pytest.mark.parametrize(
        "pause", ["e.g. this", "Dr. Who", "U.S. data", "v2.5 more", "really? he said", "No. 5", "\n1. In"]
    )
    def test_stop_within_a_sentence_ends_no_post(self, pause: str) -> None:
        assert cut(Platform.X, "a" * 120 + ". Then " + "word " * 20 + pause + " on" * 60) == "a" * 120 + "."

    def test_early_sentence_is_not_worth_the_rest(self) -> None:
        assert cut(Platform.X, "Short. " + "Word " * 100) == "Short. " + ("Word " * 54).strip() + "…"

    def test_ellipsis_takes_the_place_of_a_comma(self) -> None:
        assert cut(Platform.X, "a" * 270 + " word, " + "b" * 20) == "a" * 270 + " word…"

    def test_text_without_spaces_ends_between_characters(self) -> None:
        assert cut(Platform.X, "👩‍👩‍👧‍👦" * 200) == "👩‍👩‍👧‍👦" * 139 + "…"

    def test_link_that_does_not_fit_goes_whole(self) -> None:
        assert cut(Platform.LINKEDIN, "漢" * 2_980 + "https://example.com/path") == "漢" * 2_980 + "…"

    def test_ellipsis_keeps_off_a_link(self) -> None:
        assert cut(Platform.X, "a" * 250 + " https://example.com/path " + "b" * 9) == (
            "a" * 250 + " https://example.com/path …"
        )

    def test_link_longer_than_the_platform_allows_is_left_out(self) -> None:
        text = f"Read http://localhost/{'a' * 3_000} first. Then this."
        assert cut(Platform.LINKEDIN, text) == "Read first. Then this."

    def test_character_longer_than_the_platform_allows_becomes_an_ellipsis(self) -> None:
        assert cut(Platform.X, "a" + "\u0301" * 300) == "…"

    def test_spaces_at_the_end_go_first(self) -> None:
        assert cut(Platform.X, "a" * 280 + "\n\n") == "a" * 280

    def test_surplus_hashtags_go_before_any_word(self) -> None:
        text = "a" * 2_185 + "\n" + "#b " * 7
        assert cut(Platform.INSTAGRAM, text) == ("a" * 2_185 + "\n" + "#b " * 5).strip()

    def test_surplus_links_go_before_any_word(self) -> None:
        links = [f"https://example.com/{number}" for number in range(7)]
        assert cut(Platform.THREADS, "See " + " ".join(links)) == "See " + " ".join(links[:5])

    @pytest.mark.parametrize("mention", ["@alice@example.social", "@alice.bsky.social"])
    @pytest.mark.parametrize("platform", [Platform.THREADS, Platform.BLUESKY, Platform.MASTODON])
    def test_mention_that_does_not_fit_goes_whole(self, platform: Platform, mention: str) -> None:
        before = "漢" * (limit(platform) - 4)
        assert cut(platform, f"{before} {mention}") == before + "…"

    def test_bluesky_is_cut_to_its_bytes(self) -> None:
        assert cut(Platform.BLUESKY, "👩‍👩‍👧‍👦" * 200) == "👩‍👩‍👧‍👦" * 119 + "…"

    def test_threads_is_cut_to_the_bytes_of_its_emoji(self) -> None:
        assert cut(Platform.THREADS, "👩‍👩‍👧‍👦" * 30) == "👩‍👩‍👧‍👦" * 19 + "…"

    def test_mastodon_keeps_what_its_links_save(self) -> None:
        text = " ".join(["https://example.com/" + "a" * 100] * 20)
        assert cut(Platform.MASTODON, text) == text

    def test_link_left_out_takes_its_half_of_a_character_along(self) -> None:
        assert cut(Platform.X, f"Read http://localhost/{'a' * 300}\u0301 first.") == "Read first."
