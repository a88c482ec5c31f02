"""Any life of a workflow: commands in any order, late, repeated, from older runs; and what holds after each."""

from collections import Counter
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts.commands import (
    CancelWorkflow,
    ClaimWork,
    Command,
    CompleteWorkflow,
    RequestWorkflow,
    ResumeWorkflow,
)
from contracts.events import (
    Artefact,
    Event,
    WorkClaimed,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRequested,
    work_of,
)
from contracts.workflow import (
    ATTEMPTS_MAX,
    EVENTS_MAX,
    Phase,
    RuleBroken,
    Workflow,
    completion_is_due,
    decide,
    due,
    evolve,
    fold,
    guard,
    wakes,
)
from contracts.works import Work
from tests.contracts.generated import answer, quick, requests
from tests.contracts.given import NOON, as_recorded, claim, fail, give_up, record
from tests.simulation.rules import check_history

seldom = st.sampled_from([False, False, False, True])
"""Of what ends a run: otherwise few would live long enough to tell anything."""


class WorkflowMachine(RuleBasedStateMachine):
    """Everyone who may speak to a workflow, at once."""

    held = Bundle("held")
    """Every claim there ever was: its holder may answer now, later, twice or never."""

    @initialize(request=requests())
    def begin(self, request: WorkflowRequested) -> None:
        self.now = NOON
        self.state = Workflow()
        self.history: list[Event] = []
        self.said: list[Command] = []
        self.say(RequestWorkflow(topic=request.topic, research=request.research, platforms=request.platforms))

    # ------------------------------------------------------------ who speaks

    @rule(target=held, choice=st.integers(0, 9), waited_s=st.integers(0, 3_600))
    def claim_what_is_due(self, choice: int, waited_s: int) -> WorkClaimed | None:
        return self.claim_due(choice, waited_s)

    @rule(target=held, choice=st.integers(0, 9), waited_s=st.integers(0, 3_600))
    def make_what_is_due(self, choice: int, waited_s: int) -> WorkClaimed | None:
        claimed = self.claim_due(choice, waited_s)
        if claimed:
            self.say(record(answer(claimed)))
        return claimed

    @rule(target=held, choice=st.integers(0, 9), deaths=st.integers(1, ATTEMPTS_MAX))
    def die_over_what_is_due(self, choice: int, deaths: int) -> WorkClaimed | None:
        claims = [self.claim_due(choice, 0) for _ in range(deaths)]
        return claims[-1]

    def claim_due(self, choice: int, waited_s: int) -> WorkClaimed | None:
        self.now += timedelta(seconds=waited_s)
        works = due(self.state)
        return self.claim(works[choice % len(works)], self.state.run) if works else None

    @rule(target=held, work=st.sampled_from(Work), run_back=st.integers(-1, 1))
    def claim_anything(self, work: Work, run_back: int) -> WorkClaimed | None:
        return self.claim(work, self.state.run - run_back)

    @rule(claimed=held)
    def answer_a_claim(self, claimed: WorkClaimed | None) -> None:
        if claimed:
            self.say(record(answer(claimed)))

    @rule(claimed=held, retry_s=st.integers(0, 3_600))
    def fail_a_claim(self, claimed: WorkClaimed | None, retry_s: int) -> None:
        if claimed:
            retry_at = self.now + timedelta(seconds=retry_s)
            self.say(fail(claimed.work, claimed.attempt, run=claimed.run, retry_at=retry_at))

    @rule(claimed=held, surely=seldom)
    def fail_a_claim_for_good(self, claimed: WorkClaimed | None, surely: bool) -> None:
        if claimed and surely:
            self.say(fail(claimed.work, claimed.attempt, run=claimed.run, retry_at=None))

    @rule(work=st.sampled_from(Work), run_back=st.integers(0, 1))
    def give_up(self, work: Work, run_back: int) -> None:
        self.say(give_up(work, run=self.state.run - run_back))

    @rule(run_back=st.integers(0, 1))
    def complete(self, run_back: int) -> None:
        self.say(CompleteWorkflow(run=self.state.run - run_back))

    @rule(surely=seldom)
    def cancel(self, surely: bool) -> None:
        if surely:
            self.say(CancelWorkflow())

    @precondition(lambda self: self.state.phase is not Phase.OPEN)
    @rule()
    def resume(self) -> None:
        self.say(ResumeWorkflow())

    @rule(choice=st.integers(0, 1_000))
    def say_something_old_again(self, choice: int) -> None:
        self.say(self.said[choice % len(self.said)])

    # ------------------------------------------------------------ what is said

    def claim(self, work: Work, run: int) -> WorkClaimed | None:
        event = self.say(claim(work, run=run, now=self.now))
        return event if isinstance(event, WorkClaimed) else None

    def say(self, command: Command) -> Event | None:
        event = self.asked(command)
        self.said.append(command)
        if event is not None:
            self.history.append(event)
            self.state = evolve(self.state, event)
        if not isinstance(command, ClaimWork):  # each claim that is answered is one more attempt
            assert self.asked(command) is None, "the same command twice adds nothing"
        return event

    def asked(self, command: Command) -> Event | None:
        try:
            return decide(command, self.state)
        except RuleBroken:
            return None

    # ------------------------------------------------------------ what always holds

    @invariant()
    def the_history_is_a_legal_path(self) -> None:
        check_history(as_recorded(self.history))

    @invariant()
    def each_work_succeeds_at_most_once(self) -> None:
        made = Counter(work_of(event) for event in self.history if isinstance(event, Artefact))
        assert all(count == 1 for count in made.values())

    @invariant()
    def each_run_ends_at_most_once(self) -> None:
        ended = Counter(
            event.run
            for event in self.history
            if isinstance(event, WorkflowCompleted | WorkflowFailed | WorkflowCancelled)
        )
        assert all(count == 1 for count in ended.values())
        assert set(ended) == set(range(1, self.state.run + (self.state.phase is not Phase.OPEN)))

    @invariant()
    def folding_all_is_folding_each(self) -> None:
        assert fold(self.history) == self.state
        assert self.state.revision == len(self.history) <= EVENTS_MAX

    @invariant()
    def nothing_is_due_in_a_closed_run(self) -> None:
        if self.state.phase is not Phase.OPEN:
            assert not due(self.state)
            assert not completion_is_due(self.state)

    @invariant()
    def an_open_run_is_never_at_a_dead_end(self) -> None:
        if self.state.phase is Phase.OPEN:
            assert due(self.state) or completion_is_due(self.state)
        for work in due(self.state):
            again_at = self.state.of(work).retry_at or self.now
            claimable = self.asked(claim(work, run=self.state.run, now=again_at))
            assert claimable or self.asked(give_up(work, run=self.state.run)), f"{work} cannot go on"

    @invariant()
    def what_is_due_has_woken_its_stage(self) -> None:
        for work in due(self.state):
            assert type(self.history[guard(self.state, work) - 1]) in wakes(work.kind)


WorkflowMachine.TestCase.settings = settings(quick, max_examples=150, stateful_step_count=50)
TestWorkflowMachine = WorkflowMachine.TestCase
