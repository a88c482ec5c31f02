"""The shapes of what the reads answer with. They follow the read tables, and tell only what those tell.

Words that the log may get more of (statuses, works, platforms, codes) are plain texts here: an answer is never refused
because the tables know more than this gateway.
"""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from contracts.services import WRITER
from contracts.subjects import EventSubject, WorkflowKey
from services.gateway.pages import Page, cursor_at

EXCERPT_LENGTH = 200

HEADING = re.compile(r"^\s*#+[^\n]*\n")

_WORKFLOW_ID = "01a20262-4036-74ac-b832-5ff8bc7b6bef"
_EVENT_ID = "01a20262-7c11-7d52-9a7e-0f3c86e2b1d4"
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_MOMENT = "2026-11-22T10:00:12.345678Z"

Id = Annotated[str, Field(description="The id of the event that brought it.")]
Position = Annotated[int, Field(description="Where its event stands in the log; lists go by it, newest first.")]
Edition = Annotated[int, Field(description="1, and one more for each time it was made anew.")]
WorkName = Annotated[str, Field(description="`research`, `blog`, `social:<platform>` or `illustration`.")]
CostSum = Annotated[float, Field(description="In US dollars: the sum of what is known.")]
CostKnown = Annotated[bool, Field(description="False where something may have cost more than the sum says.")]
Topic = Annotated[str | None, Field(description="The topic of the workflow that made it.")]


def _example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


def _page_of(example: dict[str, Any]) -> ConfigDict:
    return _example({"items": [example], "next": cursor_at(example["position"]), "position": 57})


# ---------------------------------------------------------------- parts of a workflow


class UsageTold(BaseModel):
    """What one attempt used of a provider."""

    provider: str
    model: str
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    images: int = 0
    searches: int = 0
    calls: int = 0
    cost_usd: Annotated[float | None, Field(description="In US dollars; null where no price is known.")] = None
    request_ids: Annotated[list[str], Field(description="The provider's own ids of the calls.")] = []
    prompt_hash: Annotated[str | None, Field(description="Of the prompt's files.")] = None


class UsageSum(BaseModel):
    """What a work, or a whole workflow, used of its providers, failed attempts included."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    images: int = 0
    searches: int = 0
    calls: int = 0
    cost_usd: CostSum = 0.0
    cost_known: CostKnown = True


class FailureTold(BaseModel):
    """Why an attempt failed."""

    code: str
    message: Annotated[str, Field(description="A sentence for people.")]
    retryable: Annotated[bool, Field(description="Whether another try makes sense.")]


class WorkflowFailure(FailureTold):
    """Why a workflow failed."""

    work: WorkName


class AttemptTold(BaseModel):
    """One attempt at a work."""

    run: Annotated[int, Field(description="The run that it belongs to.")]
    attempt: Annotated[int, Field(description="Its number in that run.")]
    worker: Annotated[str | None, Field(description="The process that claimed it.")] = None
    claimed_at: datetime | None = None
    ended_at: Annotated[datetime | None, Field(description="Null while it runs.")] = None
    outcome: Annotated[
        str,
        Field(
            description="`running`, `made`, `failed` (it is tried again), `gave-up`, `lost` (its process died or fell "
            "silent) or `called-off`."
        ),
    ]
    error: FailureTold | None = None
    retry_at: Annotated[datetime | None, Field(description="When the next attempt may begin.")] = None
    cost_known: Annotated[bool | None, Field(description="False where it may have cost more than is told.")] = None
    usage: UsageTold | None = None


class WorkTold(BaseModel):
    """One thing that was to be made, and every attempt at it."""

    work: WorkName
    status: Annotated[str, Field(description="`missing`, `claimed`, `retrying`, `made` or `failed`.")]
    attempts: list[AttemptTold]
    usage: Annotated[
        UsageSum | None,
        Field(description="The sum over its attempts; null while the tables are those of an older version."),
    ] = None


class BriefTold(BaseModel):
    """How it was to be written. Null: as the writer saw fit."""

    tone: str | None = None
    audience: str | None = None
    language: str | None = None
    length: str | None = None


class SourceTold(BaseModel):
    """A page that research found."""

    edition: Edition
    number: Annotated[int, Field(description="Under which the texts cite it.")]
    url: str
    title: str
    quote: Annotated[str | None, Field(description="Text of that page; null where none was kept.")] = None
    retrieved_at: Annotated[datetime, Field(description="When the page was read.")]


_HELD_EXAMPLE: dict[str, Any] = {
    "position": 57,
    "subject": str(EventSubject(WorkflowKey("local", _WORKFLOW_ID), WRITER, "from-the-future", 8)),
    "error": "position 57: from-the-future is not known to this version of Pressroom",
    "events": 3,
    "held_at": _MOMENT,
}


class Held(BaseModel):
    """Since when, and why, the read tables hold a workflow's later events back. The log has them, as it has all."""

    model_config = _example(_HELD_EXAMPLE)

    position: Annotated[int, Field(description="The event that cannot be read or applied, by its place in the log.")]
    subject: Annotated[str, Field(description="That event's subject in the log.")]
    error: Annotated[str, Field(description="What is wrong with it.")]
    events: Annotated[int, Field(description="How many of the workflow's events are held, that one included.")]
    held_at: Annotated[datetime, Field(description="Since when.")]


