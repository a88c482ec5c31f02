"""Read table `sources`: every source that research found, under the number by which texts cite it."""

from dataclasses import dataclass
from datetime import datetime

from contracts.envelope import Recorded
from contracts.events import ResearchCompleted
from services.projector.table import Table


@dataclass(frozen=True, kw_only=True)
class SourceRow:
    """One source."""

    owner: str
    workflow_id: str
    edition: int
    number: int
    position: int
    url: str
    title: str
    quote: str | None
    retrieved_at: datetime


sources = Table("sources", SourceRow, key=("owner", "workflow_id", "edition", "number"))


@sources.on(ResearchCompleted)
def keep_sources(recorded: Recorded[ResearchCompleted]) -> list[SourceRow]:
    """A row for each; research that found nothing brings none."""
    return [
        SourceRow(
            owner=recorded.key.owner,
            workflow_id=recorded.key.workflow_id,
            edition=recorded.event.edition,
            number=source.number,
            position=recorded.position,
            url=source.url,
            title=source.title,
            quote=source.quote,
            retrieved_at=source.retrieved_at,
        )
        for source in recorded.event.sources
    ]
