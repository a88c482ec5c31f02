"""The events: what may stand in the log. Their fields are the storage format.

A field that is added, dropped or changes meaning makes a new version: give the class the next `version`, add an
upcaster (contracts/upcasters.py) and a golden file (tests/contracts/golden/), and leave the old golden file for good.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from contracts.platforms import Platform
from contracts.works import Work

TOPIC_LENGTH_MAX = 2_000
"""Characters of a topic: a long paragraph. More belongs into a source, not into a title."""

Topic = Annotated[
    str,
    # A zero byte cannot stand in Postgres' text.
    StringConstraints(strip_whitespace=True, min_length=1, max_length=TOPIC_LENGTH_MAX, pattern=r"^[^\x00]*$"),
]
Count = Annotated[int, Field(ge=0)]
Ordinal = Annotated[int, Field(ge=1)]


UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""Neither a zero byte nor half a surrogate pair can stand in Postgres' text, and the latter not in JSON either."""


class Part(BaseModel):
    """Something that is part of an event: immutable, and with no field that this code does not know.

    A character that cannot be stored (pages and models bring such) becomes U+FFFD, the replacement character.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: object) -> object:
        return UNSTORABLE.sub("\ufffd", value) if type(value) is str else value


class Brief(Part):
    """How the client wants it written. None: as the writer sees fit."""

    tone: str | None = None
    audience: str | None = None
    language: str | None = None
    length: str | None = None


class Source(Part):
    """A page found by research. `quote` is text of that page, never the model's own sentence."""

    number: Ordinal
    url: str
    title: str
    quote: str | None = None
    retrieved_at: AwareDatetime


class Usage(Part):
    """What a work used of a provider. `cost_usd` is None where no price is known."""

    provider: str
    model: str
    input_tokens: Count = 0
    cached_tokens: Count = 0
    output_tokens: Count = 0
    reasoning_tokens: Count = 0
    images: Count = 0
    searches: Count = 0
    calls: Count = 1
    cost_usd: float | None = None
    request_ids: tuple[str, ...] = ()
    prompt_hash: str | None = None


class Failure(Part):
    """Why an attempt or a workflow failed: a code for programs, a sentence for people."""

    code: str
    message: str
    retryable: bool


class Fact(Part):
    """An event: something that happened and stays so."""


class WorkflowRequested(Fact):
    """Somebody asked for a workflow."""

    type: Literal["workflow-requested"] = "workflow-requested"
    version: Literal[1] = 1
    topic: Topic
    research: bool
    platforms: Annotated[tuple[Platform, ...], Field(min_length=1)]
    brief: Brief = Brief()
    client_request_id: str | None = None

    @model_validator(mode="after")
    def _each_platform_once(self) -> Self:
        if len(set(self.platforms)) != len(self.platforms):
            raise ValueError("each platform may be named once")
        return self


class WorkClaimed(Fact):
    """A worker took on a work; from here on it may be paid for."""

    type: Literal["work-claimed"] = "work-claimed"
    version: Literal[1] = 1
    work: Work
    run: Ordinal
    attempt: Ordinal
    worker: str


class Artefact(Fact):
    """What the artefacts share: which claim they answer, which edition they are, and what they used."""

    run: Ordinal
    attempt: Ordinal
    edition: Ordinal = 1
    usage: Usage | None = None


class ResearchCompleted(Artefact):
    """Research ended. Sources are numbered from 1; none found is an honest answer."""

    type: Literal["research-completed"] = "research-completed"
    version: Literal[1] = 1
    notes: str
    sources: tuple[Source, ...]


class BlogWritten(Artefact):
    """The blog post was written. `cited`: the numbers of the sources it cites."""

    type: Literal["blog-written"] = "blog-written"
    version: Literal[1] = 1
    title: str
    markdown: str
    cited: tuple[int, ...] = ()


class SocialPostWritten(Artefact):
    """A post was written. `length` is in the platform's own measure."""

    type: Literal["social-post-written"] = "social-post-written"
    version: Literal[1] = 1
    platform: Platform
    text: str
    length: Count


class IllustrationDrawn(Artefact):
    """The picture was drawn and stands in the object store under `key`. Size, measures and type were read from it."""

    type: Literal["illustration-drawn"] = "illustration-drawn"
    version: Literal[1] = 1
    key: str
    sha256: str
    bytes: Ordinal
    width: Ordinal
    height: Ordinal
    content_type: str
    prompt: str
    alt_text: str


class AttemptFailed(Fact):
    """An attempt failed and will be tried again at `retry_at`. `cost_known`: False where it may have been billed."""

    type: Literal["attempt-failed"] = "attempt-failed"
    version: Literal[1] = 1
    work: Work
    run: Ordinal
    attempt: Ordinal
    error: Failure
    retry_at: AwareDatetime
    cost_known: bool
    usage: Usage | None = None


class WorkflowCompleted(Fact):
    """Every artefact exists."""

    type: Literal["workflow-completed"] = "workflow-completed"
    version: Literal[1] = 1
    run: Ordinal


class WorkflowFailed(Fact):
    """A work was given up, and with it this run. What was made is kept; a resume opens the next run."""

    type: Literal["workflow-failed"] = "workflow-failed"
    version: Literal[1] = 1
    run: Ordinal
    work: Work
    attempt: Ordinal
    error: Failure
    cost_known: bool = True
    usage: Usage | None = None


class WorkflowCancelled(Fact):
    """Somebody called the run off."""

    type: Literal["workflow-cancelled"] = "workflow-cancelled"
    version: Literal[1] = 1
    run: Ordinal
    reason: str | None = None


class WorkflowResumed(Fact):
    """Somebody opened the next run: what is missing is due again."""

    type: Literal["workflow-resumed"] = "workflow-resumed"
    version: Literal[1] = 1
    run: Ordinal
    reason: str | None = None


Made = ResearchCompleted | BlogWritten | SocialPostWritten | IllustrationDrawn
Terminal = WorkflowCompleted | WorkflowFailed | WorkflowCancelled
Event = WorkflowRequested | WorkClaimed | Made | AttemptFailed | Terminal | WorkflowResumed

EVENT_TYPES: dict[str, type[Event]] = {
    kind.model_fields["type"].default: kind
    for kind in (
        WorkflowRequested,
        WorkClaimed,
        ResearchCompleted,
        BlogWritten,
        SocialPostWritten,
        IllustrationDrawn,
        AttemptFailed,
        WorkflowCompleted,
        WorkflowFailed,
        WorkflowCancelled,
        WorkflowResumed,
    )
}
"""Every event by its name in the log."""


def work_of(made: Made) -> Work:
    """The work that this artefact is the result of."""
    match made:
        case ResearchCompleted():
            return Work.RESEARCH
        case BlogWritten():
            return Work.BLOG
        case SocialPostWritten():
            return Work.social(made.platform)
        case IllustrationDrawn():
            return Work.ILLUSTRATION
