"""The length of a post as Mastodon counts it: characters as people see them, links and remote accounts apart.

A link that starts with http:// or https:// counts 23 however long it is, and of `@user@example.social` only `@user`
counts: https://docs.joinmastodon.org/user/posting/, exactly so in
https://github.com/mastodon/mastodon/blob/main/app/validators/status_length_validator.rb. What is a link there is said
in its config/initializers/twitter_regex.rb: twitter-text's hosts, but paths and queries in any script.
"""

from collections.abc import Iterator

import regex

from services.writer.graphemes import grapheme_length
from services.writer.links import BEFORE, HOST, LINK_LENGTH_MAX, is_resolvable, with_scheme
from services.writer.mentions import mentions
from services.writer.top_level_domains import TOP_LEVEL_DOMAINS

LINK_LENGTH = 23

# A stretch of the text, and what Mastodon counts in its place.
Stands = tuple[int, int, str]

_PATH_CHARACTER = r"[^\s<>()?]"
_PARENTHESES = rf"\((?:{_PATH_CHARACTER}++|{_PATH_CHARACTER}*+\({_PATH_CHARACTER}++\){_PATH_CHARACTER}*+)\)"
_PATH = rf"/(?:(?:{_PATH_CHARACTER}|{_PARENTHESES})*(?:[^\s()?!*\"'「」<>;:=,.$%\[\]~&|@]|{_PARENTHESES}))?"
_BEYOND_ASCII = r"\u00a0-\ud7ff\ue000-\ufdcf\ufdf0-\uffef\U00010000-\U0010fffd"
_QUERY = rf"\?[a-z0-9!?*'();:&=+$/%#\[\]\-_.,~|@^{_BEYOND_ASCII}]*[a-z0-9_&=#/\-{_BEYOND_ASCII}]"
_LINK = regex.compile(
    rf"(?:{BEFORE})(?P<link>(?P<scheme>(?:https?|dat|dweb|ipfs|ipns|ssb|gopher|gemini)://)(?P<host>{HOST})(?::[0-9]+)?"
    rf"(?:{_PATH})?(?:{_QUERY})?)",
    regex.IGNORECASE,
    tops=TOP_LEVEL_DOMAINS,
)


def mastodon_length(text: str) -> int:
    """How much of Mastodon's 500 the text takes."""
    counted, read_to = "", 0
    for start, end, instead in sorted([*_links(text), *_remote_accounts(text)]):
        if start >= read_to:  # what overlaps the one before is part of it
            counted += text[read_to:start] + instead
            read_to = end
    return grapheme_length(counted + text[read_to:])


def _links(text: str) -> Iterator[Stands]:
    for found in _LINK.finditer(text) if "://" in text else ():
        if is_resolvable(found["host"]) and len(found["scheme"]) + len(found["link"]) <= LINK_LENGTH_MAX:
            yield from ((start, end, "x" * LINK_LENGTH) for start, end in with_scheme(text, found.span("link")))


def _remote_accounts(text: str) -> Iterator[Stands]:
    for mention in mentions(text) if "@" in text else ():
        yield mention.start, mention.end, f"@{mention.name}"
