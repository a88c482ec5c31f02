"""What each platform allows, how it counts, and how a text that is too long is told so."""

import pytest

from contracts.platforms import Platform
from services.writer.platforms import RULES, hashtags_max, limit, measure, overrun


def test_every_platform_has_its_rules() -> None:
    assert set(RULES) == set(Platform)


@pytest.mark.parametrize(
    ("platform", "most"),
    [
        (Platform.LINKEDIN, 3_000),
        (Platform.X, 280),
        (Platform.FACEBOOK, 63_206),
        (Platform.INSTAGRAM, 2_200),
        (Platform.THREADS, 500),
        (Platform.BLUESKY, 300),
        (Platform.MASTODON, 500),
    ],
)
def test_limit_is_the_published_one(platform: Platform, most: int) -> None:
    assert limit(platform) == most


def test_only_instagram_and_threads_limit_hashtags() -> None:
    assert {platform: hashtags_max(platform) for platform in Platform if hashtags_max(platform)} == {
        Platform.INSTAGRAM: 5,
        Platform.THREADS: 1,
    }


@pytest.mark.parametrize("platform", [Platform.LINKEDIN, Platform.FACEBOOK, Platform.INSTAGRAM])
def test_characters_are_counted_in_utf16_units(platform: Platform) -> None:
    assert measure(platform, "é漢😀") == 1 + 1 + 2


def test_x_counts_with_weights() -> None:
    assert measure(Platform.X, "é漢😀 example.com") == 1 + 2 + 2 + 1 + 23


def test_threads_counts_emoji_in_bytes() -> None:
    assert measure(Platform.THREADS, "é漢😀") == 1 + 1 + 4


def test_bluesky_counts_what_people_see() -> None:
    assert measure(Platform.BLUESKY, "e\u0301漢👩‍👩‍👧‍👦 example.com") == 1 + 1 + 1 + 1 + 11


def test_mastodon_counts_what_people_see_but_links_23() -> None:
    assert measure(Platform.MASTODON, "👩‍👩‍👧‍👦 https://example.com/path example.com") == 1 + 1 + 23 + 1 + 11


def test_half_a_surrogate_pair_is_counted_too() -> None:
    assert measure(Platform.LINKEDIN, "\ud83d") == 1


@pytest.mark.parametrize("platform", Platform)
def test_text_at_the_limit_may_be_posted(platform: Platform) -> None:
    assert overrun(platform, "a" * limit(platform)) is None


def test_overrun_names_length_limit_and_difference() -> None:
    expected = "The post is 312 long where X allows 280: take out at least 32."
    assert overrun(Platform.X, "a" * 312) == expected


def test_overrun_names_surplus_hashtags() -> None:
    assert overrun(Platform.INSTAGRAM, "#a " * 7) == "It has 7 hashtags where Instagram allows 5."


def test_overrun_names_length_and_hashtags_together() -> None:
    assert overrun(Platform.INSTAGRAM, "#a " * 6 + "b" * 2_200) == (
        "The post is 2218 long where Instagram allows 2200: take out at least 18. "
        "It has 6 hashtags where Instagram allows 5."
    )


def test_overrun_names_surplus_links() -> None:
    links = " ".join(f"example.com/{number}" for number in range(6))
    assert overrun(Platform.THREADS, links) == "It has 6 links where Threads allows 5."


@pytest.mark.parametrize("platform", [platform for platform in Platform if platform is not Platform.THREADS])
def test_many_links_may_be_posted_elsewhere(platform: Platform) -> None:
    assert overrun(platform, " ".join(f"a.co/{number}" for number in range(6))) is None


def test_many_hashtags_may_be_posted_elsewhere() -> None:
    assert overrun(Platform.LINKEDIN, "#a " * 7) is None


class TestBlueskysBytes:
    def test_bytes_at_their_limit_may_be_posted(self) -> None:
        text = "🏴󠁧󠁢󠁷󠁬󠁳󠁿" * 107 + "aaaa"
        assert len(text.encode()) == 3_000
        assert overrun(Platform.BLUESKY, text) is None

    def test_one_byte_too_many_is_told(self) -> None:
        assert overrun(Platform.BLUESKY, "🏴󠁧󠁢󠁷󠁬󠁳󠁿" * 107 + "aaaaa") == (
            "It is 3001 bytes in UTF-8 where Bluesky allows 3000: take out at least 1 of them; an emoji has 4 to 35."
        )

    def test_both_limits_are_told_together(self) -> None:
        told = overrun(Platform.BLUESKY, "👩‍👩‍👧‍👦" * 301)
        assert told and "is 301 long where Bluesky allows 300" in told and "7525 bytes in UTF-8" in told

    def test_length_stays_what_people_see(self) -> None:
        assert measure(Platform.BLUESKY, "🏴󠁧󠁢󠁷󠁬󠁳󠁿" * 200) == 200

    def test_other_platforms_know_no_bytes(self) -> None:
        assert overrun(Platform.MASTODON, "🏴󠁧󠁢󠁷󠁬󠁳󠁿" * 500) is None
