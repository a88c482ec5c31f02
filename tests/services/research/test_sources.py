"""Research: the sources it records are numbered, unique, and can be opened; nothing found is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.model import Say
from chassis.settings import Settings
from chassis.stage import GiveUp, WorkFailed
from contracts.commands import RecordResearch
from contracts.events import WorkflowRequested
from contracts.works import Work
from services.research.scouts import (
    QUOTE_LENGTH_MAX,
    SOURCES_MAX,
    TITLE_LENGTH_MAX,
    Found,
    NoScout,
    Page,
    ResearchSwitchedOff,
    make_scout,
    worth_citing,
)
from services.research.stage import NOTHING_FOUND, Tools, gather_sources, stage
from tests.services.attempts import NOW, USAGE, attempt, requested, unheard


class Finds:
    """A scout that finds these pages."""

    def __init__(self, *pages: Page) -> None:
        self._found = Found("What the pages say. [1]", pages, USAGE, NOW)

    async def find_sources(self, asked: WorkflowRequested, say: Say) -> Found:
        return self._found


async def research(*pages: Page) -> RecordResearch:
    given = attempt(Work.RESEARCH, requested(research=True))
    record = await gather_sources(given, Tools(Finds(*pages)))
    assert isinstance(record, RecordResearch)
    return record


class TestWhatIsRecorded:
    async def test_sources_are_numbered_from_one(self) -> None:
        record = await research(Page("https://a.org", "A"), Page("https://b.org", "B"))
        assert [(source.number, source.url) for source in record.sources] == [
            (1, "https://a.org"),
            (2, "https://b.org"),
        ]

    async def test_each_source_says_when_it_was_found(self) -> None:
        record = await research(Page("https://a.org", "A"))
        assert record.sources[0].retrieved_at == NOW

    async def test_quote_of_the_page_is_kept(self) -> None:
        record = await research(Page("https://a.org", "A", "Bees dance."))
        assert record.sources[0].quote == "Bees dance."

    async def test_nothing_found_is_said_and_not_invented(self) -> None:
        record = await research()
        assert (record.sources, record.notes) == ((), NOTHING_FOUND)

    async def test_what_it_used_is_recorded(self) -> None:
        assert (await research()).usage == USAGE


class TestPagesWorthCiting:
    def test_page_found_twice_is_cited_once(self) -> None:
        pages = worth_citing([Page("https://a.org", "First"), Page("https://a.org", "Second")])
        assert [page.title for page in pages] == ["First"]

    @pytest.mark.parametrize(
        "url",
        [
            "ftp://a.org",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "a.org",
            "https://",
            "",
            "http://[half",
            "//a.org",
        ],
    )
    def test_only_web_addresses_are_cited(self, url: str) -> None:
        assert worth_citing([Page(url, "A")]) == ()

    @given(st.text() | st.from_regex(r"https?://[^\s]*", fullmatch=True))
    def test_no_address_breaks_the_search(self, url: str) -> None:
        assert all(page.url == url for page in worth_citing([Page(url, "A")]))

    @pytest.mark.parametrize("title", ["", "  \n\t "])
    def test_untitled_page_has_its_hosts_name(self, title: str) -> None:
        assert worth_citing([Page("https://a.org/x", title)])[0].title == "a.org"

    def test_title_stands_on_one_line(self) -> None:
        assert worth_citing([Page("https://a.org", " Bees\n\nand  trees ")])[0].title == "Bees and trees"

    def test_blank_quote_is_no_quote(self) -> None:
        assert worth_citing([Page("https://a.org", "A", " \n ")])[0].quote is None

    def test_number_and_length_of_sources_are_bounded(self) -> None:
        pages = worth_citing(Page(f"https://a.org/{n}", "t" * 1_000, "q" * 10_000) for n in range(100))
        assert len(pages) == SOURCES_MAX
        assert {(len(page.title), len(page.quote or "")) for page in pages} == {(TITLE_LENGTH_MAX, QUOTE_LENGTH_MAX)}


class TestSwitchedOff:
    async def test_research_switched_off_fails_under_its_name(self) -> None:
        with pytest.raises(ResearchSwitchedOff) as failed:
            await NoScout().find_sources(requested(research=True), unheard)
        assert stage.failure(failed.value).code == "research-switched-off"

    def test_research_switched_off_is_not_tried_again(self) -> None:
        assert stage.verdict(ResearchSwitchedOff()) == GiveUp(retryable=True)

    def test_setting_none_means_nobody_searches(self) -> None:
        assert isinstance(make_scout(Settings.model_validate({"research": "none"})), NoScout)


def test_every_failure_has_a_verdict_of_its_own() -> None:
    assert all(issubclass(kind, WorkFailed) and (kind.__doc__ or "").strip() for kind in stage.verdicts)
