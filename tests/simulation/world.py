"""The world around the real stage runner: a log, consumers and processes that fail as the measured ones do, by a seed.

Virtual seconds. Two processes a stage, two slots each. Faults fall in the first 40 seconds; after that the workflow
must end and every consumer must be empty. Every call of the model is numbered, and an outcome in the log names its
call, so that calls which were paid for in vain can be counted.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from chassis.delivery import next_step
from chassis.event_store import Conflict, History, OutcomeUnknown
from chassis.memory_store import MemoryLog
from chassis.runner import NextStep, Runner, Say
from chassis.stage import Attempt
from contracts.commands import CancelWorkflow, Command, RequestWorkflow, ResumeWorkflow
from contracts.envelope import Recorded
from contracts.events import AttemptFailed, Event, WorkClaimed, WorkflowCancelled, WorkflowFailed
from contracts.platforms import Platform
from contracts.services import STAGES
from contracts.subjects import WorkflowKey
from contracts.workflow import Phase, RuleBroken, decide
from contracts.works import Kind, Work
from tests.simulation.rules import Broken, check_guarded, check_history
from tests.simulation.stages import DECLARED

ACK_WAIT_S, FAULTS_END_S, HORIZON_S = 5.0, 40.0, 600.0
KEY = WorkflowKey("local", "simulated")
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Planted:
    """Switches that take one rule out. They exist only here: a simulation that never failed would prove nothing."""

    fence: bool = True
    ack_after_append: bool = True
    next_step: NextStep = next_step
    reads_reach: bool = True


class Status(Enum):
    """Where a message stands at its consumer."""

    AVAILABLE = 1
    PENDING = 2
    DELAYED = 3
    ACKED = 4


@dataclass
class Message:
    """One message at one consumer. `at`: when it comes again, unless something happens before."""

    recorded: Recorded[Event]
    status: Status = Status.AVAILABLE
    at: float = 0.0
    deliveries: int = 0


@dataclass(eq=False)
class Process:
    """One process of a stage: it can die, stall, and lose its signs of life."""

    world: "World"
    stage: str
    number: int
    tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    alive: bool = True
    busy: int = 0
    frozen_until: float = 0.0
    muted_until: float = 0.0

    def start(self) -> None:
        """Starts, or restarts, the process: a fresh runner and two slots."""
        self.alive, self.busy = True, 0
        self.runner = Runner(
            DECLARED[self.stage],
            Store(self.world, self),
            self,
            worker=f"{self.stage}-{self.number}",
            deadline_s=60,
            streams=_no_streams,
            clock=self.world.now,
            next_step=self.world.planted.next_step,
        )
        self.tasks = [asyncio.create_task(self.slot()) for _ in range(2)]

    def die(self) -> None:
        """Nothing that it was at reaches the world any more."""
        self.alive = False
        for task in self.tasks:
            task.cancel()

    async def slot(self) -> None:
        """One place of the process: one delivery after the other."""
        while True:
            await self.gate()
            message = self.world.pull(self.stage)
            if message is None:
                await asyncio.sleep(0.25 + self.world.random.random() * 0.1)
                continue
            self.busy += 1
            self.world.say(self.stage, self.number, "gets", message.recorded.revision)
            delivery = Held(self.world, self, message)
            if not self.world.planted.ack_after_append:
                await delivery.ack()
            HELD.set(delivery)
            await self.runner.run(delivery)
            self.busy -= 1
            self.check_kept(delivery)

    def check_kept(self, delivery: "Held") -> None:
        """A success that this delivery paid for must not be thrown away while its artefact is missing."""
        for work in delivery.successes:
            if self.world.history.state.artefact(work) is None:
                self.world.breaks(f"a paid success of {work} was thrown away while missing")

    async def gate(self) -> None:
        """Where the process meets the world: a frozen one waits, a dead one never comes through."""
        while True:
            if not self.alive:
                await asyncio.get_running_loop().create_future()
            if self.world.time() >= self.frozen_until:
                return
            await asyncio.sleep(self.frozen_until - self.world.time())

    async def step(self) -> None:
        """One step takes its time."""
        await self.gate()
        await asyncio.sleep(self.world.random.random() * self.world.slow)
        await self.gate()

    async def begin_call(self, attempt: Attempt) -> int:
        """See Tools."""
        read = self.world.log.histories(KEY)[HELD.get().known].state
        if not read.is_open_claim(attempt.work, attempt.run, attempt.number):
            self.world.breaks(f"paid for {attempt.work} although it had read that its claim was closed")
        await self.step()
        calls = self.world.calls
        calls[len(calls) + 1] = attempt.work
        self.world.say(self.stage, self.number, "CALLS", attempt.work, attempt.run, attempt.number)
        return len(calls)

    def succeeded(self, work: Work) -> None:
        """See Tools."""
        HELD.get().successes.append(work)

    def roll(self) -> tuple[float, bool, bool]:
        """See Tools."""
        chance = self.world.random
        seconds = chance.choice((0.1, 1, 3, 9)) * chance.uniform(0.5, 1.5)
        return seconds, chance.random() < self.world.refuse, chance.random() < self.world.fail


class World:
    """One simulated run. `tell` is given every step, for a replay."""

    def __init__(self, seed: int, planted: Planted | None = None, *, tell: bool = False) -> None:
        self.random = chance = random.Random(seed)
        self.planted = planted = planted or Planted()
        self.tell = tell
        self.log = MemoryLog(clock=self.now)
        self.log.listeners.append(self.heard)
        if not planted.fence:
            self.log.check_fence = lambda history: None
        self.request = RequestWorkflow(
            topic="tea",
            research=chance.random() < 0.6,
            platforms=tuple(chance.sample(list(Platform), chance.choice((1, 2, 3)))),
        )
        self.consumers: dict[str, dict[int, Message]] = {stage: {} for stage in STAGES}
        self.processes = [Process(self, stage, number) for stage in STAGES for number in (1, 2)]
        self.faults, self.calls = Counter[str](), dict[int, Work]()
        self.excuses = Counter[str]()  # by stage: faults that may cost a call each
        self.broken: str | None = None
        self.lag, self.lose_ack, self.lose_reply = (
            chance.choice(of) for of in ((0, 0, 0.3), (0, 0, 0.2), (0, 0, 0.15))
        )
        self.fail, self.refuse = chance.choice((0, 0.1, 0.5)), chance.choice((0, 0, 0.1))
        self.slow = chance.choice((0.002, 0.02, 0.5))  # seconds that one step may take

    # ------------------------------------------------------------ time

    def time(self) -> float:
        """Virtual seconds since the start."""
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        """The same as a date."""
        return START + timedelta(seconds=self.time())

    def calm(self) -> bool:
        """Are the faults over?"""
        return self.time() > FAULTS_END_S

    def say(self, *words: object) -> None:
        """A line of the replay."""
        if self.tell:
            print(f"{self.time():8.2f} ", *words)  # noqa: T201

    # ------------------------------------------------------------ the run

    async def run(self) -> str | None:
        """Runs to the end: None, or what broke."""
        background = self._background()
        try:
            for process in self.processes:
                process.start()
            while self.time() < HORIZON_S and self.broken is None:
                await asyncio.sleep(0.5)
                if self.time() > FAULTS_END_S + 6 and self.ended():
                    break
        finally:
            for task in [*background, *(task for process in self.processes for task in process.tasks)]:
                task.cancel()
        return self.broken or self.verdict()

    def _background(self) -> list[asyncio.Task[None]]:
        chance, plan = self.random, list[Coroutine[Any, Any, None]]()
        plan.append(self.gateway(0.0, self.request))
        for kind, most in (("crash", 6), ("stall", 4), ("mute", 4), ("redeliver", 3), ("recreate", 1)):
            plan += [self.inject(chance.uniform(0, FAULTS_END_S), kind) for _ in range(chance.choice((0, 0, 1, most)))]
        for _ in range(chance.choice((0, 0, 1, 3))):
            plan.append(self.gateway(chance.uniform(0, FAULTS_END_S), CancelWorkflow()))
        for _ in range(chance.choice((0, 1, 3, 6))):
            plan.append(self.gateway(chance.uniform(0, FAULTS_END_S + 5), ResumeWorkflow()))
        return [asyncio.create_task(step) for step in plan]

    def ended(self) -> bool:
        """Is the run closed, everything settled and everybody idle?"""
        return (
            self.history.state.phase not in (Phase.NEW, Phase.OPEN)
            and not any(process.busy for process in self.processes)
            and not any(self.unsettled().values())
        )

    def verdict(self) -> str | None:
        """What the finished run breaks, if anything."""
        if not self.ended():
            return f"no end: {self.history.state.phase}, unsettled {self.unsettled()}"
        closings = sum(isinstance(one.event, WorkflowFailed | WorkflowCancelled) for one in self.history.recorded)
        for work, wasted in self.wasted().items():
            if wasted > closings + self.excuses[stage_of(work)]:
                return f"{wasted} wasted calls of {work}, with {dict(self.excuses)} faults and {closings} runs closed"
        failures = sum(isinstance(one.event, AttemptFailed) for one in self.history.recorded)
        most = max(message.deliveries for consumer in self.consumers.values() for message in consumer.values())
        if most > 2 + sum(self.faults.values()) + 2 * failures:
            return f"{most} deliveries of one message, with {dict(self.faults)}"
        return None

    def wasted(self) -> Counter[Work]:
        """Calls whose outcome never came into the log, by work."""
        told = {
            int(call)
            for one in self.history.recorded
            if (usage := getattr(one.event, "usage", None)) is not None
            for call in usage.request_ids
        }
        return Counter(work for call, work in self.calls.items() if call not in told)

    @property
    def history(self) -> History:
        """The whole history."""
        return self.log.histories(KEY)[-1]

    # ------------------------------------------------------------ the log and its consumers

    def heard(self, recorded: Recorded[Event]) -> None:
        """An event was stored: it reaches the consumers, and the rules are checked."""
        self.say("LOG", recorded.revision, recorded.event.type, _words(recorded.event))
        for name, stage in DECLARED.items():
            if isinstance(recorded.event, stage.wakes):
                self.consumers[name][recorded.revision] = Message(recorded)
        self.check()
        if isinstance(recorded.event, WorkflowCancelled):
            for process in self.processes:
                if self.random.random() < 0.7 and process.alive and self.time() >= process.frozen_until:
                    process.runner.call_off(KEY, recorded.event.run)  # the live message; lost in the other cases

    def check(self) -> None:
        """Checks what must hold at every moment."""
        try:
            check_history(self.history.recorded)
            check_guarded(self.history, self.unsettled())
        except Broken as broken:
            self.breaks(str(broken))

    def breaks(self, what: str) -> None:
        """Notes the first violation; the run ends with it."""
        self.broken = self.broken or what

    def unsettled(self) -> dict[Kind, set[int]]:
        """Revisions of the messages that are not acked, by the kinds of work of their consumer."""
        return {
            kind: {revision for revision, message in self.consumers[stage].items() if message.status != Status.ACKED}
            for stage, kinds in STAGES.items()
            for kind in kinds
        }

    def pull(self, stage: str) -> Message | None:
        """The next message that may be delivered."""
        for message in self.consumers[stage].values():
            comes_again = message.status in (Status.PENDING, Status.DELAYED) and message.at <= self.time()
            if message.status is Status.AVAILABLE or comes_again:
                message.status, message.at = Status.PENDING, self.time() + ACK_WAIT_S
                message.deliveries += 1
                return message
        return None

    async def gateway(self, at: float, command: Command) -> None:
        """Appends what a person asked for, if it fits then."""
        await asyncio.sleep(at)
        with contextlib.suppress(RuleBroken):  # the person came too late
            if event := decide(command, self.history.state):
                self.log.append("gateway", self.history, event, id=f"gateway-{self.history.revision}")

    # ------------------------------------------------------------ faults

    async def inject(self, at: float, kind: str) -> None:
        """One fault at its time."""
        await asyncio.sleep(at)
        if kind in ("redeliver", "recreate"):
            self.deliver_again(kind)
            return
        chance = self.random
        process = chance.choice([process for process in self.processes if process.busy] or self.processes)
        self.say("FAULT", kind, process.stage, process.number)
        match kind:
            case "crash" if process.alive:
                self.excuse(kind, process.stage, process.busy > 0)
                process.die()
                await asyncio.sleep(chance.uniform(0.2, 3))
                process.start()
            case "crash":
                pass
            case "stall":
                self.excuse(kind, process.stage, process.busy > 0)
                stalled = self.time() + chance.uniform(ACK_WAIT_S, 4 * ACK_WAIT_S)
                process.frozen_until = max(process.frozen_until, stalled)
            case _:
                lasts = chance.uniform(ACK_WAIT_S, 3 * ACK_WAIT_S)
                process.muted_until = max(process.muted_until, self.time() + lasts)
                self.excuse(kind, process.stage, int((lasts + 1) / ACK_WAIT_S))  # one for each ack_wait that it lasts

    def deliver_again(self, kind: str) -> None:
        """A message comes again after its ack, or all of a consumer do because an operator deleted it."""
        stage = self.random.choice(list(STAGES))
        again = list(self.consumers[stage].values())
        if kind == "redeliver":
            again = [message for message in again if message.status is Status.ACKED][-1:]
        for message in again:
            message.status = Status.AVAILABLE
        self.excuse(kind, stage, bool(again))
        self.say("FAULT", kind, stage, [message.recorded.revision for message in again])

    def excuse(self, kind: str, stage: str, times: int) -> None:
        """Counts a fault, each of which may cost this stage a call."""
        self.faults[kind] += times
        self.excuses[stage] += times


@dataclass(frozen=True)
class Store:
    """The event store as one process meets it: slow, lagging, and with replies that get lost."""

    world: World
    process: Process

    async def read(self, key: WorkflowKey, *, reach: int = 0) -> History:
        """See EventStore.read."""
        world = self.world
        await self.process.step()
        history = world.history
        if world.random.random() < world.lag and not world.calm():
            low = reach if world.planted.reads_reach else min(reach, 1)
            history = world.log.histories(key)[world.random.randint(low, history.revision)]
            world.faults["lagging read"] += history.revision < world.history.revision
        HELD.get().known = max(HELD.get().known, history.revision)
        return history

    async def append(self, history: History, event: Event, *, id: str, cause: str | None = None) -> Recorded[Event]:
        """See EventStore.append."""
        world, process = self.world, self.process
        await process.step()
        if not world.calm() and world.random.random() < world.lose_reply:
            world.faults["lost reply"] += 1
            try:
                if world.random.random() < 0.7:
                    world.log.append(process.stage, history, event, id=id, cause=cause)
            except Conflict:
                pass
            await asyncio.sleep(world.random.uniform(0.5, 3))
            await process.gate()
            raise OutcomeUnknown
        recorded = world.log.append(process.stage, history, event, id=id, cause=cause)
        await process.step()
        HELD.get().known = max(HELD.get().known, recorded.revision)
        return recorded


@dataclass(eq=False)
class Held:
    """A delivery, in the hands of one process. `known`: the longest history that was read for it."""

    world: World
    process: Process
    message: Message
    known: int = 0
    successes: list[Work] = field(default_factory=list[Work])

    @property
    def key(self) -> WorkflowKey:
        """The workflow."""
        return self.message.recorded.key

    @property
    def revision(self) -> int:
        """The event's revision."""
        return self.message.recorded.revision

    @property
    def event(self) -> str:
        """The event's type."""
        return self.message.recorded.event.type

    @property
    def event_id(self) -> str:
        """The event's id."""
        return self.message.recorded.id

    async def in_progress(self) -> None:
        """See Delivery."""
        await self.process.gate()
        if self.message.status is Status.PENDING and self.world.time() >= self.process.muted_until:
            self.message.at = self.world.time() + ACK_WAIT_S

    async def ack(self) -> None:
        """See Delivery."""
        if await self._arrives("acks"):
            self.message.status = Status.ACKED
            self.world.check()

    async def nak(self, delay: timedelta) -> None:
        """See Delivery."""
        if await self._arrives("naks") and self.message.status is not Status.ACKED:
            self.message.status, self.message.at = Status.DELAYED, self.world.time() + delay.total_seconds()

    async def _arrives(self, verb: str) -> bool:
        await self.process.step()
        if not self.world.calm() and self.world.random.random() < self.world.lose_ack:
            self.world.faults["lost ack"] += 1
            return False
        self.world.say(self.process.stage, self.process.number, verb, self.revision)
        return True


def stage_of(work: Work) -> str:
    """The stage that does this work."""
    return next(stage for stage, kinds in STAGES.items() if work.kind in kinds)


HELD: ContextVar[Held] = ContextVar("HELD")
"""The delivery that the running code works on."""


def _no_streams(key: WorkflowKey, claimed: WorkClaimed) -> Say:
    async def say(text: str) -> None: ...

    return say


def _words(event: Event) -> str:
    return " ".join(f"{name}={getattr(event, name)}" for name in ("work", "run", "attempt") if hasattr(event, name))
