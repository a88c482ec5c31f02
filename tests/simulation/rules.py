"""What must hold of a workflow's history and of the messages that guard it, told apart from the code under test."""

from collections.abc import Iterable, Mapping

from chassis.event_store import History
from contracts.envelope import Recorded
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
from contracts.workflow import ATTEMPTS_MAX, completion_is_due, due, guard
from contracts.works import Kind, Work


class Broken(Exception):
    """A rule does not hold; the text is what people read first."""


def check_history(recorded: Iterable[Recorded[Event]]) -> None:
    """Raises Broken unless these events are a legal path: an independent telling of the rules of the language."""
    open_run, run, made, attempts = False, 0, set[Work](), dict[Work, int]()
    claimed: dict[Work, int] = {}
    for number, one in enumerate(recorded, start=1):
        if one.revision != number:
            raise Broken(f"revision {one.revision} stands at {number}")
        match one.event:
            case WorkflowRequested():
                if number != 1:
                    raise Broken("a second request in one history")
                open_run, run = True, 1
            case WorkflowResumed(run=opened):
                if open_run or opened != run + 1:
                    raise Broken("resumed a run that is not closed")
                open_run, run, attempts, claimed = True, opened, {}, {}
            case WorkClaimed(work=work, run=of_run, attempt=attempt):
                if not open_run or of_run != run:
                    raise Broken(f"{work} claimed in a closed run")
                if work in made:
                    raise Broken(f"{work} claimed although it exists")
                if attempt != attempts.get(work, 0) + 1 or attempt > ATTEMPTS_MAX:
                    raise Broken(f"{work}: attempt {attempt} after {attempts.get(work, 0)}")
                attempts[work] = claimed[work] = attempt
            case Artefact() as artefact:
                if work_of(artefact) in made:
                    raise Broken(f"two successes of {work_of(artefact)}")
                made.add(work_of(artefact))
            case AttemptFailed(work=work, attempt=attempt, run=of_run):
                if not open_run or of_run != run or claimed.pop(work, None) != attempt or work in made:
                    raise Broken(f"{work}: a failure of attempt {attempt}, which nobody holds")
            case WorkflowCompleted(run=of_run) | WorkflowFailed(run=of_run) | WorkflowCancelled(run=of_run):
                if not open_run or of_run != run:
                    raise Broken(f"two terminal events in run {of_run}")
                open_run = False


def check_guarded(history: History, unsettled: Mapping[Kind, set[int]]) -> None:
    """Raises Broken if something is due that no unsettled message can bring about. `unsettled`: revisions by kind."""
    state = history.state
    for work in due(state):
        if guard(state, work) not in unsettled[work.kind]:
            raise Broken(f"{work} is due and unguarded")
    if completion_is_due(state) and not any(unsettled.values()):
        raise Broken("completion is due and unguarded")
