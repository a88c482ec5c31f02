"""The stages' processes: the real runner, fed by a simulated consumer, with a model made of chance."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from chassis.connection import Connection
from chassis.event_store import History
from chassis.log_clock import LogClock
from chassis.runner import Runner, Say
from chassis.stage import Attempt
from contracts.events import Event, WorkClaimed
from contracts.subjects import WorkflowKey
from contracts.works import Work
from tests.simulation.consumers import Consumer, Message
from tests.simulation.hosts import Host
from tests.simulation.log import Server, Store
from tests.simulation.rules import Broken
from tests.simulation.stages import DECLARED, QuotaUsedUp, Refused, Roll, TryLater

if TYPE_CHECKING:
    from tests.simulation.world import World

SLOTS = 8
DEADLINE_S = 60.0


class StageProcess(Host):
    """One life of one process of a stage. It is the tools of its works as well (see stages.Tools)."""

    def __init__(self, world: "World", stage: str, number: int) -> None:
        super().__init__(world, f"{stage}-{number}")
        self.stage, self.number, self.consumer = stage, number, world.consumers[stage]
        self.held: list[Held] = []
        self._log_clock = LogClock(self.now)
        self.runner = Runner(
            DECLARED[stage],
            Store(world, self, stage),
            self,
            worker=self.name,
            deadline_s=DEADLINE_S,
            streams=_no_streams,
            clock=self.clock,
        )
        self.run(self._begin())

    @property
    def has_free_slot(self) -> bool:
        """Does a pull of it stand open?"""
        return len(self.held) < SLOTS

    def clock(self) -> datetime:
        """See Host."""
        return self._log_clock()

    async def _begin(self) -> None:
        """Pulls, once it has asked what time it is."""
        async with self._log_clock.watched(cast(Connection, Server(self.world, self)), self.stage):
            await self._log_clock.answered.wait()
            self.consumer.join(self)
            await self.gone

    def take(self, message: Message) -> None:
        """Is given a message, also while it is frozen."""
        held = Held(self, message, since=self.world.time())
        self.held.append(held)
        message.holders.append(held)
        if self.is_frozen:
            message.account.excuse(self.stage)
        self.run(self._work(held))

    async def _work(self, held: "Held") -> None:
        await self.gate()
        HELD.set(held)
        self.world.say(held.key, self.name, "gets", held.revision)
        await self.runner.run(held)
        self._check_kept(held)
        self._put_down(held)
        self.consumer.hand_out()

    def die(self) -> None:
        """See Host. Each delivery that it held may have cost a call."""
        super().die()
        self.consumer.leave(self)
        for held in list(self.held):
            held.message.account.excuse(self.stage)
            self._put_down(held)

    def freeze(self, until: float) -> None:
        """See Host."""
        super().freeze(until)
        for held in self.held:
            held.message.account.excuse(self.stage)

    def learned(self, revision: int) -> None:
        """The delivery at hand knows the history so far."""
        held = HELD.get()
        held.known = max(held.known, revision)
        held.first_read = held.first_read or revision

    def appends(self, history: History, event: Event) -> None:
        """A delivery may not claim again what another holder of its message has claimed since it began."""
        if isinstance(event, WorkClaimed):
            claimed = history.state.of(event.work).claim
            if claimed and claimed.revision > HELD.get().first_read and claimed.worker != self.name:
                what = f"{self.name} claims {event.work}, which {claimed.worker} has taken over"
                self.world.breaks(what, history.key)

    def _put_down(self, held: "Held") -> None:
        self.held.remove(held)
        held.message.holders.remove(held)

    def _check_kept(self, held: "Held") -> None:
        """A success that this delivery paid for must not be thrown away while its artefact is missing."""
        for work in held.successes:
            if held.message.account.history.state.artefact(work) is None:
                self.world.breaks(f"a paid success of {work} was thrown away while missing", held.key)

    # ------------------------------------------------------------ the tools of its works

    async def begin_call(self, attempt: Attempt) -> int:
        """See Tools."""
        world, held = self.world, HELD.get()
        read = world.log.histories(attempt.key)[held.known].state
        if not read.is_open_claim(attempt.work, attempt.run, attempt.number):
            world.breaks(f"paid for {attempt.work} although it had read that its claim was closed", attempt.key)
        await self.step()
        world.say(attempt.key, self.name, "CALLS", attempt.work, attempt.run, attempt.number)
        return world.count_call(attempt.key, attempt.work)

    def succeeded(self, work: Work) -> None:
        """See Tools."""
        HELD.get().successes.append(work)

    def roll(self, call: int) -> Roll:
        """See Tools. When the model will listen again is noted: it may not be asked before."""
        rolled = self._rolled()
        answered = self.world.now() + timedelta(seconds=rolled.seconds)
        HELD.get().message.account.listens_at[call] = answered + timedelta(seconds=rolled.retry_after_s)
        return rolled

    def _rolled(self) -> Roll:
        chance, mix = self.world.random, self.world.mix
        seconds = chance.choice((0.1, 0.1, 1, 1, 2, 6)) * chance.uniform(0.5, 1.5)
        dice = chance.random()
        if dice < mix.refuse:
            return Roll(seconds, chance.choice((Refused, QuotaUsedUp)))
        if dice < mix.refuse + mix.fail:
            return Roll(seconds, TryLater, chance.choice((0.0, 0.0, 3.0)))
        return Roll(seconds)


@dataclass(eq=False)
class Held:
    """A delivery, in the hands of one process. `first_read`, `known`: how far the histories went that it has read."""

    process: StageProcess
    message: Message
    since: float
    first_read: int = 0
    known: int = 0
    successes: list[Work] = field(default_factory=list[Work])

    @property
    def key(self) -> WorkflowKey:
        """The workflow."""
        return self.message.account.key

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

    @property
    def consumer(self) -> Consumer:
        """Where the message came from."""
        return self.process.consumer

    @property
    def is_muted(self) -> bool:
        """Do its signs of life get lost, or did they a moment ago?"""
        return self.process.muted_until > self.process.world.time() - 1

    def could_speak_for(self, seconds: float) -> bool:
        """Was its process well for so long, with this message in its hands?"""
        process = self.process
        return process.world.time() - max(self.since, process.frozen_until, process.muted_until) > seconds

    async def in_progress(self) -> None:
        """See Delivery."""
        await self.process.gate()
        if self.process.world.time() >= self.process.muted_until:
            self.consumer.renew(self.message)

    async def ack(self) -> None:
        """See Delivery."""
        if await self._arrives("acks"):
            self.consumer.ack(self.message)
            try:
                self.message.account.check_guarded()
            except Broken as broken:
                self.process.world.breaks(str(broken), self.key)

    async def nak(self, delay: timedelta) -> None:
        """See Delivery."""
        if await self._arrives("naks"):
            self.consumer.nak(self.message, delay.total_seconds())

    async def _arrives(self, verb: str) -> bool:
        process, world = self.process, self.process.world
        await process.step()
        if world.happens(world.mix.lose_ack):
            return False
        world.say(self.key, process.name, verb, self.revision)
        return True


HELD: ContextVar[Held] = ContextVar("HELD")
"""The delivery that the running code works on."""


def _no_streams(key: WorkflowKey, claimed: WorkClaimed) -> Say:
    async def say(text: str) -> None: ...

    return say