# ---------------------------------------------------------------- artefacts

_POST_EXAMPLE: dict[str, Any] = {
    "id": _EVENT_ID,
    "workflow_id": _WORKFLOW_ID,
    "edition": 1,
    "title": "How Tea Travelled",
    "cited": [1, 2],
    "written_at": _MOMENT,
    "position": 41,
    "topic": "The history of tea",
}


class WorkflowBlogPost(BaseModel):
    """A blog post, as its workflow shows it."""

    id: Id
    workflow_id: str
    edition: Edition
    title: str
    markdown: Annotated[str, Field(description="The post, in Markdown.")]
    cited: Annotated[list[int], Field(description="The numbers of the sources that it cites.")]
    usage: UsageTold | None = None
    written_at: datetime
    position: Position


class BlogPost(WorkflowBlogPost):
    """A blog post, with the sources that it cites."""

    model_config = _example({**_POST_EXAMPLE, "markdown": "# How Tea Travelled\n\nTea …", "usage": None, "sources": []})

    topic: Topic = None
    sources: list[SourceTold]


class BlogPostSummary(BaseModel):
    """A blog post in a list; `GET /blog-posts/{id}` has the whole of it."""

    model_config = _example({**_POST_EXAMPLE, "excerpt": "Tea came to Europe by two roads, and kept …"})

    id: Id
    workflow_id: str
    topic: Topic = None
    edition: Edition
    title: str
    excerpt: Annotated[str, Field(description="How the text begins, without its heading: about 200 characters.")]
    cited: Annotated[list[int], Field(description="The numbers of the sources that it cites.")]
    written_at: datetime
    position: Position


_SOCIAL_MEDIA_POST_EXAMPLE: dict[str, Any] = {
    "id": _EVENT_ID,
    "workflow_id": _WORKFLOW_ID,
    "platform": "linkedin",
    "edition": 1,
    "text": "Tea came to Europe by two roads. #tea",
    "length": 37,
    "usage": None,
    "written_at": _MOMENT,
    "position": 43,
    "topic": "The history of tea",
}


class WorkflowSocialMediaPost(BaseModel):
    """A post for a platform, as its workflow shows it."""

    id: Id
    workflow_id: str
    platform: Annotated[str, Field(description="The platform that it was written for.")]
    edition: Edition
    text: str
    length: Annotated[int, Field(description="In the platform's own measure.")]
    usage: UsageTold | None = None
    written_at: datetime
    position: Position


class SocialMediaPost(WorkflowSocialMediaPost):
    """A post for a platform."""

    model_config = _example(_SOCIAL_MEDIA_POST_EXAMPLE)

    topic: Topic = None


_IMAGE_EXAMPLE: dict[str, Any] = {
    "id": _EVENT_ID,
    "workflow_id": _WORKFLOW_ID,
    "edition": 1,
    "picture": f"/images/{_SHA256}",
    "sha256": _SHA256,
    "bytes": 1_048_576,
    "width": 1024,
    "height": 1024,
    "content_type": "image/png",
    "prompt": "A teapot on a caravan, in watercolours",
    "alt_text": "A teapot on the back of a camel",
    "usage": None,
    "drawn_at": _MOMENT,
    "position": 45,
    "topic": "The history of tea",
}


