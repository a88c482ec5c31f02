"""The account of one workflow: what the simulation itself knows of it, beside what the code under test says."""

from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from chassis.event_store import History
from chassis.log_clock import TIMEOUT_S, TOLERATED
from contracts import subjects
from contracts.envelope import Recorded
from contracts.events import (
    AttemptFailed,
    Event,
    WorkClaimed,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowResumed,
)
from contracts.services import STAGES
from contracts.subjects import WorkflowKey
from contracts.workflow import Phase
from contracts.works import Work
from tests.simulation.rules import Broken, HistoryRules, check_guarded
from tests.simulation.stages import NEVER_RETRIED

if TYPE_CHECKING:
    from tests.simulation.log import Log

CHANGES_NOTHING_DUE = (WorkClaimed, AttemptFailed, WorkflowCompleted, WorkflowFailed, WorkflowCancelled)
"""Events after which nothing is due that was not due before."""

ROUNDING = timedelta(milliseconds=1)
"""Virtual time is finer than a date."""

CLOCK_SLACK = 2 * (TOLERATED + timedelta(seconds=TIMEOUT_S))
"""By so much two processes may disagree about the time, where the clocks of their machines are wrong."""

STAGE_OF = {kind: stage for stage, kinds in STAGES.items() for kind in kinds}


class Account:
    """One workflow. `unsettled`: revisions of messages, `excuses`: faults that may cost a call each; both by stage."""

    def __init__(self, log: "Log", key: WorkflowKey, number: int, slack: timedelta) -> None:
        self.key, self.number, self._log, self._slack = key, number, log, slack
        self.live = subjects.live(key)
        self.unsettled: dict[str, set[int]] = {stage: set() for stage in STAGES}
        self.excuses = Counter[str]()
        self.calls: dict[int, Work] = {}
        self.listens_at: dict[int, datetime] = {}  # by call: when the model may be asked again
        self._rules, self._ids = HistoryRules(), set[str]()
        self._retry_at: dict[Work, datetime] = {}
        self._by_kind = {kind: self.unsettled[stage] for kind, stage in STAGE_OF.items()}

    @property
    def history(self) -> History:
        """The whole of it."""
        return self._log.histories(self.key)[-1]

    @property
    def has_ended(self) -> bool:
        """Is its run closed, and everything settled?"""
        return self.history.state.phase not in (Phase.NEW, Phase.OPEN) and not any(self.unsettled.values())

    def excuse(self, stage: str) -> None:
        """One more fault that may cost this stage a call."""
        self.excuses[stage] += 1

    def note(self, recorded: Recorded[Event]) -> None:
        """Checks the event that was stored just now. Raises Broken."""
        self._rules.note(recorded)
        self._check_ids(recorded)
        self._check_retries(recorded)
        if not isinstance(recorded.event, CHANGES_NOTHING_DUE):
            self.check_guarded()

    def check_guarded(self) -> None:
        """Raises Broken if something is due that nobody will be woken for."""
        check_guarded(self.history, self._by_kind)

    def _check_ids(self, recorded: Recorded[Event]) -> None:
        if recorded.id in self._ids:
            raise Broken(f"two events have the id {recorded.id}")
        if recorded.cause is not None and recorded.cause not in self._ids:
            raise Broken(f"the cause of event {recorded.revision} is no earlier event of its history")
        self._ids.add(recorded.id)

    def _check_retries(self, recorded: Recorded[Event]) -> None:
        match recorded.event:
            case AttemptFailed(work=work, error=error, retry_at=retry_at, usage=usage):
                if error.code in NEVER_RETRIED:
                    raise Broken(f"{work} is to be tried again after {error.code}")
                if usage and any(retry_at + self._slack < self.listens_at[int(call)] for call in usage.request_ids):
                    raise Broken(f"{work} is to be tried again before the model listens")
                self._retry_at[work] = retry_at
            case WorkClaimed(work=work):
                now = self._log.clock()  # the writer's own may be wrong
                if now + self._slack < (retry_at := self._retry_at.pop(work, now)):
                    raise Broken(f"{work} was claimed before its time, {retry_at}")
            case WorkflowResumed():
                self._retry_at = {}
            case _:
                pass

    # ------------------------------------------------------------ the end

    def check_end(self) -> None:
        """Raises Broken for what the finished workflow shows."""
        if not self.has_ended:
            raise Broken(f"no end: {self.history.state.phase}, unsettled {self.unsettled}")
        closings = sum(isinstance(one.event, WorkflowFailed | WorkflowCancelled) for one in self.history.recorded)
        for work, wasted in self._wasted().items():
            excuses = self.excuses[STAGE_OF[work.kind]]
            if wasted > closings + excuses:
                raise Broken(f"{wasted} wasted calls of {work}, with {excuses} faults and {closings} runs closed")

    def _wasted(self) -> Counter[Work]:
        """Calls whose outcome never came into the log, by work."""
        told = {
            int(call)
            for one in self.history.recorded
            if (usage := getattr(one.event, "usage", None)) is not None
            for call in usage.request_ids
        }
        return Counter(work for call, work in self.calls.items() if call not in told)
