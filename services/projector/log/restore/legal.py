"""Whether an event that was written into a log which had lost its past may stand behind that past. Pure."""

from collections.abc import Iterable
from typing import assert_never

from chassis.jetstream_log import Entry
from contracts.envelope import UnreadableEvent, decode
from contracts.events import (
    Artefact,
    AttemptFailed,
    Event,
    WorkClaimed,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRequested,
    WorkflowResumed,
    work_of,
)
from contracts.workflow import ATTEMPTS_MAX, Phase, Workflow, completion_is_due, due, evolve, works


class Illegal(Exception):
    """The event does not fit behind the history that it would be appended to."""


def history_of(entries: Iterable[Entry]) -> Workflow:
    """The workflow that these entries fold to. Raises Illegal where its archived history cannot be read."""
    state = Workflow()
    for entry in entries:
        try:
            state = evolve(state, decode(entry.subject, entry.headers, entry.body, position=entry.position).event)
        except UnreadableEvent as wrong:
            raise Illegal(f"its workflow's archived event {entry.position} cannot be read: {wrong}") from wrong
    return state


def followed(state: Workflow, entry: Entry) -> Workflow:
    """The workflow after this entry as well. Raises Illegal unless it is what may come next."""
    try:
        recorded = decode(entry.subject, entry.headers, entry.body, position=entry.position)
    except UnreadableEvent as wrong:
        raise Illegal(f"it cannot be read: {wrong}") from wrong
    if recorded.revision != state.revision + 1:
        raise Illegal(f"it is revision {recorded.revision}; the archived history has {state.revision} events")
    if not may_follow(state, recorded.event):
        raise Illegal(f"{recorded.event.type} may not follow the archived history")
    return evolve(state, recorded.event)


def may_follow(state: Workflow, event: Event) -> bool:
    """Would the decider have let this event stand behind a history that folds to this?"""
    if isinstance(event, WorkflowRequested) or state.phase is Phase.NEW:
        return isinstance(event, WorkflowRequested) and state.phase is Phase.NEW
    is_open = state.phase is Phase.OPEN
    match event:
        case WorkClaimed():
            attempt = state.of(event.work).attempts + 1
            return event.run == state.run and event.work in due(state) and event.attempt == attempt <= ATTEMPTS_MAX
        case Artefact():
            return state.artefact(work_of(event)) is None and work_of(event) in works(state.asked)
        case AttemptFailed():
            return state.is_open_claim(event.work, event.run, event.attempt)
        case WorkflowFailed():
            used_up = event.work in due(state) and state.of(event.work).attempts >= ATTEMPTS_MAX
            return event.run == state.run and (used_up or state.is_open_claim(event.work, event.run, event.attempt))
        case WorkflowCompleted():
            return is_open and event.run == state.run and completion_is_due(state)
        case WorkflowCancelled():
            return is_open and event.run == state.run
        case WorkflowResumed():
            return state.phase in (Phase.FAILED, Phase.CANCELLED) and event.run == state.run + 1
        case _:
            assert_never(event)
