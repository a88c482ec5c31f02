"""The planted bugs: each takes one rule out, of the code under test or of what it stands on, for as long as it lasts.

They exist only here. A simulation that was never seen failing proves nothing.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import ANY, patch

import chassis.delivery
import chassis.runner
import services.gateway.desk
import services.gateway.tail
import services.projector.reading
import services.projector.writing
from chassis.delivery import Ack, Leave, Memory, Nak, Step, next_step
from chassis.event_store import History
from chassis.log_clock import LogClock
from chassis.runner import Delivery, NextStep, Runner
from chassis.stage import Retry
from contracts.commands import ClaimWork, Command
from contracts.envelope import Recorded, UnreadableEvent
from contracts.events import Artefact, Event, work_of
from contracts.requests import ContentRequest
from contracts.subjects import WorkflowKey
from contracts.workflow import Workflow, decide
from services.gateway.tail import QUIET_S, Heard
from services.projector import batch
from services.projector.writing import MOVE
from tests.simulation.log import Log, Store
from tests.simulation.postgres import Session
from tests.simulation.stages import VERDICTS, QuotaUsedUp
from tests.simulation.telling import BUG

Plant = Callable[[], AbstractContextManager[object]]

PLANTED: dict[str, Plant] = {}
"""By name: the rule that is not kept."""


def plant(bug: Callable[[], AbstractContextManager[object]]) -> Plant:
    """Registers a bug under its name, with which a violation is told while it is planted."""
    name = bug.__name__.replace("_", " ")

    @contextmanager
    def planted() -> Generator[None]:
        token = BUG.set(name)
        try:
            with bug():
                yield
        finally:
            BUG.reset(token)

    PLANTED[name] = planted
    return planted


# ---------------------------------------------------------------- the stages


@plant
def an_append_without_the_fence() -> AbstractContextManager[object]:
    """Two writers append behind the same history."""
    return patch.object(Log, "check_fence", _silent)


@plant
def an_ack_before_the_append() -> AbstractContextManager[object]:
    """Whoever dies then leaves the work lying."""
    run = Runner[Any].run

    async def acks_first(self: Runner[Any], delivery: Delivery) -> None:
        await delivery.ack()
        await run(self, delivery)

    return patch.object(Runner, "run", acks_first)


@plant
def claiming_what_another_holder_took_over() -> AbstractContextManager[object]:
    """Two holders of one message take the work from each other."""

    def never_taken_over(state: Workflow, kinds: Any, memory: Memory, now: datetime) -> Step:
        return next_step(state, kinds, replace(memory, first_read=10**9), now)

    return _steps(never_taken_over)


@plant
def settling_with_an_ack_while_a_retry_lies_ahead() -> AbstractContextManager[object]:
    """Nobody is woken for the retry."""

    def acks_too_early(state: Workflow, kinds: Any, memory: Memory, now: Any) -> Step:
        step = next_step(state, kinds, memory, now)
        return Ack() if isinstance(step, Nak | Leave) else step

    return _steps(acks_too_early)


@plant
def leaving_completion_undone() -> AbstractContextManager[object]:
    """Every artefact is there, and the run stays open."""
    return patch.object(chassis.delivery, "completion_is_due", _never)


@plant
def acting_on_any_message_that_comes_by() -> AbstractContextManager[object]:
    """A message that does not guard the work may be settled although it is not done."""
    return patch.object(chassis.delivery, "guard", _anything)


@plant
def paying_on_a_claim_that_is_no_longer_open() -> AbstractContextManager[object]:
    """Somebody else has it by now."""
    return patch.object(chassis.runner, "_is_open", _always)


@plant
def a_history_that_does_not_reach_the_delivered_event() -> AbstractContextManager[object]:
    """A replica that lags shows nothing that is due, and the message is settled."""
    read = Store.read

    async def reaches_nothing(self: Store, key: WorkflowKey, *, reach: int = 0) -> History:
        return await read(self, key, reach=min(reach, 1))

    return patch.object(Store, "read", reaches_nothing)


@plant
def throwing_away_a_success_that_comes_late() -> AbstractContextManager[object]:
    """It was paid for."""

    def only_of_the_open_claim(command: Command, state: Workflow) -> Event | None:
        made = decide(command, state)
        if isinstance(made, Artefact) and not state.is_open_claim(work_of(made), made.run, made.attempt):
            return None
        return made

    return patch.object(chassis.runner, "decide", only_of_the_open_claim)


@plant
def no_sign_of_life_while_the_model_works() -> AbstractContextManager[object]:
    """A call that takes longer than `ack_wait` is begun again by another holder."""
    return patch.object(chassis.runner, "IN_PROGRESS_S", 1e9)


@plant
def a_quota_that_is_used_up_is_retried() -> AbstractContextManager[object]:
    """Twelve calls, and none can succeed."""
    return patch.dict(VERDICTS, {QuotaUsedUp: Retry(timedelta(seconds=1))})


@plant
def a_retry_after_that_is_not_heeded() -> AbstractContextManager[object]:
    """The other side has said when it will listen again."""
    delay = Retry.delay

    def as_always(self: Retry, attempt: int, _: timedelta) -> timedelta:
        return delay(self, attempt, timedelta(0))

    return patch.object(Retry, "delay", as_always)


@plant
def a_retry_before_its_time() -> AbstractContextManager[object]:
    """The log says when the next attempt is due."""

    def impatient(state: Workflow, kinds: Any, memory: Memory, now: datetime) -> Step:
        return next_step(state, kinds, memory, now + timedelta(seconds=2))

    def claims_early(command: Command, state: Workflow) -> Event | None:
        if isinstance(command, ClaimWork):
            command = replace(command, now=command.now + timedelta(days=1))
        return decide(command, state)

    return _both(_steps(impatient), patch.object(chassis.runner, "decide", claims_early))


@plant
def going_by_the_clock_at_hand() -> AbstractContextManager[object]:
    """When a retry comes due is said by one machine's clock and read from another's."""
    return patch.object(LogClock, "hear", _silent)


# ---------------------------------------------------------------- the gateway


@plant
def a_repeated_request_makes_another_workflow() -> AbstractContextManager[object]:
    """The client's own id is not heeded."""
    made = itertools.count(1)

    def another(_: ContentRequest) -> WorkflowKey:
        return WorkflowKey("local", f"another-{next(made)}")

    return patch.object(services.gateway.desk, "_key", another)


