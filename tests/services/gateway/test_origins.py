"""Which web pages may open a websocket: a page that a user happens to have open must not spend the user's money."""

import pytest
from websockets.exceptions import InvalidStatus

from services.gateway.origins import is_welcome
from tests.services.gateway.newsroom import Newsroom


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


@pytest.mark.asyncio(loop_scope="module")
class TestOverTheWire:
    async def test_page_from_elsewhere_is_refused_before_it_is_let_in(self, room: Newsroom) -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with room.socket(origin="https://evil.example"):
                pass
        assert refused.value.response.status_code == 403

    async def test_page_of_another_port_here_is_served(self, room: Newsroom) -> None:
        async with room.socket(origin="http://localhost:3000") as client:
            await client.say({"topic": "bees", "research": False})
            assert (await client.hear())["type"] == "progress_event"
