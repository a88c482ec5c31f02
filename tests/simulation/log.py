"""The log, and how a process meets it: slow, lagging, with replies that get lost; and whose clock it goes by."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

from chassis.connection import NoAnswer
from chassis.event_store import Clock, Conflict, History, OutcomeUnknown
from chassis.jetstream_log import Entry
from chassis.memory_store import MemoryLog
from contracts.envelope import Recorded, encode
from contracts.events import Event
from contracts.subjects import EventSubject, WorkflowKey

if TYPE_CHECKING:
    from tests.simulation.hosts import Host
    from tests.simulation.world import World


class Log(MemoryLog):
    """All workflows of one simulated run. An event takes its wire format only where somebody reads it from there."""

    position: int

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.recorded: list[Recorded[Event]] = []
        self._entries: dict[int, Entry] = {}

    def append(
        self,
        service: str,
        history: History,
        event: Event,
        *,
        id: str,
        cause: str | None = None,
        clock: Clock | None = None,
    ) -> Recorded[Event]:
        """See MemoryLog. `clock`: the writer's, which says when this was recorded."""
        self.check_fence(history)
        self.position += 1
        recorded = Recorded(
            event=event,
            id=id,
            key=history.key,
            service=service,
            revision=history.revision + 1,
            position=self.position,
            recorded_at=(clock or self.clock)(),
            cause=cause,
        )
        self.recorded.append(recorded)
        histories = self.histories(history.key)
        histories.append(histories[-1].then(recorded))
        for listener in self.listeners:
            listener(recorded)
        return recorded

    def entry(self, recorded: Recorded[Event]) -> Entry:
        """The event as it stands in the stream, for whoever reads or hears it from there."""
        if recorded.position not in self._entries:
            self._entries[recorded.position] = _entry(recorded)
        return self._entries[recorded.position]


def _entry(recorded: Recorded[Event]) -> Entry:
    headers, body = encode(
        recorded.event,
        id=recorded.id,
        service=recorded.service,
        recorded_at=recorded.recorded_at,
        cause=recorded.cause,
    )
    subject = EventSubject(recorded.key, recorded.service, recorded.event.type, recorded.revision)
    return Entry(recorded.position, str(subject), headers, body)


@dataclass(frozen=True)
class Store:
    """The event store of one process. `learned` is told how far each history is known to the process now."""

    world: "World"
    host: "Host"
    service: str

    async def read(self, key: WorkflowKey, *, reach: int = 0) -> History:
        """See EventStore.read. A replica that lags tells less than there is, but never less than `reach`."""
        world = self.world
        await self.host.step()
        histories = world.log.histories(key)
        history = histories[-1]
        if world.happens(world.mix.lag):
            history = histories[world.random.randint(min(reach, history.revision), history.revision)]
        self.host.learned(history.revision)
        return history

    async def append(self, history: History, event: Event, *, id: str, cause: str | None = None) -> Recorded[Event]:
        """See EventStore.append. Where the reply is lost, the event may have been stored or not."""
        world = self.world
        self.host.appends(history, event)
        await self.host.step()
        if world.happens(world.mix.lose_reply):
            await self._lose_reply(history, event, id, cause)
        recorded = self._stored(history, event, id, cause)
        await self.host.step()
        self.host.learned(recorded.revision)
        return recorded

    def _stored(self, history: History, event: Event, id: str, cause: str | None) -> Recorded[Event]:
        return self.world.log.append(self.service, history, event, id=id, cause=cause, clock=self.host.clock)

    async def _lose_reply(self, history: History, event: Event, id: str, cause: str | None) -> None:
        with suppress(Conflict):
            if self.world.random.random() < 0.7:
                self._stored(history, event, id, cause)
        await asyncio.sleep(self.world.random.uniform(0.5, 3))
        await self.host.gate()
        raise OutcomeUnknown


@dataclass(frozen=True)
class Server:
    """Stands where a process's connection to NATS stands, for what it asks the log's server: what time it is there."""

    world: "World"
    host: "Host"

    async def ask(self, subject: str, payload: bytes, *, timeout_s: float) -> SimpleNamespace:
        """See Connection. The answer is late, or never comes."""
        world = self.world
        await self.host.step()
        if world.happens(world.mix.lose_reply):
            await asyncio.sleep(timeout_s)
            await self.host.gate()
            raise NoAnswer("late")
        told = json.dumps({"ts": world.now().isoformat()})
        await self.host.step()
        return SimpleNamespace(data=told.encode())
