"""The slow fold: the rows that the read tables must hold for one workflow, told from its whole history at once.

The independent check of the projector. No row is ever changed here: each column asks the whole history anew ("the
status is what the last event says that opened or closed a run"). It shares no code with the handlers in tables/, so
that a mistake has to be made twice, and in two ways, to stay unseen. Slow, and meant to be obviously right.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import reduce
from operator import add
from typing import Any, TypeVar, cast, get_args

from contracts.envelope import Recorded
from contracts.events import (
    AttemptFailed,
    BlogWritten,
    Event,
    IllustrationDrawn,
    Made,
    ResearchCompleted,
    SocialPostWritten,
    Usage,
    WorkClaimed,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRequested,
    WorkflowResumed,
    work_of,
)
from contracts.workflow import works
from contracts.works import Work

Row = dict[str, Any]
"""One row: its columns by name, as Postgres gives them back. Generated columns are left out."""

History = Sequence[Recorded[Event]]
"""One workflow's events in order, from its request on, without a gap."""

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

WORK_STATUS: Mapping[type[Event], str] = {
    WorkClaimed: "claimed",
    AttemptFailed: "retrying",
    WorkflowFailed: "failed",
    WorkflowCancelled: "missing",
    WorkflowResumed: "missing",
}
"""Where a work that was never made stands after the last event that concerns it."""

RUNNING: Row = {
    "ended_at": None,
    "outcome": "running",
    "error": None,
    "retry_at": None,
    "cost_known": None,
    "usage": None,
}
"""What is known of the end of an attempt that has not ended."""

COUNTS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "images", "searches", "calls")

Answer = Made | AttemptFailed | WorkflowFailed
"""What says in words how an attempt ended."""

ANSWERS: tuple[type[Answer], ...] = get_args(Answer)

OfAttempt = WorkClaimed | Answer
"""What names a work, a run and an attempt."""

OF_ATTEMPT: tuple[type[OfAttempt], ...] = get_args(OfAttempt)

E = TypeVar("E", bound=Event)


def rows_of(history: History) -> dict[str, list[Row]]:
    """The rows of every table after these events; none of any table where there are no events."""
    return {
        "workflows": [_workflow(history)] if history else [],
        "blog_posts": _one_a_key("blog_posts", [_blog_post(one) for one in _all(history, BlogWritten)]),
        "social_media_posts": _one_a_key(
            "social_media_posts", [_social_post(one) for one in _all(history, SocialPostWritten)]
        ),
        "images": _one_a_key("images", [_image(one) for one in _all(history, IllustrationDrawn)]),
        "sources": _one_a_key("sources", [row for one in _all(history, ResearchCompleted) for row in _sources(one)]),
    }


# ---------------------------------------------------------------- the row of the workflow


def _workflow(history: History) -> Row:
    first, last = _all(history, WorkflowRequested)[0], history[-1]
    asked, turn = first.event, _all(history, *STATUS)[-1]
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
        "revision": last.revision,
        "requested_position": first.position,
        "position": last.position,
        "requested_at": first.recorded_at,
        "updated_at": last.recorded_at,
        "closed_at": turn.recorded_at if status != "open" else None,
        "title": _title(history),
        "notes": _notes(history),
        "error": _error(history),
        "reason": _reason(history),
        "works": [_work(work, history) for work in _works_in_order(asked, history)],
        "usage": _usage(history),
    }


def _run(history: History) -> int:
    resumed = _last(history, WorkflowResumed)
    return resumed.event.run if resumed else 1


def _title(history: History) -> str | None:
    blog = _last(history, BlogWritten)
    return blog.event.title if blog else None


def _notes(history: History) -> str | None:
    research = _last(history, ResearchCompleted)
    return research.event.notes if research else None


def _error(history: History) -> Row | None:
    """Why the run failed, unless it was called off or resumed since."""
    turn = _last(history, WorkflowFailed, WorkflowCancelled, WorkflowResumed)
    if turn is None or not isinstance(turn.event, WorkflowFailed):
        return None
    return {"work": turn.event.work.value, **_failure(turn.event)}


def _reason(history: History) -> str | None:
    """What was said with the last cancel or resume; the last one may have said nothing."""
    turn = _last(history, WorkflowCancelled, WorkflowResumed)
    return turn.event.reason if turn else None


# ---------------------------------------------------------------- its works and their attempts


def _works_in_order(asked: WorkflowRequested, history: History) -> list[Work]:
    """Those that were asked for; behind them any other, as they first occur."""
    named = [_named(one.event) for one in history if isinstance(one.event, OfAttempt)]
    return list(dict.fromkeys([*works(asked), *named]))


def _work(work: Work, history: History) -> Row:
    begun = [one for one in _of_work(work, history) if _begins(one, _of_work(work, history))]
    return {
        "work": work.value,
        "status": _work_status(work, history),
        "attempts": [_attempt(beginning, work, history) for beginning in begun],
    }


def _work_status(work: Work, history: History) -> str:
    """Made once is made for good; else the last event decides that is about this work, or about the whole run."""
    if any(isinstance(one.event, Made) for one in _of_work(work, history)):
        return "made"
    of_all = [one for one in history if isinstance(one.event, WorkflowCancelled | WorkflowResumed)]
    concerning = [*_of_work(work, history), *of_all]
    if not concerning:
        return "missing"
    return WORK_STATUS[type(max(concerning, key=_revision).event)]


def _begins(one: Recorded[OfAttempt], told: Sequence[Recorded[OfAttempt]]) -> bool:
    """Does an attempt begin here? With each claim; and with an answer to an attempt that nobody claimed before."""
    earlier = [_number(other.event) for other in told if other.revision < one.revision]
    return isinstance(one.event, WorkClaimed) or _number(one.event) not in earlier


