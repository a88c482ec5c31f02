"""Which web pages may open a websocket: a page that a user happens to have open must not spend the user's money."""

import pytest

from services.gateway.origins import is_welcome


@pytest.mark.parametrize(
    ("origin", "host", "others"),
    [
        (None, "127.0.0.1:8000", ""),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", ""),
        ("http://localhost:3000", "localhost:8000", ""),
        ("http://localhost:3000", "127.0.0.1:8000", ""),
        ("http://[::1]:3000", "localhost:8000", ""),
        ("https://press.example", "press.example", ""),
        ("https://news.example", "press.example", "blog.example, news.example"),
        ("https://anybody.example", "press.example", "*"),
    ],
)
def test_programs_and_pages_of_the_house_are_welcome(origin: str | None, host: str, others: str) -> None:
    assert is_welcome(origin, host, others)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "", "https://127.0.0.1.evil.example", "http://[half"]
)
def test_pages_from_elsewhere_are_not(origin: str) -> None:
    assert not is_welcome(origin, "127.0.0.1:8000", "news.example")
