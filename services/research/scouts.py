"""Scouts: who finds sources. OpenAI's web search, Tavily, or nobody."""

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypedDict
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel
from tavily import AsyncTavilyClient
from tavily.errors import (
    BadRequestError,
    ForbiddenError,
    InvalidAPIKeyError,
    MissingAPIKeyError,
    UsageLimitExceededError,
)
from tavily.errors import (
    TimeoutError as TavilyTimeout,
)

from chassis.answers import once
from chassis.event_store import utc_now
from chassis.model import (
    MODEL_VERDICTS,
    AnswerMalformed,
    Model,
    ModelUnavailable,
    QuotaUsedUp,
    RateLimited,
    RequestRefused,
    Say,
    Searched,
    wait_asked,
)
from chassis.prices import BUILT_IN, TAVILY, Prices, load_prices, provider_at
from chassis.prompts import brief_lines, load_prompt, one_line
from chassis.settings import Settings
from chassis.stage import GiveUp, Verdicts, WorkFailed
from contracts.events import Usage, WorkflowRequested

SOURCES_MAX = 20
QUOTE_LENGTH_MAX = 2_000
TITLE_LENGTH_MAX = 300
TAVILY_QUERY_LENGTH_MAX = 400
"""Longer queries are refused by Tavily."""
TAVILY_CREDITS = 2
"""Of an advanced search, by Tavily's own documentation; a basic one costs one credit."""

TAVILY_PAUSE = timedelta(seconds=30)
"""Where Tavily asks for fewer searches and does not say when: it counts them by the minute."""

SEARCH = load_prompt(__file__, "search")


class ResearchSwitchedOff(WorkFailed):
    """Research was asked for, but this installation searches nowhere: set PRESSROOM_RESEARCH, then resume."""


class TavilyKeyRefused(WorkFailed):
    """Tavily refuses the key. Set a valid TAVILY_API_KEY, then resume the workflow."""


SCOUT_VERDICTS: Verdicts = {**MODEL_VERDICTS, ResearchSwitchedOff: GiveUp(), TavilyKeyRefused: GiveUp()}


@dataclass(frozen=True)
class Page:
    """A page that was found. `quote` is text of the page itself, or None."""

    url: str
    title: str
    quote: str | None = None


@dataclass(frozen=True)
class Found:
    """What a search brought, and when. The notes cite pages by their place in `pages`, from 1."""

    notes: str
    pages: tuple[Page, ...]
    usage: Usage
    found_at: datetime = field(default_factory=utc_now)


class Scout(Protocol):
    """Finds sources about what was asked. Raises WorkFailed."""

    async def find_sources(self, asked: WorkflowRequested, say: Say) -> Found:
        """What the search brought; no pages where nothing was found."""
        ...


class OpenAIScout:
    """Searches with the model's own web search."""

    def __init__(self, model: Model) -> None:
        self._model = model

    async def find_sources(self, asked: WorkflowRequested, say: Say) -> Found:
        """See Scout. The model tells of its pages but does not hand over their text: there are no quotes."""
        searched = await self._model.search(instructions=SEARCH.template, input=brief_lines(asked), say=say)
        pages = worth_citing(Page(citation.url, citation.title) for citation in searched.citations)
        return Found(_numbered(searched, pages), pages, searched.usage, searched.searched_at)


class TavilyResult(BaseModel):
    """A page, as Tavily tells of it."""

    url: str
    title: str | None = None
    content: str | None = None


class TavilyAnswer(BaseModel):
    """What Tavily answers to a search."""

    results: tuple[TavilyResult, ...]
    request_id: str | None = None


