"""Surplus links: the first ones stay, the others go, and the text reads on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.writer.surplus_links import different_links, without_surplus_links

PIECES = [
    "https://a.co/x",
    "b.org",
    "www.c.net",
    "d.com",
    ".",
    " ",
    "com",
    "a",
    "漢",
    "e\u0301",
    "\u0301",
    "(",
    ")",
    "@",
    "#",
]


def test_links_with_and_without_a_scheme_count() -> None:
    assert different_links("See https://a.co/x, b.org and http://localhost.") == 2


def test_the_same_link_again_does_not_count() -> None:
    assert different_links("a.co b.org a.co") == 2


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a.co b.org c.net", "a.co b.org"),
        ("a.co b.org c.net a.co", "a.co b.org a.co"),
        ("a.co, b.org, c.net, and so on.", "a.co, b.org,, and so on."),
        ("漢a.co 漢b.org字 漢c.net字", "漢a.co 漢b.org字 漢 字"),
        ("No links.", "No links."),
        (" a.co\nb.org ", " a.co\nb.org "),
    ],
)
def test_first_links_stay_and_others_go(text: str, left: str) -> None:
    assert without_surplus_links(text, 2) == left


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), st.integers(1, 3))
def test_no_text_keeps_more_links_than_allowed(text: str, links_max: int) -> None:
    left = without_surplus_links(text, links_max)
    assert different_links(left) <= links_max
    assert left == text or different_links(text) > links_max
    assert without_surplus_links(left, links_max) == left
