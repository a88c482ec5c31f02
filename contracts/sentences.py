"""What an event says to people: one sentence each, in plain words."""

from typing import assert_never

from contracts.events import (
    AttemptFailed,
    BlogWritten,
    Event,
    IllustrationDrawn,
    ResearchCompleted,
    SocialPostWritten,
    WorkClaimed,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRequested,
    WorkflowResumed,
)
from contracts.workflow import ATTEMPTS_MAX
from contracts.works import Kind, Work


def sentence_of(event: Event) -> str:
    """The event in words."""
    match event:
        case WorkflowRequested():
            return f"Asked for: {event.topic}"
        case WorkClaimed():
            again = f", {_which(event.attempt)}" if event.attempt > 1 else ""
            return f"{_doing(event.work)}{again}"
        case ResearchCompleted():
            count = len(event.sources)
            return f"Found {count} source{'' if count == 1 else 's'}" if count else "Found no sources"
        case BlogWritten():
            return f"Wrote the blog post: {event.title}"
        case SocialPostWritten():
            return f"Wrote the post for {event.platform}"
        case IllustrationDrawn():
            return "Drew the illustration"
        case AttemptFailed():
            when = f"{event.retry_at:%H:%M:%S} UTC"
            return f"{_doing(event.work)} is tried again at {when}, {_which(event.attempt + 1)}: {event.error.message}"
        case WorkflowCompleted():
            return "Everything is there"
        case WorkflowFailed():
            return f"{_doing(event.work)} was given up: {event.error.message}"
        case WorkflowCancelled():
            return f"Cancelled: {event.reason}" if event.reason else "Cancelled"
        case WorkflowResumed():
            return f"Resumed, run {event.run}"
        case _:
            assert_never(event)


def _which(attempt: int) -> str:
    return f"attempt {attempt} of {ATTEMPTS_MAX}"


def _doing(work: Work) -> str:
    match work.kind:
        case Kind.RESEARCH:
            return "Searching for sources"
        case Kind.BLOG:
            return "Writing the blog post"
        case Kind.SOCIAL:
            return f"Writing the post for {work.platform}"
        case Kind.ILLUSTRATION:
            return "Drawing the illustration"
        case _:
            assert_never(work.kind)