def _attempt(beginning: Recorded[OfAttempt], work: Work, history: History) -> Row:
    claim = beginning.event if isinstance(beginning.event, WorkClaimed) else None
    run, attempt = _number(beginning.event)
    return {
        "run": run,
        "attempt": attempt,
        "worker": claim.worker if claim else None,
        "claimed_at": _text(beginning.recorded_at) if claim else None,
        **_end(beginning, work, history),
    }


def _end(beginning: Recorded[OfAttempt], work: Work, history: History) -> Row:
    """How the attempt ended. What was said of it last counts, however late; silence counts where nothing was said."""
    answers = _answers(beginning, work, history)
    if answers:
        return {**RUNNING, **_told_end(answers[-1])}
    silencer = _silencer(beginning, work, history)
    if silencer is None:
        return RUNNING
    outcome = "called-off" if isinstance(silencer.event, WorkflowCancelled) else "lost"
    return {**RUNNING, "outcome": outcome, "ended_at": _text(silencer.recorded_at), "cost_known": False}


def _told_end(answer: Recorded[Answer]) -> Row:
    event = answer.event
    told = {"ended_at": _text(answer.recorded_at), "usage": _dump(event.usage)}
    if isinstance(event, AttemptFailed):
        why = {"error": _failure(event), "retry_at": _text(event.retry_at)}
        return {**told, **why, "outcome": "failed", "cost_known": event.cost_known}
    if isinstance(event, WorkflowFailed):
        return {**told, "error": _failure(event), "outcome": "gave-up", "cost_known": event.cost_known}
    return {**told, "outcome": "made", "cost_known": True}


def _answers(beginning: Recorded[OfAttempt], work: Work, history: History) -> list[Recorded[Answer]]:
    """What was said of the attempt that begins here, until another claim takes the same number."""
    same = [one for one in _of_work(work, history) if _number(one.event) == _number(beginning.event)]
    taken = [one.revision for one in _after(beginning, same) if isinstance(one.event, WorkClaimed)]
    until = min(taken, default=history[-1].revision + 1)
    return [one for one in _all(same, *ANSWERS) if beginning.revision <= one.revision < until]


def _silencer(beginning: Recorded[OfAttempt], work: Work, history: History) -> Recorded[Event] | None:
    """The event that ended the attempt without a word of its own: the work's next claim, a cancel, or a resume."""
    ending = (one for one in _after(beginning, history) if _silences(one.event, work))
    return next(ending, None)


def _silences(event: Event, work: Work) -> bool:
    if isinstance(event, WorkClaimed):
        return event.work is work
    return isinstance(event, WorkflowCancelled | WorkflowResumed)


# ---------------------------------------------------------------- what it used


def _usage(history: History) -> Row:
    used = [one.event.usage for one in _all(history, *ANSWERS) if one.event.usage is not None]
    costs = [usage.cost_usd for usage in used if usage.cost_usd is not None]
    return {
        **{name: sum(getattr(usage, name) for usage in used) for name in COUNTS},
        # One after the other, because from Python 3.12 on `sum` rounds floats in a way of its own.
        "cost_usd": reduce(add, costs, 0.0),
        "cost_known": len(costs) == len(used) and not _has_untold_cost(history),
    }


def _has_untold_cost(history: History) -> bool:
    """Did an attempt fail that may have been billed, or fall silent, if only for a while?"""
    failures = _all(history, AttemptFailed, WorkflowFailed)
    claims = _all(history, WorkClaimed)
    return any(not one.event.cost_known for one in failures) or any(_fell_silent(one, history) for one in claims)


def _fell_silent(claim: Recorded[WorkClaimed], history: History) -> bool:
    """Was the attempt ended without a word, before anything was said of it?"""
    silencer = _silencer(claim, claim.event.work, history)
    if silencer is None:
        return False
    return not any(one.revision < silencer.revision for one in _answers(claim, claim.event.work, history))


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
        "usage": _dump(one.event.usage),
    }


def _one_a_key(table: str, rows: Sequence[Row]) -> list[Row]:
    """A row is known by its key: of several events that tell of one row the last one counts."""
    return list({tuple(row[column] for column in KEYS[table]): row for row in rows}.values())


# ---------------------------------------------------------------- asking a history


def _all(history: Sequence[Recorded[Any]], *kinds: type[E]) -> list[Recorded[E]]:
    """Every event of these kinds, in order."""
    return [cast("Recorded[E]", one) for one in history if isinstance(one.event, kinds)]


def _last(history: History, *kinds: type[E]) -> Recorded[E] | None:
    """The last event of these kinds."""
    return next(reversed(_all(history, *kinds)), None)


def _after(this: Recorded[Any], history: Sequence[Recorded[E]]) -> list[Recorded[E]]:
    return [one for one in history if one.revision > this.revision]


def _of_work(work: Work, history: History) -> list[Recorded[OfAttempt]]:
    """Every event that names this work."""
    return [one for one in _all(history, *OF_ATTEMPT) if _named(one.event) is work]


def _named(event: OfAttempt) -> Work:
    return work_of(event) if isinstance(event, Made) else event.work


def _number(event: OfAttempt) -> tuple[int, int]:
    return event.run, event.attempt


def _revision(one: Recorded[Event]) -> int:
    return one.revision


def _whose(one: Recorded[Event]) -> Row:
    return {"owner": one.key.owner, "workflow_id": one.key.workflow_id}


def _failure(event: AttemptFailed | WorkflowFailed) -> Row:
    return {"code": event.error.code, "message": event.error.message, "retryable": event.error.retryable}


def _dump(usage: Usage | None) -> Row | None:
    return usage.model_dump(mode="json") if usage else None


def _text(moment: datetime) -> str:
    return moment.isoformat()
