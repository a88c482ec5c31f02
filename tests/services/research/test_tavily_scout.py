"""Searching with Tavily, which is a small server of our own here: quotes are the pages' text, failures have names."""

import asyncio
from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tavily import AsyncTavilyClient

from chassis.prices import BUILT_IN, Prices, ProviderPrices, provider_at
from chassis.stage import GiveUp, WorkFailed
from local.state import free_port
from services.research import scouts
from services.research.scouts import TAVILY_CREDITS, TAVILY_QUERY_LENGTH_MAX, Found, TavilyScout
from services.research.stage import stage
from tests.services.attempts import requested, unheard
from tests.services.served import served

RESULTS = [
    {"url": "https://a.org/bees", "title": "Bees", "content": "Bees dance.", "score": 0.9},
    {"url": "https://b.org/trees", "title": "", "content": None, "score": 0.8},
]


class Tavily:
    """Answers searches as it is told, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.answers(RESULTS)

    def answers(self, results: object) -> None:
        self.reply: Response = JSONResponse({"query": "q", "results": results, "request_id": "t-1"})

    def refuses(self, status: int) -> None:
        self.reply = JSONResponse({"detail": {"error": "no"}}, status)

    async def search(self, request: Request) -> Response:
        self.asked.append(await request.json())
        self.keys.append(request.headers.get("authorization"))
        return self.reply


@pytest.fixture
def tavily() -> Tavily:
    return Tavily()


@pytest.fixture
async def address(tavily: Tavily) -> AsyncGenerator[str]:
    async with served(Starlette(routes=[Route("/search", tavily.search, methods=["POST"])])) as place:
        yield f"http://{place}"


@pytest.fixture
async def clients(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[None]:
    """Tavily's own clients, closed at the end, and less patient than its 60 seconds."""
    made: list[Any] = []

    class Closed(AsyncTavilyClient):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            made.append(self)

        async def search(self, *given: Any, **options: Any) -> dict[str, Any]:
            base: Any = super()  # its own types are partial
            return await base.search(*given, **options, timeout=1)

    monkeypatch.setattr(scouts, "AsyncTavilyClient", Closed)
    yield
    for client in made:
        await client.close()


@pytest.fixture
def scout(address: str, clients: None) -> TavilyScout:
    return TavilyScout("tvly-sample", address)


async def search(scout: TavilyScout, topic: str = "urban beekeeping") -> Found:
    return await scout.find_sources(requested(topic, research=True), unheard)


class TestWhatIsFound:
    async def test_quotes_are_text_of_the_pages(self, scout: TavilyScout) -> None:
        assert [page.quote for page in (await search(scout)).pages] == ["Bees dance.", None]

    async def test_untitled_page_has_its_hosts_name(self, scout: TavilyScout) -> None:
        assert [page.title for page in (await search(scout)).pages] == ["Bees", "b.org"]

    async def test_notes_cite_pages_by_number(self, scout: TavilyScout) -> None:
        assert "Bees dance. [1]" in (await search(scout)).notes

    async def test_notes_say_nothing_of_pages_without_text(self, scout: TavilyScout) -> None:
        assert "None" not in (await search(scout)).notes

    async def test_no_results_are_no_pages(self, scout: TavilyScout, tavily: Tavily) -> None:
        tavily.answers([])
        assert (await search(scout)).pages == ()

    async def test_usage_names_who_answered_and_its_request(self, scout: TavilyScout) -> None:
        usage = (await search(scout)).usage
        assert (usage.provider, usage.searches, usage.request_ids) == ("127.0.0.1", 1, ("t-1",))


class TestWhatItCosts:
    async def test_tavilys_own_price_holds_for_tavily_alone(self, scout: TavilyScout) -> None:
        assert (await search(scout)).usage.cost_usd is None

    async def test_advanced_search_costs_two_credits(self, address: str, clients: None) -> None:
        own = ProviderPrices(credit=Decimal("0.005"))
        scout = TavilyScout("tvly-sample", address, Prices({"127.0.0.1": own}))
        assert (await search(scout)).usage.cost_usd == 0.01

    def test_tavily_itself_is_known_by_its_name(self) -> None:
        assert (provider_at("api.tavily.com"), BUILT_IN.of_credits("tavily", TAVILY_CREDITS)) == ("tavily", 0.016)


class TestWhatIsAsked:
    async def test_the_key_goes_along(self, scout: TavilyScout, tavily: Tavily) -> None:
        await search(scout)
        assert tavily.keys == ["Bearer tvly-sample"]

    async def test_long_topics_are_cut_to_what_tavily_takes(self, scout: TavilyScout, tavily: Tavily) -> None:
        await search(scout, "word\n" * 300)
        assert len(tavily.asked[0]["query"]) == TAVILY_QUERY_LENGTH_MAX
        assert "\n" not in tavily.asked[0]["query"]


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (400, "request-refused"),
            (401, "tavily-key-refused"),
            (429, "rate-limited"),
            (432, "quota-used-up"),
            (433, "quota-used-up"),
            (500, "model-unavailable"),
            (503, "model-unavailable"),
        ],
    )
    async def test_each_refusal_has_its_name(self, scout: TavilyScout, tavily: Tavily, status: int, code: str) -> None:
        tavily.refuses(status)
        assert await failure(scout) == code
        assert len(tavily.asked) == 1

    @pytest.mark.parametrize(
        "body",
        [
            "<html>",
            "",
            "[]",
            "7",
            '{"results": 7}',
            '{"results": [7]}',
            '{"results": [{"title": "no address"}]}',
            '{"results": [{"url": 7, "title": "x"}]}',
            '{"results": [{"url": "https://a.org", "title": 7}]}',
            '{"results": [{"url": "https://a.org", "title": "x", "content": {"a": 1}}]}',
        ],
    )
    async def test_answer_that_cannot_be_read_is_malformed(self, scout: TavilyScout, tavily: Tavily, body: str) -> None:
        tavily.reply = Response(body, media_type="application/json")
        assert await failure(scout) == "answer-malformed"

    async def test_silence_is_a_timeout_that_may_have_cost(
        self, scout: TavilyScout, tavily: Tavily, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tavily.reply = Silence()
        with pytest.raises(WorkFailed) as failed:
            await search(scout)
        assert (failed.value.code, failed.value.cost_known) == ("model-unavailable", False)

    async def test_nobody_at_the_address_is_unavailable(self, clients: None) -> None:
        assert await failure(TavilyScout("tvly-sample", f"http://127.0.0.1:{free_port()}")) == "model-unavailable"

    @pytest.mark.parametrize("status", [401, 432])
    async def test_key_and_quota_are_not_tried_again(self, scout: TavilyScout, tavily: Tavily, status: int) -> None:
        tavily.refuses(status)
        with pytest.raises(WorkFailed) as failed:
            await search(scout)
        assert isinstance(stage.verdict(failed.value), GiveUp)


class Silence(Response):
    """Never comes; ends when the client has gone."""

    async def __call__(self, *_: Any) -> None:
        await asyncio.get_running_loop().create_future()


async def failure(scout: TavilyScout) -> str:
    with pytest.raises(WorkFailed) as failed:
        await search(scout)
    return failed.value.code
