"""What each social platform allows: how long a post may be as that platform counts, and how one is made to fit.

X, Threads and Mastodon count in ways of their own (see `tweet_length`, `threads_length`, `mastodon_length`), Bluesky
what people see as one character, and bytes as well. LinkedIn, Facebook and Instagram say "characters" and nowhere
whether they mean code points, UTF-16 code units or what people see as one; UTF-16 code units are the most of these, so
what fits by them fits.

- Bluesky 300 graphemes and 3,000 bytes of UTF-8: `maxGraphemes` and `maxLength` of `text` in
  https://github.com/bluesky-social/atproto/blob/main/lexicons/app/bsky/feed/post.json, whose units are those of
  https://atproto.com/specs/lexicon#string
- Mastodon 500, unless a server changes it: https://docs.joinmastodon.org/user/posting/
- Threads 500: https://developers.facebook.com/docs/threads/posts; a post with more than 5 different links fails:
  https://developers.facebook.com/docs/threads/create-posts/text-attachments; one tag a post:
  https://www.ayrshare.com/docs/apis/post/social-networks/threads
- LinkedIn 3,000, Facebook 63,206, Instagram 2,200: https://docs.upload-post.com/resources/character-limits/
- Instagram at most 5 hashtags (30 until December 2025):
  https://www.socialmediatoday.com/news/instagrams-implementing-new-limits-on-hashtag-use/808309/
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from contracts.platforms import Platform
from services.writer.cutting import shortened
from services.writer.encoded_lengths import utf8_length, utf16_length
from services.writer.graphemes import grapheme_length
from services.writer.hashtags import hashtags, without_surplus_hashtags
from services.writer.mastodon_length import mastodon_length
from services.writer.surplus_links import different_links, without_surplus_links
from services.writer.threads_length import threads_length
from services.writer.tweet_length import tweet_length


@dataclass(frozen=True, slots=True)
class Rules:
    """One platform's name as people write it, its limits, and how its posts read.

    `limit` is in the platform's own measure, which `count` takes; some have a second one, of bytes in UTF-8.
    """

    name: str
    limit: int
    count: Callable[[str], int]
    style: str
    hashtags_max: int | None = None
    bytes_max: int | None = None
    links_max: int | None = None

    def taken(self, text: str) -> int:
        """How much of `limit` the text takes by whichever measure it comes nearer to its end; more is too much."""
        if self.bytes_max is None:
            return self.count(text)
        share_of_bytes = -(-utf8_length(text) * self.limit // self.bytes_max)  # rounded up: a byte too many counts
        return max(self.count(text), share_of_bytes)


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
    Platform.THREADS: Rules(
        name="Threads",
        limit=500,
        count=threads_length,
        hashtags_max=1,
        links_max=5,
        style="Like the start of a talk among friends: one idea in a few short lines, few emoji, at most one hashtag.",
    ),
    Platform.BLUESKY: Rules(
        name="Bluesky",
        limit=300,
        count=grapheme_length,
        bytes_max=3_000,
        style="Plain and witty, one thought in two or three sentences; links count in full, at most two hashtags.",
    ),
    Platform.MASTODON: Rules(
        name="Mastodon",
        limit=500,
        count=mastodon_length,
        style="Informative and unhurried, nothing that sounds like advertising; then up to three #CamelCase hashtags.",
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
    """By how much the text is too long, tagged or linked, as a writer can act on it; None when it may be posted."""
    rules, complaints = RULES[platform], list[str]()
    if (length := rules.count(text)) > (most := rules.limit):
        complaints.append(
            f"The post is {length} long where {rules.name} allows {most}: take out at least {length - most}."
        )
    if rules.bytes_max is not None and (size := utf8_length(text)) > rules.bytes_max:
        complaints.append(
            f"It is {size} bytes in UTF-8 where {rules.name} allows {rules.bytes_max}: "
            f"take out at least {size - rules.bytes_max} of them; an emoji has 4 to 35."
        )
    if rules.hashtags_max is not None and (tags := len(hashtags(text))) > rules.hashtags_max:
        complaints.append(f"It has {tags} hashtags where {rules.name} allows {rules.hashtags_max}.")
    if rules.links_max is not None and (found := different_links(text)) > rules.links_max:
        complaints.append(f"It has {found} links where {rules.name} allows {rules.links_max}.")
    return " ".join(complaints) or None


def cut(platform: Platform, text: str) -> str:
    """The text as it may be posted: itself when it fits, else with fewer hashtags and links and, if too long, cut."""
    rules = RULES[platform]
    if rules.hashtags_max is not None:
        text = without_surplus_hashtags(text, rules.hashtags_max)
    if rules.links_max is not None:  # after the hashtags: without its sign, one of them may be a link
        text = without_surplus_links(text, rules.links_max)
    if rules.taken(text) <= rules.limit:
        return text
    return shortened(text, count=rules.taken, limit=rules.limit)
