"""Attempts as the runner would hand them to a stage, built from the events that came before."""

from datetime import UTC, datetime

from chassis.stage import Attempt
from contracts.events import BlogWritten, Brief, Event, ResearchCompleted, Source, Usage, WorkflowRequested
from contracts.platforms import Platform
from contracts.subjects import WorkflowKey
from contracts.workflow import fold
from contracts.works import Work

KEY = WorkflowKey("local", "w1")
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
USAGE = Usage(provider="sample", model="m", input_tokens=10, output_tokens=5, request_ids=("r",))


def requested(
    topic: str = "urban beekeeping",
    *,
    research: bool = False,
    platforms: tuple[Platform, ...] = (Platform.LINKEDIN,),
    brief: Brief | None = None,
) -> WorkflowRequested:
    return WorkflowRequested(topic=topic, research=research, platforms=platforms, brief=brief or Brief())


def source(number: int, url: str | None = None, title: str | None = None, quote: str | None = None) -> Source:
    return Source(
        number=number,
        url=url or f"https://example.org/{number}",
        title=title or f"Page {number}",
        quote=quote,
        retrieved_at=NOW,
    )


def researched(*sources: Source, notes: str = "Bees dance. [1]") -> ResearchCompleted:
    return ResearchCompleted(run=1, attempt=1, notes=notes, sources=sources)


def blogged(markdown: str = "# Bees\n\nThey dance.", cited: tuple[int, ...] = ()) -> BlogWritten:
    return BlogWritten(run=1, attempt=1, title="Bees", markdown=markdown, cited=cited)


def attempt(work: Work, *events: Event) -> Attempt:
    """The first attempt at this work, after these events."""
    return Attempt(KEY, fold(events), work, run=1, number=1, say=unheard)


async def unheard(_: str) -> None:
    """Nobody listens to the text while it is written."""
