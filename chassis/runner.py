"""The stage runner: takes one delivery from its first read to its settlement.

    delivery ──read──> history ──next_step──> claim ──> the work (the one paid effect) ──decide──> append ──> settle

What comes next is decided in chassis/delivery.py; this file does it, and keeps the order: claim before the paid call,
append before the ack, one settlement when all works of the delivery have ended.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

import structlog
from uuid_utils import uuid7

from chassis.answers import Answers, Desk
from chassis.delivery import Ack, ClaimNext, Complete, GiveUpOn, Leave, Memory, Nak, Step, Wait, next_step
from chassis.event_store import (
    Clock,
    Conflict,
    EventStore,
    EventTooLarge,
    History,
    HistoryDamaged,
    HistoryShort,
    NotAllowed,
    OutcomeUnknown,
    StoreUnavailable,
    utc_now,
)
from chassis.health import Trouble
from chassis.stage import Attempt, DeadlinePassed, Retry, Stage, Unexpected, WorkFailed
from chassis.telemetry import Seldom
from contracts.commands import ClaimWork, Command, CompleteWorkflow, FailAttempt, GiveUpWork, Record
from contracts.envelope import UnreadableEvent
from contracts.events import Artefact, AttemptFailed, WorkClaimed, WorkflowFailed
from contracts.subjects import WorkflowKey
from contracts.workflow import Phase, RuleBroken, decide
from contracts.works import Work

T = TypeVar("T")

IN_PROGRESS_S = 1.0
"""How often the runner says that it still works on a delivery: five times in an ack_wait of 5 s."""

LOOK_AGAIN_S = 10.0
"""How often a waiting delivery reads its history: the live message of a cancel may have been lost."""

PAUSES_S = (0.05, 0.2, 0.5, 1.0, 2.0)
"""Before asking a log that did not answer once more; the last one for ever."""

SHORT_READS_MAX = 10
"""Reads in a row that lack what was stored, each about 4 s long: a replica that only lags has caught up by then."""

UNREADABLE_S = 60.0
"""How long a result that was paid for waits for a history that this code can read."""

UNREADABLE = (UnreadableEvent, HistoryDamaged, NotAllowed)
"""What no waiting of this process mends: its deliveries are left to others."""

log = structlog.get_logger("runner")


class Delivery(Protocol):
    """One message that a consumer handed to this process: the event at this revision may have made something due."""

    @property
    def key(self) -> WorkflowKey:
        """The workflow."""
        ...

    @property
    def revision(self) -> int:
        """The place of the event in the workflow's history."""
        ...

    @property
    def event(self) -> str:
        """The event's type."""
        ...

    @property
    def event_id(self) -> str:
        """The event's id: the cause of what is appended for it."""
        ...

    async def in_progress(self) -> None:
        """Still at it: start ack_wait anew."""
        ...

    async def ack(self) -> None:
        """Nothing of this message is left to do."""
        ...

    async def nak(self, delay: timedelta) -> None:
        """Deliver this message again after a while."""
        ...


Say = Callable[[str], Awaitable[None]]
Streams = Callable[[WorkflowKey, WorkClaimed], Say]
"""Given a claim, what streams the text of its work to whoever watches."""

NextStep = Callable[..., Step]

Outcome = Record | FailAttempt
"""What came of an attempt."""


@dataclass(eq=False)
class _Job:
    """A delivery while it is held: what is known of its workflow, and what runs for it."""

    delivery: Delivery
    history: History
    memory: Memory
    doubtful: list[str] = field(default_factory=list[str])  # ids of my claims that no history has shown yet
    tasks: dict[Work, asyncio.Task[None]] = field(default_factory=dict[Work, asyncio.Task[None]])
    calls: dict[asyncio.Task[Outcome | None], int] = field(default_factory=dict[asyncio.Task[Outcome | None], int])
    """The paid calls that run now, and the run they are of."""
    attempts: list[int] = field(default_factory=list[int])
    appends_lost: int = 0  # in a row

    @property
    def key(self) -> WorkflowKey:
        return self.delivery.key

    def learn(self, history: History) -> History:
        """Keeps the longest history that was read; every later read reaches it."""
        if history.revision > self.history.revision:
            self.history = history
        return history

    def call_off(self, run: int) -> None:
        """Stops the paid calls of this run."""
        for call in [call for call, of_run in self.calls.items() if of_run == run]:
            call.cancel()


