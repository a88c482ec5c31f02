"""Mentions: what names an account, and what only looks like it."""

import pytest

from services.writer.mentions import mentions


@pytest.mark.parametrize(
    ("mention", "name"),
    [
        ("@alice", "alice"),
        ("@alice@example.social", "alice"),
        ("@alice.bsky.social", "alice.bsky.social"),
        ("@a_l-i.ce@sub.example.social", "a_l-i.ce"),
        ("@alice@bücher.example", "alice"),
        ("@Alice@Example.SOCIAL", "Alice"),
    ],
)
def test_account_is_named_by_its_name(mention: str, name: str) -> None:
    (found,) = mentions(f"Ask {mention}, please.")
    assert (found.start, found.end, found.name) == (4, 4 + len(mention), name)


@pytest.mark.parametrize(
    "text",
    ["me@example.com", "https://example.com/@alice", "?by=@alice", "@", "@ alice", "@alice@", "@alice://x", "＠a"],
)
def test_other_signs_name_nobody(text: str) -> None:
    assert [*mentions(text)] == []


def test_host_longer_than_dns_allows_names_nobody() -> None:
    assert [*mentions("@alice@" + "a." * 127 + "com")] == []


def test_endless_mention_is_read_without_delay() -> None:
    assert len([*mentions("@a" * 50_000)]) <= 1
