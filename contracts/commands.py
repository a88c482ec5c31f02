"""The commands: what may be asked of a workflow. Everything a decision needs arrives in its command."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from contracts.events import (
    BlogWritten,
    Brief,
    Failure,
    IllustrationDrawn,
    Made,
    ResearchCompleted,
    SocialPostWritten,
    Source,
    Usage,
)
from contracts.platforms import Platform
from contracts.works import Work


@dataclass(frozen=True, kw_only=True)
class RequestWorkflow:
    """Start a workflow."""

    topic: str
    research: bool
    platforms: tuple[Platform, ...]
    brief: Brief = field(default_factory=Brief)
    client_request_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class ClaimWork:
    """Take on the next attempt at a work. `now` is held against the work's `retry_at`."""

    work: Work
    run: int
    worker: str
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What all results share: the event that records them, the claim they answer, and what they used.

    Each field of such a command is a field of its event.
    """

    recorded_as: ClassVar[type[Made]]

    run: int
    attempt: int
    usage: Usage | None = None


@dataclass(frozen=True, kw_only=True)
class RecordResearch(Answer):
    """Record what research found, numbered from 1."""

    recorded_as = ResearchCompleted

    notes: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, kw_only=True)
class RecordBlog(Answer):
    """Record the blog post. `cited` holds numbers of given sources only."""

    recorded_as = BlogWritten

    title: str
    markdown: str
    cited: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RecordSocialPost(Answer):
    """Record the post for one platform."""

    recorded_as = SocialPostWritten

    platform: Platform
    text: str
    length: int


@dataclass(frozen=True, kw_only=True)
class RecordIllustration(Answer):
    """Record the picture that stands in the object store under `key`."""

    recorded_as = IllustrationDrawn

    key: str
    sha256: str
    bytes: int
    width: int
    height: int
    content_type: str
    prompt: str
    alt_text: str


@dataclass(frozen=True, kw_only=True)
class FailAttempt:
    """Record that an attempt failed. `retry_at` None: give the work up, and with it the run."""

    work: Work
    run: int
    attempt: int
    error: Failure
    retry_at: datetime | None
    cost_known: bool
    usage: Usage | None = None


@dataclass(frozen=True, kw_only=True)
class GiveUpWork:
    """Give up a work whose attempts are used up, the crashed ones counted."""

    work: Work
    run: int


@dataclass(frozen=True, kw_only=True)
class CompleteWorkflow:
    """Close the run: every artefact exists."""

    run: int


@dataclass(frozen=True, kw_only=True)
class CancelWorkflow:
    """Call the open run off."""

    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class ResumeWorkflow:
    """Open the next run of a failed or cancelled workflow."""

    reason: str | None = None


Record = RecordResearch | RecordBlog | RecordSocialPost | RecordIllustration
Command = (
    RequestWorkflow | ClaimWork | Record | FailAttempt | GiveUpWork | CompleteWorkflow | CancelWorkflow | ResumeWorkflow
)