class Runner(Generic[T]):
    """Runs the deliveries of one stage in this process; any number may run at once.

    `worker` names this process in its claims; `deadline_s` bounds one attempt in seconds, None: as the stage declares.
    """

    def __init__(
        self,
        stage: Stage[T],
        store: EventStore,
        tools: T,
        *,
        worker: str,
        deadline_s: float | None,
        streams: Streams,
        clock: Clock = utc_now,
        next_step: NextStep = next_step,
        answers: Answers | None = None,
    ) -> None:
        self._stage, self._store, self._tools = stage, store, tools
        self._worker, self._deadline_s, self._streams = worker, deadline_s, streams
        self._clock, self._next_step, self._answers = clock, next_step, answers or Answers()
        self._jobs: list[_Job] = []
        self._seldom = Seldom()
        self.trouble = Trouble()
        """Why works do not succeed here at the moment, where that may pass: the model or the object store is away."""

    async def run(self, delivery: Delivery) -> None:
        """Does all that this delivery brings, and settles it.

        A message that this process holds already is left to the delivery that holds it: a server that was killed
        forgets whom it gave a message, and gives it again at once.

        Raises UnreadableEvent, HistoryDamaged or NotAllowed and leaves the delivery unsettled: it comes again.
        """
        if self._holds(delivery):
            log.info("held already", stage=self._stage.name, workflow_id=delivery.key.workflow_id)
            return
        began = time.monotonic()
        async with self._held(delivery) as job:
            verdict = await self._work_through(job)
        match verdict:
            case Ack():
                await delivery.ack()
            case Nak(until):
                await delivery.nak(max(timedelta(milliseconds=50), until - self._clock()))
            case Leave():
                pass
        log.info(
            "delivery",
            stage=self._stage.name,
            workflow_id=delivery.key.workflow_id,
            event_type=delivery.event,
            attempts=job.attempts,
            verdict=type(verdict).__name__.lower(),
            elapsed_ms=round((time.monotonic() - began) * 1000, 1),
        )

    def call_off(self, key: WorkflowKey, run: int) -> None:
        """Stops the paid calls of a cancelled run at once. A result that is being recorded is not stopped."""
        for job in self._jobs:
            if job.key == key:
                job.call_off(run)

    # ------------------------------------------------------------ one delivery

    def _holds(self, delivery: Delivery) -> bool:
        """Is this very message in this process's hands, by another delivery?"""
        return any(job.key == delivery.key and job.delivery.revision == delivery.revision for job in self._jobs)

    @contextlib.asynccontextmanager
    async def _held(self, delivery: Delivery) -> AsyncGenerator[_Job]:
        """Holds the message while it is worked on. What still runs in the end is stopped, the heartbeat with it."""
        job = _Job(delivery, History(delivery.key), Memory(delivery.revision, 0))
        heartbeat = asyncio.create_task(_keep_alive(delivery))
        self._jobs.append(job)
        try:
            yield job
        finally:
            self._jobs.remove(job)
            await _stop([*job.tasks.values(), heartbeat])

    async def _work_through(self, job: _Job) -> Ack | Nak | Leave:
        """The loop of one delivery. Where the history cannot be read any more, what runs is let end first."""
        try:
            return await self._steps(job)
        except UNREADABLE:
            await asyncio.gather(*job.tasks.values(), return_exceptions=True)
            raise

    async def _steps(self, job: _Job) -> Ack | Nak | Leave:
        history = await self._read(job)
        job.memory.first_read = history.revision
        while True:
            match self._next_step(history.state, self._stage.kinds, job.memory, self._clock()):
                case ClaimNext(work):
                    await self._claim(job, history, work)
                case GiveUpOn(work):
                    await self._append(job, history, GiveUpWork(work=work, run=history.state.run), _new_id())
                case Complete():
                    await self._append(job, history, CompleteWorkflow(run=history.state.run), _new_id())
                case Wait(until):
                    await self._wait(job, until)
                case settlement:
                    return settlement
            history = await self._read(job)
            self._adopt(job, history)
            if history.state.phase is Phase.CANCELLED:
                job.call_off(history.state.run)

    async def _wait(self, job: _Job, until: datetime | None) -> None:
        """Until one of the works ends, a retry comes due, or it is time to look again."""
        seconds = LOOK_AGAIN_S if until is None else min(LOOK_AGAIN_S, (until - self._clock()).total_seconds())
        ended, _ = await asyncio.wait(
            job.tasks.values(), timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED
        )
        for work in [work for work, task in job.tasks.items() if task in ended]:
            job.memory.running.discard(work)
            job.tasks.pop(work).result()

    # ------------------------------------------------------------ claims

    async def _claim(self, job: _Job, history: History, work: Work) -> None:
        command = ClaimWork(work=work, run=history.state.run, worker=self._worker, now=self._clock())
        event_id = _new_id()
        job.doubtful.append(event_id)  # until the history shows it, however the append ends
        if await self._append(job, history, command, event_id):
            self._adopt(job, job.history)

    def _adopt(self, job: _Job, history: History) -> None:
        """Finds my own claims in the history. A work is begun only if its claim is still the open one."""
        for recorded in [found for event_id in job.doubtful if (found := history.find(event_id))]:
            job.doubtful.remove(recorded.id)
            job.memory.own_claims.add(recorded.revision)
            claimed = recorded.event
            if isinstance(claimed, WorkClaimed) and claimed.work not in job.memory.running and _is_open(claimed, job):
                job.memory.running.add(claimed.work)
                job.attempts.append(claimed.attempt)
                job.tasks[claimed.work] = asyncio.create_task(self._attempt(job, claimed))

    # ------------------------------------------------------------ one attempt

    async def _attempt(self, job: _Job, claimed: WorkClaimed) -> None:
        """Does the claimed work, if the claim still stands, and records what came of it."""
        desk = self._answers.desk(job.key, claimed.work, _told_in(job.history))
        call = asyncio.create_task(self._outcome(job, claimed, desk))
        job.calls[call] = claimed.run
        try:
            outcome = await call
        except asyncio.CancelledError:
            if _is_being_stopped():
                raise
            return  # the run was cancelled and the call with it: there is nothing to record
        finally:
            del job.calls[call]
        if outcome is not None:
            await self._record(job, claimed, outcome)
            await desk.clear(is_done=not isinstance(outcome, FailAttempt))

    async def _outcome(self, job: _Job, claimed: WorkClaimed, desk: Desk) -> Outcome | None:
        """The command that records the result of the work, or its failure. None: the claim does not stand any more."""
        if not _is_open(claimed, job):
            return None
        say, deadline_s = self._streams(job.key, claimed), self._deadline_s or self._stage.deadline_s(claimed.work.kind)
        attempt = Attempt(job.key, job.history.state, claimed.work, claimed.run, claimed.attempt, say)
        try:
            with desk.at_hand():
                async with asyncio.timeout(deadline_s):
                    made = await self._stage.perform(attempt, self._tools)
        except WorkFailed as told:
            failed = told
        except TimeoutError:
            message = f"The {claimed.work} work was not done within {deadline_s:g} s. It may have been billed."
            failed = DeadlinePassed(message, cost_known=False)
        except Exception:
            # The one place that catches everything: a bug in a work must be told, and must not be paid for again.
            log.exception("unexpected", stage=self._stage.name, workflow_id=job.key.workflow_id, work=claimed.work)
            failed = Unexpected(cost_known=False)
        else:
            self.trouble.ends()
            return made
        failed.usage = failed.usage or desk.used  # the calls before were paid for, however it ended
        desk.judge(failed)
        return self._failure(claimed, failed)

    def _failure(self, claimed: WorkClaimed, failed: WorkFailed) -> FailAttempt:
        verdict, error = self._stage.verdict(failed), self._stage.failure(failed)
        delay = verdict.delay(claimed.attempt, failed.retry_after) if isinstance(verdict, Retry) else None
        if delay is not None:
            self.trouble.meets(f"{claimed.work}: {error.message}")
        log.warning(
            "attempt failed",
            stage=self._stage.name,
            work=claimed.work,
            attempt=claimed.attempt,
            code=error.code,
            retry_in_s=delay and delay.total_seconds(),
        )
        return FailAttempt(
            work=claimed.work,
            run=claimed.run,
            attempt=claimed.attempt,
            error=error,
            retry_at=None if delay is None else self._clock() + delay,
            cost_known=failed.cost_known,
            usage=failed.usage,
        )

    async def _record(self, job: _Job, claimed: WorkClaimed, outcome: Outcome) -> None:
        """Appends the outcome, however often that must be tried: it was paid for. The work itself is not run again."""
        event_id = _new_id()
        give_up_at = asyncio.get_running_loop().time() + UNREADABLE_S
        while True:
            try:
                history = await self._read(job)
                if history.find(event_id) or await self._append(job, history, outcome, event_id):
                    return
            except UNREADABLE as unreadable:
                if asyncio.get_running_loop().time() > give_up_at:
                    raise
                await self._pause(len(PAUSES_S), unreadable)
            except (RuleBroken, EventTooLarge, ValueError) as broken:  # a ValueError: it cannot be made an event
                log.exception("outcome refused", stage=self._stage.name, workflow_id=job.key.workflow_id)
                told = None if isinstance(broken, ValueError) else str(broken)
                usage = None if isinstance(outcome, FailAttempt) else outcome.usage  # then it may be the usage itself
                outcome = self._failure(claimed, Unexpected(told, usage=usage))

    # ------------------------------------------------------------ the store

    async def _append(self, job: _Job, history: History, command: Command, event_id: str) -> bool:
        """Decides and appends; True when that is done or nothing was to be appended, False: read again and look."""
        event = decide(command, history.state)
        if event is None:
            return True
        try:
            recorded = await self._store.append(history, event, id=event_id, cause=job.delivery.event_id)
        except Conflict:
            return False
        except (OutcomeUnknown, StoreUnavailable) as silent:
            await self._pause(job.appends_lost, silent)
            job.appends_lost += 1
            return False
        job.learn(history.then(recorded))
        job.appends_lost = 0
        return True

    async def _read(self, job: _Job) -> History:
        """The history, reaching all that this delivery has seen. Waits for a log that does not answer.

        Raises HistoryDamaged where the log goes on answering without what it had stored.
        """
        short, tries = 0, itertools.count()
        while True:
            try:
                reach = max(job.delivery.revision, job.history.revision)
                history = await self._store.read(job.key, reach=reach)
            except HistoryShort as lacking:
                short += 1
                if short == SHORT_READS_MAX:
                    raise HistoryDamaged(str(lacking)) from lacking
                await self._pause(next(tries), lacking)
            except StoreUnavailable as silent:
                await self._pause(next(tries), silent)
            else:
                return job.learn(history)

    async def _pause(self, tries: int, why: Exception) -> None:
        if self._seldom.allows(type(why).__name__, time.monotonic()):
            log.warning("waiting for the log", stage=self._stage.name, why=f"{type(why).__name__}: {why}")
        await asyncio.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])


def _is_open(claimed: WorkClaimed, job: _Job) -> bool:
    """Does the latest history that was read show this claim as the open claim of the open run?"""
    return job.history.state.is_open_claim(claimed.work, claimed.run, claimed.attempt)


def _told_in(history: History) -> frozenset[str]:
    """The request ids of all calls whose usage this history tells."""
    events = (recorded.event for recorded in history.recorded)
    usages = (event.usage for event in events if isinstance(event, Artefact | AttemptFailed | WorkflowFailed))
    return frozenset(request_id for usage in usages if usage for request_id in usage.request_ids)


def _is_being_stopped() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _keep_alive(delivery: Delivery) -> None:
    while True:
        await asyncio.sleep(IN_PROGRESS_S)
        await delivery.in_progress()


async def _stop(tasks: Iterable[asyncio.Task[Any]]) -> None:
    stopped = list(tasks)
    for task in stopped:
        task.cancel()
    await asyncio.gather(*stopped, return_exceptions=True)


def _new_id() -> str:
    return str(uuid7())