class TavilyScout:
    """Searches with Tavily, which hands over text of each page."""

    def __init__(self, key: str, base_url: str | None = None, prices: Prices = BUILT_IN) -> None:
        self._client: Any = AsyncTavilyClient(key, api_base_url=base_url)  # its own types are partial
        # Its errors say nothing of what the answer's headers ask for.
        self._client._client.event_hooks = {"response": [_note_answer]}
        self._provider = provider_at(urlsplit(base_url).hostname or base_url) if base_url else TAVILY
        self._cost_usd = prices.of_credits(self._provider, TAVILY_CREDITS)

    async def find_sources(self, asked: WorkflowRequested, say: Say) -> Found:
        """See Scout."""
        query = one_line(asked.topic)[:TAVILY_QUERY_LENGTH_MAX]
        return await once(lambda: self._find(query), Found, self._provider, query)

    async def _find(self, query: str) -> Found:
        answer = await self._search(query)
        pages = worth_citing(Page(found.url, found.title or "", found.content) for found in answer.results)
        notes = "\n\n".join(
            f"{page.title}: {page.quote} [{number}]" for number, page in enumerate(pages, start=1) if page.quote
        )
        return Found(notes, pages, self._usage(answer))

    def _usage(self, answer: TavilyAnswer) -> Usage:
        request_ids = (answer.request_id,) if answer.request_id else ()
        return Usage(
            provider=self._provider, model="search", searches=1, cost_usd=self._cost_usd, request_ids=request_ids
        )

    async def _search(self, query: str) -> TavilyAnswer:
        try:
            return TavilyAnswer.model_validate(await self._client.search(query, search_depth="advanced", max_results=8))
        except (InvalidAPIKeyError, MissingAPIKeyError) as refused:
            raise TavilyKeyRefused from refused
        except UsageLimitExceededError as limited:
            raise RateLimited("Tavily asks for fewer searches at a time.", retry_after=_wait(TAVILY_PAUSE)) from limited
        except ForbiddenError as refused:
            if ANSWER.get().status_code == 403:
                raise TavilyKeyRefused from refused
            raise QuotaUsedUp("Tavily's quota is used up. Top it up, then resume the workflow.") from refused
        except BadRequestError as refused:
            raise RequestRefused("Tavily refused the request.") from refused
        except httpx.HTTPStatusError as refused:
            raise _by_status(refused.response.status_code) from refused
        except httpx.ConnectError as unreachable:
            raise ModelUnavailable("Tavily cannot be reached.") from unreachable
        except (TavilyTimeout, httpx.HTTPError) as silent:
            raise ModelUnavailable("Tavily does not answer. It may have been billed.", **self._unknown) from silent
        except (ValueError, TypeError, AttributeError) as unreadable:  # its client trips over what is not an object
            raise AnswerMalformed(
                "Tavily's answer cannot be read. It may have been billed.", **self._unknown
            ) from unreadable

    @property
    def _unknown(self) -> "_Unknown":
        return {"cost_known": False, "usage": Usage(provider=self._provider, model="search")}


class _Unknown(TypedDict):
    """Of a call that may have been billed."""

    cost_known: bool
    usage: Usage


ANSWER: ContextVar[httpx.Response] = ContextVar("ANSWER")
"""What Tavily has answered to the search that is under way."""


async def _note_answer(answer: httpx.Response) -> None:
    ANSWER.set(answer)


def _wait(usual: timedelta = timedelta(0)) -> timedelta:
    """How long Tavily asks to wait, or else the usual wait."""
    return wait_asked(ANSWER.get().headers.get("retry-after", "")) or usual


def _by_status(status: int) -> WorkFailed:
    if status in (408, 409) or status >= 500:
        return ModelUnavailable(f"Tavily answered {status}.", retry_after=_wait())
    return RequestRefused(f"Tavily refused the request: {status}.")


class NoScout:
    """Searches nowhere, and says so."""

    async def find_sources(self, asked: WorkflowRequested, say: Say) -> Found:
        """See Scout. Raises ResearchSwitchedOff."""
        raise ResearchSwitchedOff


def make_scout(settings: Settings) -> Scout:
    """The scout that these settings name."""
    match settings.researcher:
        case "openai":
            return OpenAIScout(Model(settings))
        case "tavily":
            key, prices = settings.tavily_api_key.get_secret_value().strip(), load_prices(settings.prices)
            return TavilyScout(key, settings.tavily_base_url, prices)
        case "none":
            return NoScout()


def worth_citing(pages: Iterable[Page]) -> tuple[Page, ...]:
    """The pages that a reader can open, each once, with clean titles; a page without a title has its host's name."""
    found: dict[str, Page] = {}
    for page in pages:
        host = _host(page.url)
        if host and len(found) < SOURCES_MAX:
            title = one_line(page.title)[:TITLE_LENGTH_MAX] or host
            quote = (page.quote or "").strip()[:QUOTE_LENGTH_MAX] or None
            found.setdefault(page.url, Page(page.url, title, quote))
    return tuple(found.values())


def _host(url: str) -> str | None:
    """The host of an address on the web; None for any other address."""
    try:
        address = urlsplit(url)
    except ValueError:  # such as half an IPv6 address
        return None
    return address.hostname if address.scheme in ("http", "https") else None


def _numbered(searched: Searched, pages: tuple[Page, ...]) -> str:
    """The notes with each citation replaced by the number of its page, so that a writer can cite the same one."""
    numbers = {page.url: number for number, page in enumerate(pages, start=1)}
    notes, read_to = "", 0
    for mark in searched.citations:
        number = numbers.get(mark.url)
        notes += searched.text[read_to : mark.start] + (f"[{number}]" if number else "")
        read_to = max(read_to, mark.end)  # one mark may stand for several pages
    return notes + searched.text[read_to:]
