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
from contracts.subjects import WorkflowKey
from contracts.workflow import ATTEMPTS_MAX, completion_is_due, due, guard
from contracts.works import Kind, Work


class Broken(Exception):
    """A rule does not hold; the text is what people read first."""


class BrokenWorkflow(Broken):
    """A rule does not hold in this workflow."""

    def __init__(self, key: WorkflowKey, what: str) -> None:
        super().__init__(what)
        self.key = key


def check_history(recorded: Iterable[Recorded[Event]]) -> None:
    """Raises Broken unless these events are a legal path."""
    rules = HistoryRules()
    for one in recorded:
        rules.note(one)


class HistoryRules:
    """Told one workflow's events one by one, says which of them is illegal: the rules of the language, told anew."""

    def __init__(self) -> None:
        self._revision: int = 0
        self._run: int = 0
        self._open = False
        self._made = set[Work]()
        self._attempts, self._claimed = dict[Work, int](), dict[Work, int]()  # of this run

    def note(self, one: Recorded[Event]) -> None:
        """Takes the next event in. Raises Broken."""
        self._revision += 1
        if one.revision != self._revision:
            raise Broken(f"revision {one.revision} stands at {self._revision}")
        match one.event:
            case WorkflowRequested():
                if self._revision != 1:
                    raise Broken("a second request in one history")
                self._open, self._run = True, 1
            case WorkflowResumed(run=opened):
                if self._open or opened != self._run + 1:
                    raise Broken("resumed a run that is not closed")
                self._open, self._run, self._attempts, self._claimed = True, opened, {}, {}
            case WorkClaimed():
                self._note_claim(one.event)
            case Artefact() as artefact:
                if work_of(artefact) in self._made:
                    raise Broken(f"two successes of {work_of(artefact)}")
                self._made.add(work_of(artefact))
            case AttemptFailed(work=work, attempt=attempt, run=run):
                is_held = self._claimed.pop(work, None) == attempt
                if not self._open or run != self._run or not is_held or work in self._made:
                    raise Broken(f"{work}: a failure of attempt {attempt}, which nobody holds")
            case WorkflowCompleted(run=run) | WorkflowFailed(run=run) | WorkflowCancelled(run=run):
                if not self._open or run != self._run:
                    raise Broken(f"two terminal events in run {run}")
                self._open = False

    def _note_claim(self, claim: WorkClaimed) -> None:
        work, before = claim.work, self._attempts.get(claim.work, 0)
        if not self._open or claim.run != self._run:
            raise Broken(f"{work} claimed in a closed run")
        if work in self._made:
            raise Broken(f"{work} claimed although it exists")
        if claim.attempt != before + 1 or claim.attempt > ATTEMPTS_MAX:
            raise Broken(f"{work}: attempt {claim.attempt} after {before}")
        self._attempts[work] = self._claimed[work] = claim.attempt


def check_guarded(history: History, unsettled: Mapping[Kind, set[int]]) -> None:
    """Raises Broken if something is due that no unsettled message can bring about. `unsettled`: revisions by kind."""
    state = history.state
    for work in due(state):
        if guard(state, work) not in unsettled[work.kind]:
            raise Broken(f"{work} is due and unguarded")
    if completion_is_due(state) and not any(unsettled.values()):
        raise Broken("completion is due and unguarded")
