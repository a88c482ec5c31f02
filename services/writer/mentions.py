"""Mentions: where a text names an account, as `@user`, `@user@example.social` or `@user.example.social`.

Written from how Mastodon sees them (MENTION_RE of https://github.com/mastodon/mastodon/blob/main/app/models/account.rb,
and app/lib/extractor.rb): a name of Latin letters and digits, a host of any script; none within a word or an address.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import regex

HOST_LENGTH_MAX = 253
"""The longest name that DNS has."""

_MENTION = regex.compile(
    r"(?<![=/\w])@(?P<name>[a-zA-Z0-9_]++(?:[.-]++[a-zA-Z0-9_]++)*+)(?:@(?P<host>\w++(?:[.-]++\w++)*+))?+"
    r"(?![@＠]|://)"
)


@dataclass(frozen=True, slots=True)
class Mention:
    """An account that is named from `start` up to `end`; `name` is what stands before the host."""

    start: int
    end: int
    name: str


def mentions(text: str) -> Iterator[Mention]:
    """Where the text names accounts, in order and apart."""
    for found in _MENTION.finditer(text):
        if len(found["host"] or "") <= HOST_LENGTH_MAX:
            yield Mention(found.start(), found.end(), found["name"])
