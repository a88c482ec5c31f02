"""What each platform allows, how it counts, and how a text that is too long is told so."""

import pytest

from contracts.platforms import Platform
from services.writer.platforms import RULES, hashtags_max, limit, measure, overrun


def test_every_platform_has_its_rules() -> None:
    assert set(RULES) == set(Platform)


@pytest.mark.parametrize(
    ("platform", "most"),
    [(Platform.LINKEDIN, 3_000), (Platform.X, 280), (Platform.FACEBOOK, 63_206), (Platform.INSTAGRAM, 2_200)],
)
def test_limit_is_the_published_one(platform: Platform, most: int) -> None:
    assert limit(platform) == most


def test_only_instagram_limits_hashtags() -> None:
    assert {platform: hashtags_max(platform) for platform in Platform if hashtags_max(platform)} == {
        Platform.INSTAGRAM: 5
    }


@pytest.mark.parametrize("platform", [Platform.LINKEDIN, Platform.FACEBOOK, Platform.INSTAGRAM])
def test_characters_are_counted_in_utf16_units(platform: Platform) -> None:
    assert measure(platform, "é漢😀") == 1 + 1 + 2


def test_x_counts_with_weights() -> None:
    assert measure(Platform.X, "é漢😀 example.com") == 1 + 2 + 2 + 1 + 23


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


def test_many_hashtags_may_be_posted_elsewhere() -> None:
    assert overrun(Platform.LINKEDIN, "#a " * 7) is None
