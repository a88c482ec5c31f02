"""Searching with the model's own web search: its notes cite by number, and each number is a page that it found."""

import re

import pytest

from chassis.model import Citation, Model, Say, Searched
from chassis.settings import Settings
from chassis.stage import WorkFailed
from contracts.commands import RecordResearch
from contracts.events import Brief
from contracts.works import Work
from local.standin.control import StandIn
from services.research.scouts import Found, OpenAIScout
from services.research.stage import NOTHING_FOUND, Tools, gather_sources
from tests.services.attempts import USAGE, attempt, requested, unheard


async def search(settings: Settings, topic: str = "urban beekeeping") -> Found:
    return await OpenAIScout(Model(settings)).find_sources(requested(topic, research=True), unheard)


def numbers(notes: str) -> list[int]:
    return [int(number) for number in re.findall(r"\[(\d+)\]", notes)]


class TestNotes:
    async def test_each_number_is_a_page_that_was_found(self, settings: Settings) -> None:
        found = await search(settings)
        assert found.pages
        assert sorted(set(numbers(found.notes))) == list(range(1, len(found.pages) + 1))

    async def test_numbers_follow_the_order_of_the_notes(self, settings: Settings) -> None:
        found = await search(settings)
        assert numbers(found.notes) == list(range(1, len(found.pages) + 1))

    async def test_every_page_is_one_that_the_model_cited(self, settings: Settings) -> None:
        searched = await Model(settings).search(instructions="Find sources", input="Topic: urban beekeeping")
        found = await search(settings)
        assert [page.url for page in found.pages] == [citation.url for citation in searched.citations]

    async def test_notes_hold_numbers_in_place_of_links(self, settings: Settings) -> None:
        assert "http" not in (await search(settings)).notes

    async def test_no_quote_is_claimed(self, settings: Settings) -> None:
        assert {page.quote for page in (await search(settings)).pages} == {None}

    async def test_the_search_is_counted(self, settings: Settings) -> None:
        assert (await search(settings)).usage.searches == 1

    @pytest.mark.parametrize("topic", ["<b>&\"'", "量子 🐝", "[1] and $topic {x}", "x" * 2_000])
    async def test_odd_topics_are_searched_as_well(self, settings: Settings, topic: str) -> None:
        found = await search(settings, topic)
        assert numbers(found.notes)[-1] == len(found.pages)


async def test_audience_and_language_reach_the_search(settings: Settings) -> None:
    inputs: list[str] = []

    class Searches(Model):
        async def search(self, *, instructions: str, input: str, say: Say | None = None) -> Searched:
            inputs.append(input)
            return Searched("Nothing.", (), USAGE)

    brief = Brief(audience="beekeepers", language="German", length="600")
    await OpenAIScout(Searches(settings)).find_sources(requested("bees", brief=brief), unheard)
    assert inputs == ["Topic: bees\nAudience: beekeepers\nLanguage: German"]


class TestNothingFound:
    async def test_no_results_is_an_honest_answer(self, settings: Settings, standin: StandIn) -> None:
        await standin.rule(do={"no_results": True})
        tools = Tools(OpenAIScout(Model(settings)))
        record = await gather_sources(attempt(Work.RESEARCH, requested(research=True)), tools)
        assert isinstance(record, RecordResearch)
        assert (record.sources, record.notes) == ((), NOTHING_FOUND)


class Cites(Model):
    """A model whose search says this text, with marks at these places."""

    def __init__(self, text: str, *citations: Citation) -> None:
        self._searched = Searched(text, citations, USAGE)

    async def search(self, *, instructions: str, input: str, say: Say | None = None) -> Searched:
        return self._searched


async def notes(text: str, *citations: Citation) -> str:
    found = await OpenAIScout(Cites(text, *citations)).find_sources(requested(research=True), unheard)
    return found.notes


class TestMarks:
    async def test_page_cited_twice_keeps_its_number(self) -> None:
        a, b = "https://a.org", "https://b.org"
        text = await notes("x.A y.B z.A", Citation(a, "A", 2, 3), Citation(b, "B", 6, 7), Citation(a, "A", 10, 11))
        assert text == "x.[1] y.[2] z.[1]"

    async def test_mark_of_an_unusable_page_goes(self) -> None:
        text = await notes("x.A y.B", Citation("ftp://a.org", "A", 2, 3), Citation("https://b.org", "B", 6, 7))
        assert text == "x. y.[1]"

    async def test_two_pages_on_one_mark_lose_no_text(self) -> None:
        mark = Citation("https://a.org", "A", 2, 9), Citation("https://b.org", "B", 2, 9)
        assert await notes("x.(A, B!) y.", *mark) == "x.[1][2] y."


class TestFailures:
    @pytest.mark.parametrize(
        ("fault", "code"),
        [
            ({"status": 401}, "key-refused"),
            ({"status": 429, "code": "insufficient_quota"}, "quota-used-up"),
            ({"status": 429}, "rate-limited"),
            ({"status": 500}, "model-unavailable"),
            ({"cut": True}, "model-unavailable"),
            ({"malformed": True}, "answer-malformed"),
            ({"empty": True}, "answer-malformed"),
            ({"refuse": True}, "content-refused"),
        ],
    )
    async def test_each_failure_has_its_name(
        self, settings: Settings, standin: StandIn, fault: dict[str, object], code: str
    ) -> None:
        await standin.rule(do=fault)
        with pytest.raises(WorkFailed) as failed:
            await search(settings)
        assert failed.value.code == code

    async def test_failed_search_is_one_call(self, settings: Settings, standin: StandIn) -> None:
        await standin.rule(do={"status": 500})
        with pytest.raises(WorkFailed):
            await search(settings)
        assert len(await standin.calls()) == 1