@plant
def live_before_history() -> AbstractContextManager[object]:
    """What is live is told at once, and only then what was before."""

    async def heard(self: Any) -> AsyncGenerator[Heard]:
        while (live := await self._waiting.get()) is not None:
            yield live
            break
        for recorded in (await self._store.read(self.key)).recorded[self._after :]:
            yield recorded
        while True:
            if (live := await self._waiting.get()) is not None:
                yield live

    return patch.object(services.gateway.tail, "_Follower", _with(heard))


@plant
def a_tail_without_the_periodic_read() -> AbstractContextManager[object]:
    """The last event before a silence is lost for good."""
    return patch.object(services.gateway.tail, "QUIET_S", (1e9,) * len(QUIET_S))


@plant
def a_tail_that_skips_a_hole() -> AbstractContextManager[object]:
    """Whatever is newer than the last event is told as the next one."""

    async def heard(self: Any) -> AsyncGenerator[Heard]:
        for recorded in await self._read(self._after):
            if self._note(recorded):
                yield recorded
        while True:
            live = await self._waiting.get()
            if isinstance(live, Recorded) and live.revision > self._seen and self._note(live):
                yield live

    return patch.object(services.gateway.tail, "_Follower", _with(heard))


@plant
def a_tail_that_listens_once_the_history_is_read() -> AbstractContextManager[object]:
    """What is recorded in between is heard by nobody, and nobody looks."""

    async def heard(self: Any) -> AsyncGenerator[Heard]:
        for recorded in await self._read(self._after):
            if self._note(recorded):
                yield recorded
        self._waiting = asyncio.Queue[Heard | None]()
        while True:
            live = await self._waiting.get()
            if isinstance(live, Recorded) and live.revision == self._seen + 1 and self._note(live):
                yield live

    return patch.object(services.gateway.tail, "_Follower", _with(heard))


# ---------------------------------------------------------------- the projector


@plant
def the_checkpoint_outside_the_transaction() -> AbstractContextManager[object]:
    """It has moved, and the rows are lost with the transaction."""
    execute = Session.execute

    async def moves_at_once(self: Session, sql: str, *arguments: Any) -> None:
        if sql == MOVE:
            self.database.move(*arguments)
        else:
            await execute(self, sql, *arguments)

    return patch.object(Session, "execute", moves_at_once)


@plant
def the_checkpoint_after_the_transaction() -> AbstractContextManager[object]:
    """The rows are there, and whoever dies before it moves has them applied twice."""
    execute, commit = Session.execute, Session.commit
    moves: dict[Session, tuple[Any, ...]] = {}

    async def moves_later(self: Session, sql: str, *arguments: Any) -> None:
        if sql == MOVE:
            moves[self] = arguments
        else:
            await execute(self, sql, *arguments)

    async def moves_now(self: Session) -> None:
        await commit(self)
        if self in moves:
            await self.host.step()
            await execute(self, MOVE, *moves.pop(self))

    return _both(patch.object(Session, "execute", moves_later), patch.object(Session, "commit", moves_now))


@plant
def a_checkpoint_that_is_not_compared() -> AbstractContextManager[object]:
    """Two projectors apply the same batch."""

    async def takes_it_as_it_is(*_: object) -> None: ...

    return patch.object(services.projector.writing, "_lock", takes_it_as_it_is)


@plant
def a_projector_that_skips_a_hole() -> AbstractContextManager[object]:
    """What a damaged replica left out never comes into the tables."""
    return patch.object(services.projector.reading, "refuse_holes", _silent)


@plant
def an_event_of_a_future_version_is_skipped() -> AbstractContextManager[object]:
    """It is left out, instead of holding its workflow from there on."""
    apply: Callable[..., None] = vars(batch)["_apply"]

    def passes_over(step: batch.Step, *rest: Any) -> None:
        if not isinstance(step.read, UnreadableEvent):
            apply(step, *rest)

    return patch.object(batch, "_apply", passes_over)


# ---------------------------------------------------------------- how they are planted


def _silent(*_: object, **__: object) -> None:
    return None


def _never(*_: object) -> bool:
    return False


def _always(*_: object) -> bool:
    return True


def _anything(*_: object) -> object:
    return ANY


def _steps(next_step: NextStep) -> AbstractContextManager[object]:
    """Has every runner decide by this what comes next."""
    defaults: dict[str, object] = vars(Runner)["__init__"].__kwdefaults__
    return patch.dict(defaults, next_step=next_step)


def _with(heard: Callable[[Any], AsyncGenerator[Heard]]) -> type:
    """A follower that hears in this way."""
    follower: type = vars(services.gateway.tail)["_Follower"]
    return type("Follower", (follower,), {"heard": heard})


@contextmanager
def _both(one: AbstractContextManager[object], other: AbstractContextManager[object]) -> Generator[None]:
    with one, other:
        yield
