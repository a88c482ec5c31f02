"""The rows of every table: the workflow's own, whose works are told in works.py, and those of its artefacts."""

from collections.abc import Mapping, Sequence

from contracts.envelope import Recorded
from contracts.events import (
    BlogWritten,
    Event,
    IllustrationDrawn,
    Made,
    ResearchCompleted,
    SocialPostWritten,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRequested,
    WorkflowResumed,
)
from services.projector.verify.slow_fold.history import History, Row, every, last
from services.projector.verify.slow_fold.works import dump, failure, told_usage, told_works

KEYS: Mapping[str, tuple[str, ...]] = {
    "workflows": (),
    "blog_posts": ("edition",),
    "social_media_posts": ("platform", "edition"),
    "images": ("edition",),
    "sources": ("edition", "number"),
}
"""The tables, and the columns that tell one row of a workflow from another."""

STATUS: Mapping[type[Event], str] = {
    WorkflowRequested: "open",
    WorkflowResumed: "open",
    WorkflowCompleted: "completed",
    WorkflowFailed: "failed",
    WorkflowCancelled: "cancelled",
}
"""Where a workflow stands after an event that opened or closed a run."""


def rows_of(history: History) -> dict[str, list[Row]]:
    """The rows of every table after these events; none of any table where there are no events."""
    return {
        "workflows": [_workflow(history)] if history else [],
        "blog_posts": _one_a_key("blog_posts", [_blog_post(one) for one in every(history, BlogWritten)]),
        "social_media_posts": _one_a_key(
            "social_media_posts", [_social_post(one) for one in every(history, SocialPostWritten)]
        ),
        "images": _one_a_key("images", [_image(one) for one in every(history, IllustrationDrawn)]),
        "sources": _one_a_key("sources", [row for one in every(history, ResearchCompleted) for row in _sources(one)]),
    }


# ---------------------------------------------------------------- the row of the workflow


def _workflow(history: History) -> Row:
    first, newest = every(history, WorkflowRequested)[0], history[-1]
    asked, turn = first.event, every(history, *STATUS)[-1]
    status = STATUS[type(turn.event)]
    return {
        **_whose(first),
        "topic": asked.topic,
        "research": asked.research,
        "platforms": [platform.value for platform in asked.platforms],
        "brief": asked.brief.model_dump(mode="json"),
        "client_request_id": asked.client_request_id,
        "status": status,
        "run": _run(history),
        "revision": newest.revision,
        "requested_position": first.position,
        "position": newest.position,
        "requested_at": first.recorded_at,
        "updated_at": newest.recorded_at,
        "closed_at": turn.recorded_at if status != "open" else None,
        "title": _title(history),
        "notes": _notes(history),
        "error": _error(history),
        "reason": _reason(history),
        "works": told_works(asked, history),
        "usage": told_usage(history),
    }


def _run(history: History) -> int:
    resumed = last(history, WorkflowResumed)
    return resumed.event.run if resumed else 1


def _title(history: History) -> str | None:
    blog = last(history, BlogWritten)
    return blog.event.title if blog else None


def _notes(history: History) -> str | None:
    research = last(history, ResearchCompleted)
    return research.event.notes if research else None


def _error(history: History) -> Row | None:
    """Why the run failed, unless it was called off or resumed since."""
    turn = last(history, WorkflowFailed, WorkflowCancelled, WorkflowResumed)
    if turn is None or not isinstance(turn.event, WorkflowFailed):
        return None
    return {"work": turn.event.work.value, **failure(turn.event)}


def _reason(history: History) -> str | None:
    """What was said with the last cancel or resume; the last one may have said nothing."""
    turn = last(history, WorkflowCancelled, WorkflowResumed)
    return turn.event.reason if turn else None


# ---------------------------------------------------------------- the rows of the artefacts


def _blog_post(one: Recorded[BlogWritten]) -> Row:
    return {
        **_made(one),
        "title": one.event.title,
        "markdown": one.event.markdown,
        "cited": list(one.event.cited),
        "written_at": one.recorded_at,
    }


def _social_post(one: Recorded[SocialPostWritten]) -> Row:
    return {
        **_made(one),
        "platform": one.event.platform.value,
        "text": one.event.text,
        "length": one.event.length,
        "written_at": one.recorded_at,
    }


def _image(one: Recorded[IllustrationDrawn]) -> Row:
    return {
        **_made(one),
        "key": one.event.key,
        "sha256": one.event.sha256,
        "bytes": one.event.bytes,
        "width": one.event.width,
        "height": one.event.height,
        "content_type": one.event.content_type,
        "prompt": one.event.prompt,
        "alt_text": one.event.alt_text,
        "drawn_at": one.recorded_at,
    }


def _sources(one: Recorded[ResearchCompleted]) -> list[Row]:
    return [
        {
            **_whose(one),
            "edition": one.event.edition,
            "number": source.number,
            "position": one.position,
            "url": source.url,
            "title": source.title,
            "quote": source.quote,
            "retrieved_at": source.retrieved_at,
        }
        for source in one.event.sources
    ]


def _made(one: Recorded[Made]) -> Row:
    return {
        "id": one.id,
        **_whose(one),
        "edition": one.event.edition,
        "position": one.position,
        "usage": dump(one.event.usage),
    }


def _whose(one: Recorded[Event]) -> Row:
    return {"owner": one.key.owner, "workflow_id": one.key.workflow_id}


def _one_a_key(table: str, rows: Sequence[Row]) -> list[Row]:
    """A row is known by its key: of several events that tell of one row the last one counts."""
    return list({tuple(row[column] for column in KEYS[table]): row for row in rows}.values())
