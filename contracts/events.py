"""The events: what may stand in the log. Their fields are the storage format.

A field that is added, dropped or changes meaning makes a new version: give the class the next `version`, add an
upcaster (contracts/upcasters.py) and a golden file (tests/contracts/golden/), and leave the old golden file for good.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, Self, cast, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from contracts.platforms import Platform
from contracts.works import Kind, Work

TOPIC_LENGTH_MAX = 2_000
"""Characters of a topic: a long paragraph. More belongs into a source, not into a title."""

Topic = Annotated[
    str,
    # A zero byte cannot stand in Postgres' text.
    StringConstraints(strip_whitespace=True, min_length=1, max_length=TOPIC_LENGTH_MAX, pattern=r"^[^\x00]*$"),
]

NUMBER_MAX = 2**53
"""Beyond it JSON's readers no longer tell neighbours apart; Postgres' bigint holds it."""

Count = Annotated[int, Field(ge=0, le=NUMBER_MAX)]
Ordinal = Annotated[int, Field(ge=1, le=NUMBER_MAX)]
# That a number names a source is for the decider to say (UnknownCitation), so it may be 0 or less here.
SourceNumber = Annotated[int, Field(ge=-NUMBER_MAX, le=NUMBER_MAX)]

COST_USD_MAX = 1e18
"""More than there is; and the sum of a whole workflow's costs stays finite, which JSON asks for."""

CostUsd = Annotated[float, Field(ge=0, le=COST_USD_MAX, allow_inf_nan=False)]

MOMENT_MIN, MOMENT_MAX = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""No clock is older; and near the years 1 and 9999 another zone leads out of the calendar (Postgres: to infinity)."""

Moment = Annotated[AwareDatetime, Field(ge=MOMENT_MIN, le=MOMENT_MAX)]

FIRST_ERROR = Field(fail_fast=True)
"""For every list: it is malformed by its first bad item. All errors of a 1 MB list took 3 s and 1.2 GB."""


UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""Neither a zero byte nor half a surrogate pair can stand in Postgres' text, and the latter not in JSON either."""


class Part(BaseModel):
    """Something that is part of an event: immutable, and with no field that this code does not know.

    A character that cannot be stored (pages and models bring such) becomes U+FFFD, the replacement character.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _not_flooded(cls, value: object) -> object:
        """Each unknown field is an error of its own, so that as many as one likes are refused as one."""
        known = len(cls.model_fields)
        if isinstance(value, dict) and len(cast(dict[Any, Any], value)) > known:
            raise ValueError(f"it has more than the {known} fields that are known")
        return cast(object, value)

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
    retrieved_at: Moment


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
    cost_usd: CostUsd | None = None
    request_ids: Annotated[tuple[str, ...], FIRST_ERROR] = ()
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
    platforms: Annotated[tuple[Platform, ...], Field(min_length=1), FIRST_ERROR]
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
    """What the artefacts share: which claim they answer, which edition they are, and what they used.

    `kind`: of the works that end with such an artefact. It is no field: the log does not store it.
    """

    kind: ClassVar[Kind]

    run: Ordinal
    attempt: Ordinal
    edition: Ordinal = 1
    usage: Usage | None = None


class ResearchCompleted(Artefact):
    """Research ended. Sources are numbered from 1; none found is an honest answer."""

    kind = Kind.RESEARCH

    type: Literal["research-completed"] = "research-completed"
    version: Literal[1] = 1
    notes: str
    sources: Annotated[tuple[Source, ...], FIRST_ERROR]


class BlogWritten(Artefact):
    """The blog post was written. `cited`: the numbers of the sources it cites."""

    kind = Kind.BLOG

    type: Literal["blog-written"] = "blog-written"
    version: Literal[1] = 1
    title: str
    markdown: str
    cited: Annotated[tuple[SourceNumber, ...], FIRST_ERROR] = ()


class SocialPostWritten(Artefact):
    """A post was written. `length` is in the platform's own measure."""

    kind = Kind.SOCIAL

    type: Literal["social-post-written"] = "social-post-written"
    version: Literal[1] = 1
    platform: Platform
    text: str
    length: Count


class IllustrationDrawn(Artefact):
    """The picture was drawn and stands in the object store under `key`. Size, measures and type were read from it."""

    kind = Kind.ILLUSTRATION

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
    retry_at: Moment
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

MADE: tuple[type[Made], ...] = get_args(Made)
"""Every artefact's type."""

EVENT_TYPES: dict[str, type[Event]] = {kind.model_fields["type"].default: kind for kind in get_args(Event)}
"""Every event by its name in the log."""


def work_of(made: Made) -> Work:
    """The work that this artefact is the result of."""
    return Work.social(made.platform) if isinstance(made, SocialPostWritten) else Work(made.kind)