class WorkflowImage(BaseModel):
    """An image, as its workflow shows it."""

    id: Id
    workflow_id: str
    edition: Edition
    picture: Annotated[str, Field(description="Where the picture itself is served.")]
    sha256: Annotated[str, Field(description="The hash of the picture's bytes, in hex.")]
    bytes: int
    width: Annotated[int, Field(description="In pixels.")]
    height: Annotated[int, Field(description="In pixels.")]
    content_type: str
    prompt: Annotated[str, Field(description="What the model was asked to draw.")]
    alt_text: Annotated[str, Field(description="What it shows, for those who cannot see it.")]
    usage: UsageTold | None = None
    drawn_at: datetime
    position: Position


class Image(WorkflowImage):
    """The description of an image."""

    model_config = _example(_IMAGE_EXAMPLE)

    topic: Topic = None


# ---------------------------------------------------------------- workflows

_SUMMARY_EXAMPLE: dict[str, Any] = {
    "workflow_id": _WORKFLOW_ID,
    "topic": "The history of tea",
    "title": "How Tea Travelled",
    "status": "completed",
    "run": 1,
    "research": True,
    "platforms": ["linkedin"],
    "error": None,
    "reason": None,
    "requested_at": "2026-11-22T10:00:00.123456Z",
    "updated_at": _MOMENT,
    "closed_at": _MOMENT,
    "revision": 10,
    "position": 46,
    "cost_usd": 0.06,
    "cost_known": True,
}


_USED = UsageSum(input_tokens=5_200, output_tokens=1_900, calls=4, cost_usd=0.06).model_dump()


class WorkflowSummary(BaseModel):
    """A workflow in a list; `GET /workflows/{workflow_id}` has the whole of it."""

    model_config = _example(_SUMMARY_EXAMPLE)

    workflow_id: str
    topic: str
    title: Annotated[str | None, Field(description="The blog post's title, once it is written.")] = None
    status: Annotated[str, Field(description="`open`, `completed`, `failed` or `cancelled`.")]
    run: Annotated[int, Field(description="1, and one more for each time it was resumed.")]
    research: Annotated[bool, Field(description="Whether sources were asked for.")]
    platforms: list[str]
    error: Annotated[WorkflowFailure | None, Field(description="Why the run failed.")] = None
    reason: Annotated[str | None, Field(description="Why it was cancelled or resumed, where that was told.")] = None
    requested_at: datetime
    updated_at: Annotated[datetime, Field(description="When its last event was recorded.")]
    closed_at: Annotated[datetime | None, Field(description="When its run ended; null while it is open.")] = None
    revision: Annotated[int, Field(description="How many events it has.")]
    position: Annotated[int, Field(description="Where its last event stands in the log.")]
    cost_usd: CostSum
    cost_known: CostKnown


class Workflow(WorkflowSummary):
    """A workflow with all that was asked for, tried and made in it."""

    model_config = _example(
        {
            **_SUMMARY_EXAMPLE,
            "brief": {"tone": None, "audience": None, "language": None, "length": None},
            "client_request_id": "my-1",
            "notes": "Tea reached Europe by land and by sea [1].",
            "works": [{"work": "blog", "status": "made", "attempts": [], "usage": _USED}],
            "usage": _USED,
            "blog_posts": [],
            "social_media_posts": [],
            "images": [],
            "sources": [],
            "held": None,
            "tables_position": 46,
        }
    )

    brief: BriefTold
    client_request_id: Annotated[str | None, Field(description="The client's own id of its request.")] = None
    notes: Annotated[str | None, Field(description="What research found, in words.")] = None
    works: Annotated[list[WorkTold], Field(description="Every work, in the order in which they are shown.")]
    usage: UsageSum
    blog_posts: list[WorkflowBlogPost]
    social_media_posts: list[WorkflowSocialMediaPost]
    images: list[WorkflowImage]
    sources: list[SourceTold]
    held: Annotated[
        Held | None,
        Field(description="Set when one of its events cannot be applied: then this shows it as it was before that."),
    ] = None
    tables_position: Annotated[int, Field(description="The read tables contain the log up to this position.")]


