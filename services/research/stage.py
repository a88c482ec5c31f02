"""Research: when a workflow that wants it is requested, find sources about its topic and record them."""

from dataclasses import dataclass
from datetime import timedelta

from chassis.settings import Settings
from chassis.stage import Attempt, Stage
from contracts.commands import RecordResearch
from contracts.events import Source
from contracts.services import RESEARCH
from contracts.works import Kind
from services.research.scouts import SCOUT_VERDICTS, Scout, make_scout

NOTHING_FOUND = "No sources were found about this topic."


@dataclass(frozen=True)
class Tools:
    """What research works with."""

    scout: Scout


stage = Stage[Tools](RESEARCH, verdicts=SCOUT_VERDICTS)


@stage.does(Kind.RESEARCH, within=timedelta(minutes=5))  # a model that searches reads many pages
async def gather_sources(attempt: Attempt, tools: Tools) -> RecordResearch:
    """Finds sources and numbers them from 1. What no source supports is not kept: nothing found is said."""
    found = await tools.scout.find_sources(attempt.state.asked, attempt.say)
    sources = tuple(
        Source(number=number, url=page.url, title=page.title, quote=page.quote, retrieved_at=found.found_at)
        for number, page in enumerate(found.pages, start=1)
    )
    return RecordResearch(
        run=attempt.run,
        attempt=attempt.number,
        notes=found.notes if sources else NOTHING_FOUND,
        sources=sources,
        usage=found.usage,
    )


def make_tools(settings: Settings) -> Tools:
    """The tools that these settings name."""
    return Tools(make_scout(settings))
