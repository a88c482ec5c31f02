"""What each social platform allows: how long a post may be as that platform counts, and how one is made to fit.

X counts with weights (see `tweet_length`). The other three say "characters" and nowhere whether they mean code points,
UTF-16 code units or what people see as one; UTF-16 code units are the most of these, so what fits by them fits.

- LinkedIn 3,000, Facebook 63,206, Instagram 2,200: https://docs.upload-post.com/resources/character-limits/
- Instagram at most 5 hashtags (30 until December 2025):
  https://www.socialmediatoday.com/news/instagrams-implementing-new-limits-on-hashtag-use/808309/
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from contracts.platforms import Platform
from services.writer.cutting import shortened
from services.writer.hashtags import hashtags, without_surplus_hashtags
from services.writer.tweet_length import tweet_length


def utf16_length(text: str) -> int:
    """The length in UTF-16 code units: 1, and 2 for what lies beyond the first 65,536 code points, as most emoji do."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@dataclass(frozen=True, slots=True)
class Rules:
    """One platform's name as people write it, its limits, and how its posts read."""

    name: str
    limit: int
    count: Callable[[str], int]
    style: str
    hashtags_max: int | None = None


RULES: Mapping[Platform, Rules] = {
    Platform.LINKEDIN: Rules(
        name="LinkedIn",
        limit=3_000,
        count=utf16_length,
        style="Professional and personal: a strong first line, short paragraphs, a takeaway, 3 to 5 hashtags last.",
    ),
    Platform.X: Rules(
        name="X",
        limit=280,
        count=tweet_length,
        style="One sharp thought in one or two sentences; a link counts 23, an emoji 2, at most two hashtags.",
    ),
    Platform.FACEBOOK: Rules(
        name="Facebook",
        limit=63_206,
        count=utf16_length,
        style="Friendly and conversational: two or three short paragraphs that end with an invitation to reply.",
    ),
    Platform.INSTAGRAM: Rules(
        name="Instagram",
        limit=2_200,
        count=utf16_length,
        hashtags_max=5,
        style="A caption under a picture: a vivid first line, short lines, emoji, no links, 3 to 5 hashtags last.",
    ),
}


def measure(platform: Platform, text: str) -> int:
    """The length of the text as the platform counts it."""
    return RULES[platform].count(text)


def limit(platform: Platform) -> int:
    """The longest that a post may measure."""
    return RULES[platform].limit


def hashtags_max(platform: Platform) -> int | None:
    """How many hashtags a post may have; None where any number may."""
    return RULES[platform].hashtags_max


def overrun(platform: Platform, text: str) -> str | None:
    """By how much the text is too long or too tagged, as a writer can act on it; None when it may be posted."""
    rules, complaints = RULES[platform], list[str]()
    if (length := rules.count(text)) > (most := rules.limit):
        complaints.append(
            f"The post is {length} long where {rules.name} allows {most}: take out at least {length - most}."
        )
    if rules.hashtags_max is not None and (tags := len(hashtags(text))) > rules.hashtags_max:
        complaints.append(f"It has {tags} hashtags where {rules.name} allows {rules.hashtags_max}.")
    return " ".join(complaints) or None


def cut(platform: Platform, text: str) -> str:
    """The text as it may be posted: itself when it fits, else with fewer hashtags and, if still too long, cut."""
    rules = RULES[platform]
    if rules.hashtags_max is not None:
        text = without_surplus_hashtags(text, rules.hashtags_max)
    if rules.count(text) <= rules.limit:
        return text
    return shortened(text, count=rules.count, limit=rules.limit)