class Sources(BaseModel):
    """The pages that research found for a workflow, by edition and number. One event holds them, so they are few."""

    model_config = _example(
        {
            "workflow_id": _WORKFLOW_ID,
            "topic": "The history of tea",
            "notes": "Tea reached Europe by land and by sea [1].",
            "items": [
                {
                    "edition": 1,
                    "number": 1,
                    "url": "https://tea.example/history",
                    "title": "A history of tea",
                    "quote": None,
                    "retrieved_at": _MOMENT,
                }
            ],
            "position": 46,
        }
    )

    workflow_id: str
    topic: str
    notes: Annotated[str | None, Field(description="What research found, in words.")] = None
    items: list[SourceTold]
    position: Annotated[int, Field(description="The read tables contain the log up to this position.")]


class HeldWorkflow(Held):
    """A workflow whose later events are held back, because one of them cannot be read or applied."""

    model_config = _example({"workflow_id": _WORKFLOW_ID, **_HELD_EXAMPLE})

    workflow_id: str


_PARKED_EXAMPLE: dict[str, Any] = {
    "workflow_id": _WORKFLOW_ID,
    "kind": "failed",
    "topic": "The history of tea",
    "reason": {"code": "quota-used-up", "message": "The quota is used up. Top it up, then resume the workflow."},
    "work": "illustration",
    "since": _MOMENT,
    "run": 1,
    "cost_usd": 0.02,
    "cost_known": True,
    "events": None,
    "position": 37,
}


class ParkedReason(BaseModel):
    """Why a workflow cannot go on."""

    code: str
    message: Annotated[str, Field(description="A sentence for people.")]


class ParkedWorkflow(BaseModel):
    """A workflow that cannot go on until somebody has mended something."""

    model_config = _example(_PARKED_EXAMPLE)

    workflow_id: str
    kind: Annotated[
        str,
        Field(
            description="`failed`: its run failed, and a resume makes sense once the cause is mended. `held`: the read "
            "tables hold it back, because one of its events cannot be read or applied."
        ),
    ]
    topic: Annotated[str | None, Field(description="Null where its request itself cannot be read.")] = None
    reason: ParkedReason
    work: Annotated[WorkName | None, Field(description="What could not be made; null for one that is held.")] = None
    since: Annotated[datetime, Field(description="When its run failed, or when it was held.")]
    run: Annotated[int | None, Field(description="1, and one more for each time it was resumed.")] = None
    cost_usd: Annotated[CostSum | None, Field(description="What it cost so far, in US dollars, as far as known.")] = (
        None
    )
    cost_known: CostKnown | None = None
    events: Annotated[int | None, Field(description="Of one that is held: how many of its events are.")] = None
    position: Annotated[
        int,
        Field(
            description="Where it stands in the list: by the place in the log of its request, of a held one by that of "
            "the event that cannot be read."
        ),
    ]


# ---------------------------------------------------------------- pages


class WorkflowPage(Page[WorkflowSummary]):
    """Workflows, the newest request first."""

    model_config = _page_of(_SUMMARY_EXAMPLE)


class BlogPostPage(Page[BlogPostSummary]):
    """Blog posts, newest first."""

    model_config = _page_of({**_POST_EXAMPLE, "excerpt": "Tea came to Europe by two roads …"})


class SocialMediaPostPage(Page[SocialMediaPost]):
    """Posts for platforms, newest first."""

    model_config = _page_of(_SOCIAL_MEDIA_POST_EXAMPLE)


class ImagePage(Page[Image]):
    """Images, newest first."""

    model_config = _page_of(_IMAGE_EXAMPLE)


class QuarantinePage(Page[HeldWorkflow]):
    """Workflows that are held, the latest first."""

    model_config = _page_of({"workflow_id": _WORKFLOW_ID, **_HELD_EXAMPLE})


class ParkedPage(Page[ParkedWorkflow]):
    """Workflows that cannot go on, newest first."""

    model_config = _page_of(_PARKED_EXAMPLE)


def excerpt(markdown: str) -> str:
    """How the text begins, in one line, without the heading, and not cut within a word."""
    text = " ".join(HEADING.sub("", markdown, count=1).split())
    if len(text) <= EXCERPT_LENGTH:
        return text
    return text[:EXCERPT_LENGTH].rsplit(" ", 1)[0] + " …"
