"""The decider: what a workflow is, what is due in it, and what may be recorded of it.

    events ──evolve──> Workflow ──due──> works to be done
                          │
              command ──decide──> the event to append, or nothing

Pure: no clock, no I/O, no randomness. Every process folds the same history to the same state, so any number of them may
run, die and run again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from contracts.commands import (
    Answer,
    CancelWorkflow,
    ClaimWork,
    Command,
    CompleteWorkflow,
    FailAttempt,
    GiveUpWork,
    Record,
    RequestWorkflow,
    ResumeWorkflow,
)
from contracts.events import (
    Artefact,
    AttemptFailed,
    BlogWritten,
    Event,
    Failure,
    Made,
    ResearchCompleted,
    WorkClaimed,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRequested,
    WorkflowResumed,
    work_of,
)
from contracts.works import Kind, Work

ATTEMPTS_MAX = 5
"""Claims of one work in one run, crashed ones included. What five tries did not mend, a sixth does not either."""

EVENTS_MAX = 1_000
"""Events of one workflow: one read of a history returns at most 1,024 (a limit of nats-server's direct get)."""

EVENTS_OF_A_RUN_MAX = len(Work) * (2 * ATTEMPTS_MAX + 1) + 2
"""Each work claimed and failed in every attempt, or made late; the run opened and closed."""


class RuleBroken(Exception):
    """The command does not fit the workflow as it stands."""


class UnknownWorkflow(RuleBroken):
    """There is no such workflow."""


class RequestConflict(RuleBroken):
    """The same request id was used before with another request."""


class NotDue(RuleBroken):
    """The work is not due: it exists already, lacks its inputs, waits for its retry, or its run is closed."""


class UnknownCitation(RuleBroken):
    """The text cites a source that it was not given."""


class StillMissing(RuleBroken):
    """The workflow cannot be completed: something is still missing."""


class AlreadyClosed(RuleBroken):
    """The run is closed already, in another way than asked."""


class HistoryFull(RuleBroken):
    """The workflow's history is too long for another run; start a new workflow."""


class Phase(StrEnum):
    """Where a workflow stands."""

    NEW = "new"
    OPEN = "open"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Claim:
    """Who works on a work, and which attempt of which run that is. `revision`: where it stands in the history."""

    run: int
    attempt: int
    worker: str
    revision: int


@dataclass(frozen=True)
class WorkState:
    """One work, as far as the history tells. `attempts` are those of the current run."""

    artefact: Made | None = None
    made_at: int = 0
    claim: Claim | None = None
    claimed_at: int = 0
    attempts: int = 0
    retry_at: datetime | None = None
    error: Failure | None = None


BLANK = WorkState()
"""Of a work that the history says nothing of."""


@dataclass(frozen=True)
class Workflow:
    """One workflow, folded from its history. `revision`: its length; `opened_at`: the revision that opened the run."""

    phase: Phase = Phase.NEW
    revision: int = 0
    run: int = 0
    opened_at: int = 0
    request: WorkflowRequested | None = None
    works: Mapping[Work, WorkState] = field(default_factory=dict[Work, WorkState])

    @property
    def is_closed(self) -> bool:
        """Has its run ended? A resume may open the next one."""
        return self.phase in (Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED)

    @property
    def asked(self) -> WorkflowRequested:
        """The request. Raises UnknownWorkflow for a workflow without a history."""
        if self.request is None:
            raise UnknownWorkflow("There is no such workflow.")
        return self.request

    @property
    def research(self) -> ResearchCompleted | None:
        """What research found, once it has ended."""
        made = self.artefact(Work.RESEARCH)
        return made if isinstance(made, ResearchCompleted) else None

    @property
    def blog(self) -> BlogWritten | None:
        """The blog post, once it is written."""
        made = self.artefact(Work.BLOG)
        return made if isinstance(made, BlogWritten) else None

    def artefact(self, work: Work) -> Made | None:
        """What the work made, or None."""
        return self.of(work).artefact

    def of(self, work: Work) -> WorkState:
        """The state of one work; a blank one where the history says nothing of it."""
        return self.works.get(work, BLANK)

    def is_open_claim(self, work: Work, run: int, attempt: int) -> bool:
        """Is this attempt still the open claim of the open run?"""
        claim = self.of(work).claim
        return (
            self.phase is Phase.OPEN
            and self.run == run
            and claim is not None
            and (claim.run, claim.attempt) == (run, attempt)
        )


# ---------------------------------------------------------------- what is due


def works(request: WorkflowRequested) -> tuple[Work, ...]:
    """The works that this request asks for, in the order in which they are shown."""
    return (
        *((Work.RESEARCH,) if request.research else ()),
        Work.BLOG,
        *(Work.social(platform) for platform in request.platforms),
        Work.ILLUSTRATION,
    )


def inputs(work: Work, request: WorkflowRequested) -> tuple[Work, ...]:
    """The works whose artefacts this work is made from."""
    match work.kind:
        case Kind.RESEARCH:
            return ()
        case Kind.BLOG:
            return (Work.RESEARCH,) if request.research else ()
        case Kind.SOCIAL | Kind.ILLUSTRATION:
            return (Work.BLOG,)


def wakes(kind: Kind) -> tuple[type[Event], ...]:
    """The events that can make a work of this kind due: those that open a run, and those that bring its inputs."""
    match kind:
        case Kind.RESEARCH:
            return (WorkflowRequested, WorkflowResumed)
        case Kind.BLOG:
            return (WorkflowRequested, WorkflowResumed, ResearchCompleted)
        case Kind.SOCIAL | Kind.ILLUSTRATION:
            return (WorkflowResumed, BlogWritten)


def due(state: Workflow) -> list[Work]:
    """What is missing, has its inputs, and belongs to an open run."""
    if state.phase is not Phase.OPEN:
        return []
    return [work for work in works(state.asked) if _is_missing(state, work) and _has_inputs(state, work)]


def completion_is_due(state: Workflow) -> bool:
    """Is the run open although every artefact exists?"""
    return state.phase is Phase.OPEN and not any(_is_missing(state, work) for work in works(state.asked))


def guard(state: Workflow, work: Work) -> int:
    """The revision that made this work due in this run: the message of that event is the one that may act on it."""
    return max([state.opened_at, *(state.of(given).made_at for given in inputs(work, state.asked))])


def _is_missing(state: Workflow, work: Work) -> bool:
    return state.artefact(work) is None


def _has_inputs(state: Workflow, work: Work) -> bool:
    return not any(_is_missing(state, given) for given in inputs(work, state.asked))


# ---------------------------------------------------------------- what has happened


def fold(events: Iterable[Event], start: Workflow | None = None) -> Workflow:
    """The state after these events, from a new workflow or from `start`."""
    state = start or Workflow()
    for event in events:
        state = evolve(state, event)
    return state


def is_closed_after(event: Event, *, was_closed: bool) -> bool:
    """Is the run closed after this event? A result that was paid for may still be recorded behind its end."""
    match event:
        case WorkflowCompleted() | WorkflowFailed() | WorkflowCancelled():
            return True
        case WorkflowRequested() | WorkflowResumed():
            return False
        case _:
            return was_closed


def evolve(state: Workflow, event: Event) -> Workflow:
    """The state after one more event. Facts are not refused: what stands in the log has happened."""
    state = replace(state, revision=state.revision + 1)
    match event:
        case WorkflowRequested():
            return _open_run(replace(state, request=event), run=1)
        case WorkflowResumed():
            return _open_run(state, run=event.run)
        case WorkClaimed():
            claim = Claim(event.run, event.attempt, event.worker, state.revision)
            return _set(
                state, event.work, claim=claim, claimed_at=state.revision, attempts=event.attempt, retry_at=None
            )
        case Artefact():
            return _set(
                state, work_of(event), artefact=event, made_at=state.revision, claim=None, retry_at=None, error=None
            )
        case AttemptFailed():
            return _set(state, event.work, claim=None, retry_at=event.retry_at, error=event.error)
        case WorkflowFailed():
            return replace(_set(state, event.work, error=event.error), phase=Phase.FAILED)
        case WorkflowCompleted():
            return replace(state, phase=Phase.COMPLETED)
        case WorkflowCancelled():
            return replace(state, phase=Phase.CANCELLED)
        case _:
            assert_never(event)


def _open_run(state: Workflow, run: int) -> Workflow:
    """Attempts start anew with the run; what was made, and who claimed what, is kept."""
    fresh = {work: replace(was, attempts=0, retry_at=None, error=None) for work, was in state.works.items()}
    return replace(state, phase=Phase.OPEN, run=run, opened_at=state.revision, works=fresh)


def _set(state: Workflow, work: Work, **changes: object) -> Workflow:
    return replace(state, works={**state.works, work: replace(state.of(work), **changes)})


# ---------------------------------------------------------------- what may be recorded


def decide(command: Command, state: Workflow) -> Event | None:
    """The event that records this command, or None where it is said already or has been superseded.

    Raises RuleBroken, in one of its kinds, where the command does not fit the workflow.
    """
    if isinstance(command, RequestWorkflow):
        return _decide_request(command, state)
    if state.phase is Phase.NEW:
        raise UnknownWorkflow("There is no such workflow.")
    match command:
        case ClaimWork():
            return _decide_claim(command, state)
        case Answer():
            return _decide_record(command, state)
        case FailAttempt():
            return _decide_failure(command, state)
        case GiveUpWork():
            return _decide_give_up(command, state)
        case CompleteWorkflow():
            return _decide_completion(command, state)
        case CancelWorkflow():
            return _decide_cancel(command, state)
        case ResumeWorkflow():
            return _decide_resume(command, state)
        case _:
            assert_never(command)


def _decide_request(command: RequestWorkflow, state: Workflow) -> WorkflowRequested | None:
    asked = WorkflowRequested(
        topic=command.topic,
        research=command.research,
        platforms=command.platforms,
        brief=command.brief,
        client_request_id=command.client_request_id,
    )
    if state.phase is Phase.NEW:
        return asked
    if state.request == asked:
        return None
    raise RequestConflict("This request id was used before with another request; use a new one.")


def _decide_claim(command: ClaimWork, state: Workflow) -> WorkClaimed:
    was = state.of(command.work)
    if state.run != command.run or command.work not in due(state):
        raise NotDue(f"{command.work} is not due in run {command.run}.")
    if was.retry_at is not None and command.now < was.retry_at:
        raise NotDue(f"{command.work} waits for its retry at {was.retry_at.isoformat()}.")
    if was.attempts >= ATTEMPTS_MAX:
        raise NotDue(f"{command.work} has used up its {ATTEMPTS_MAX} attempts.")
    return WorkClaimed(work=command.work, run=command.run, attempt=was.attempts + 1, worker=command.worker)


def _decide_record(command: Record, state: Workflow) -> Made | None:
    """A success is recorded whenever its artefact is missing, also after failure or cancel: it was paid for."""
    made = command.recorded_as(**vars(command))
    work = work_of(made)
    if state.artefact(work) is not None:
        return None
    if work not in works(state.asked):
        raise NotDue(f"{work} was not asked for.")
    if isinstance(made, BlogWritten):
        _refuse_unknown_citations(made, state)
    return made


def _refuse_unknown_citations(blog: BlogWritten, state: Workflow) -> None:
    given = {source.number for source in state.research.sources} if state.research else set[int]()
    unknown = sorted(set(blog.cited) - given)
    if unknown:
        raise UnknownCitation(f"The blog post cites sources that it was not given: {unknown}.")


def _decide_failure(command: FailAttempt, state: Workflow) -> AttemptFailed | WorkflowFailed | None:
    if not state.is_open_claim(command.work, command.run, command.attempt):
        return None  # an older attempt or run: somebody else speaks for the work now
    told = {name: getattr(command, name) for name in ("work", "run", "attempt", "cost_known", "usage")}
    if command.retry_at is None:
        return WorkflowFailed(error=command.error, **told)
    if command.attempt >= ATTEMPTS_MAX:
        return WorkflowFailed(error=_attempts_used_up(command.error), **told)
    return AttemptFailed(error=command.error, retry_at=command.retry_at, **told)


def _decide_give_up(command: GiveUpWork, state: Workflow) -> WorkflowFailed | None:
    was = state.of(command.work)
    if state.run != command.run or command.work not in due(state):
        return None
    if was.attempts < ATTEMPTS_MAX:
        raise RuleBroken(f"{command.work} has attempts left.")
    return WorkflowFailed(
        work=command.work,
        run=command.run,
        attempt=was.attempts,
        error=_attempts_used_up(was.error),
        cost_known=False,
    )


def _attempts_used_up(last: Failure | None) -> Failure:
    because = f" The last one: {last.message}" if last else " The last one ended without a word: its process died."
    return Failure(code="attempts-used-up", message=f"{ATTEMPTS_MAX} attempts failed.{because}", retryable=True)


def _decide_completion(command: CompleteWorkflow, state: Workflow) -> WorkflowCompleted | None:
    if state.phase is not Phase.OPEN or state.run != command.run:
        return None
    if not completion_is_due(state):
        raise StillMissing("The workflow cannot be completed: something is still missing.")
    return WorkflowCompleted(run=state.run)


def _decide_cancel(command: CancelWorkflow, state: Workflow) -> WorkflowCancelled | None:
    match state.phase:
        case Phase.OPEN:
            return WorkflowCancelled(run=state.run, reason=command.reason)
        case Phase.CANCELLED:
            return None
        case _:
            raise AlreadyClosed(f"The workflow is {state.phase} already; there is nothing to cancel.")


def _decide_resume(command: ResumeWorkflow, state: Workflow) -> WorkflowResumed | None:
    if state.phase is Phase.OPEN:
        return None
    if state.phase is Phase.COMPLETED:
        raise AlreadyClosed("The workflow is completed; there is nothing to resume.")
    if state.revision + EVENTS_OF_A_RUN_MAX > EVENTS_MAX:
        raise HistoryFull("The workflow has been resumed too often; start a new one.")
    return WorkflowResumed(run=state.run + 1, reason=command.reason)
