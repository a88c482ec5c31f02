"""The rules of a history, told apart from the decider: what may stand behind what, whoever wrote it and why.

Told as questions about the events before, with no state that is carried along: so that a mistake in the decider is not
made here in the same way.
"""

from collections.abc import Iterator, Sequence

from contracts.envelope import Recorded
from contracts.events import (
    Artefact,
    AttemptFailed,
    BlogWritten,
    Event,
    ResearchCompleted,
    WorkClaimed,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRequested,
    WorkflowResumed,
    work_of,
)
from contracts.subjects import WRITTEN_BY
from contracts.works import Work

CLAIMS_MAX = 5
"""Of one work in one run (docs/glossary.md): said here once more, on purpose."""

UNCLAIMED = "which nobody claimed"

Past = Sequence[Recorded[Event]]


def broken_rules(history: Past) -> Iterator[tuple[int, str]]:
    """The revision at which a rule breaks, and which: for each event, held against those before it."""
    for place, one in enumerate(history):
        past = history[:place]
        if one.revision != place + 1:
            yield one.revision, f"revision {one.revision} stands where {place + 1} belongs"
            return  # all that follows would only repeat it
        for wrong in _wrong(one, past):
            yield one.revision, wrong


def _wrong(one: Recorded[Event], past: Past) -> Iterator[str]:
    event = one.event
    if event.type in WRITTEN_BY and one.service != WRITTEN_BY[event.type]:
        yield f"{event.type} is written by {one.service}"
    if isinstance(event, WorkflowRequested) == bool(past):
        yield "a second request" if past else f"{event.type} before any request"
        return
    match event:
        case WorkflowRequested():
            return
        case WorkflowResumed():
            if _is_open(past) or event.run != _run(past) + 1:
                yield f"run {event.run} is opened behind run {_run(past)}, which is {_stands(past)}"
        case WorkClaimed():
            yield from _wrong_claim(one, event, past)
        case Artefact():
            yield from _wrong_artefact(event, past)
        case AttemptFailed():
            if not _is_held(event.work, event.run, event.attempt, past):
                yield f"attempt {event.attempt} at {event.work} fails in run {event.run}, and does not hold the work"
        case WorkflowCompleted() | WorkflowFailed() | WorkflowCancelled():
            if not _is_open(past) or event.run != _run(past):
                yield f"run {event.run} ends, and run {_run(past)} is {_stands(past)}"
            if isinstance(event, WorkflowCompleted) and (missing := _wanted(past) - set(_made(past))):
                yield f"the run is completed without {', '.join(sorted(missing))}"


def _wrong_claim(one: Recorded[Event], claim: WorkClaimed, past: Past) -> Iterator[str]:
    work = claim.work
    earlier = [before.attempt for before in _claims(work, claim.run, past)]
    if not _is_open(past) or claim.run != _run(past):
        yield f"{work} is claimed in run {claim.run}, and run {_run(past)} is {_stands(past)}"
    if work in _made(past):
        yield f"{work} is claimed although it is made"
    if claim.attempt != len(earlier) + 1:
        yield f"attempt {claim.attempt} at {work} is claimed behind {len(earlier)} others of the run"
    if claim.attempt > CLAIMS_MAX:
        yield f"attempt {claim.attempt} at {work}: {CLAIMS_MAX} are the most"
    if work not in _wanted(past):
        yield f"{work} is claimed, and nobody asked for it"
    elif _inputs(work, past) - set(_made(past)):
        yield f"{work} is claimed before {', '.join(sorted(_inputs(work, past)))} is made"
    failed = [told.event for told in past if isinstance(told.event, AttemptFailed) and told.event.work is work]
    # Both moments are of their writers' own clocks; where it is one process they are one clock's.
    is_next = bool(failed) and (failed[-1].run, [failed[-1].attempt]) == (claim.run, earlier[-1:])
    if is_next and one.recorded_at < failed[-1].retry_at:
        yield f"{work} is claimed at {one.recorded_at.isoformat()}, before its retry is due"


def _wrong_artefact(made: Artefact, past: Past) -> Iterator[str]:
    work = work_of(made)  # pyright: ignore[reportArgumentType]  (each artefact in the log is one of Made)
    if work in _made(past):
        yield f"{work} is made a second time"
    if work not in _wanted(past):
        yield f"{work} is made, and nobody asked for it"
    if made.attempt not in [claim.attempt for claim in _claims(work, made.run, past)]:
        yield f"{work} is made by attempt {made.attempt} of run {made.run}, {UNCLAIMED}"
    if isinstance(made, BlogWritten):
        given = {
            source.number for told in past if isinstance(told.event, ResearchCompleted) for source in told.event.sources
        }
        if unknown := set(made.cited) - given:
            yield f"the blog post cites sources that it was not given: {sorted(unknown)}"


# ---------------------------------------------------------------- asking the past


def _asked(past: Past) -> WorkflowRequested:
    return next(one.event for one in past if isinstance(one.event, WorkflowRequested))


def _wanted(past: Past) -> set[Work]:
    asked = _asked(past)
    research = {Work.RESEARCH} if asked.research else set[Work]()
    return research | {Work.BLOG, Work.ILLUSTRATION} | {Work(f"social:{platform}") for platform in asked.platforms}


def _inputs(work: Work, past: Past) -> set[Work]:
    if work is Work.RESEARCH:
        return set()
    if work is not Work.BLOG:
        return {Work.BLOG}
    return {Work.RESEARCH} if _asked(past).research else set()


def _made(past: Past) -> list[Work]:
    return [work_of(one.event) for one in past if isinstance(one.event, Artefact)]


def _run(past: Past) -> int:
    return 1 + sum(isinstance(one.event, WorkflowResumed) for one in past)


def _is_open(past: Past) -> bool:
    turns = (WorkflowRequested, WorkflowResumed, WorkflowCompleted, WorkflowFailed, WorkflowCancelled)
    last = next(one.event for one in reversed(past) if isinstance(one.event, turns))
    return isinstance(last, WorkflowRequested | WorkflowResumed)


def _stands(past: Past) -> str:
    return "open" if _is_open(past) else "closed"


def _claims(work: Work, run: int, past: Past) -> list[WorkClaimed]:
    told = [one.event for one in past if isinstance(one.event, WorkClaimed)]
    return [claim for claim in told if claim.work is work and claim.run == run]


def _is_held(work: Work, run: int, attempt: int, past: Past) -> bool:
    """Is this attempt the last that claimed the work in the open run, with nothing said of it yet?"""
    claims = _claims(work, run, past)
    said = [
        one.event
        for one in past
        if isinstance(one.event, AttemptFailed) and (one.event.work, one.event.run) == (work, run)
    ]
    is_last = bool(claims) and claims[-1].attempt == attempt
    is_unsaid = attempt not in [failed.attempt for failed in said]
    return _is_open(past) and run == _run(past) and is_last and is_unsaid and work not in _made(past)
