"""Mastodon's counting: what people see as one character, links as 23, and remote accounts without their host."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.writer.graphemes import grapheme_length
from services.writer.mastodon_length import mastodon_length


class TestLinks:
    @pytest.mark.parametrize(
        "link",
        [
            "https://example.com/" + "a" * 500,
            "http://a.co",
            "HTTPS://EXAMPLE.COM",
            "https://example.com:8080/path?a=b&c=d#part",
            "https://example.com/a_(b)",
            "https://example.com/((a)b)",
            "https://example.com/日本語/パス",
            "https://例え.jp/?q=日本",
            "http://xn--fsq.com",
            "gemini://example.com/",
        ],
    )
    def test_link_counts_23_however_long_it_is(self, link: str) -> None:
        assert mastodon_length(f"See {link}") == len("See ") + 23

    @pytest.mark.parametrize(
        "no_link",
        [
            "example.com",
            "http://localhost:8000",
            "https://example.unknowntld",
            "ftp://example.com",
            "ahttps://example.com",
            "https://",
            "report.pdf",
            f"https://x.com/{'a' * 4096}",
        ],
    )
    def test_what_is_no_link_counts_its_characters(self, no_link: str) -> None:
        assert mastodon_length(no_link) == len(no_link)

    @pytest.mark.parametrize("end", [".", ",", "!", "?", ")", "」", "'", '"', "…", "=", "&"])
    def test_punctuation_behind_a_link_counts_itself(self, end: str) -> None:
        assert mastodon_length(f"https://example.com/path{end}") == 23 + (end != "…")

    def test_parenthesis_around_a_link_counts_itself(self) -> None:
        assert mastodon_length("(https://example.com/a)") == 25

    def test_every_link_counts(self) -> None:
        assert mastodon_length("https://example.com/a/b/c https://example.com/d/e/f") == 47


class TestAccounts:
    @pytest.mark.parametrize("account", ["@alice", "@alice@example.social", "@alice@" + "b" * 30 + ".com"])
    def test_only_the_name_counts(self, account: str) -> None:
        assert mastodon_length(f"Ask {account}!") == len("Ask @alice!")

    def test_mail_address_counts_in_full(self) -> None:
        assert mastodon_length("alice@example.com") == 17

    def test_account_within_a_link_is_part_of_it(self) -> None:
        assert mastodon_length("https://example.social/x.@alice@example.org/1") == 23

    def test_account_that_is_not_closed_counts_in_full(self) -> None:
        assert mastodon_length("@alice@") == 7


class TestCharacters:
    @pytest.mark.parametrize("character", ["漢", "😀", "👩‍👩‍👧‍👦", "🇩🇪", "e\u0301", "7️⃣", "क्षि"])
    def test_what_people_see_as_one_counts_1(self, character: str) -> None:
        assert mastodon_length(character * 3) == 3

    @given(st.text())
    def test_text_without_links_and_accounts_counts_what_people_see(self, text: str) -> None:
        plain = text.replace("@", "").replace("/", "")
        assert mastodon_length(plain) == grapheme_length(plain)


@pytest.mark.parametrize(
    "text", ["http://" * 20_000, "http://" + "a." * 50_000, "https://a.co/" + "(" * 50_000, "@a" * 50_000]
)
def test_hostile_text_is_counted_without_delay(text: str) -> None:
    assert mastodon_length(text) > 0
