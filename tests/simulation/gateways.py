"""The gateways: the real desk and the real live tails, over a wire that loses, doubles and delays live messages."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg

from chassis.connection import Connection
from chassis.jetstream_log import Entry
from contracts.envelope import Recorded
from contracts.events import Event
from contracts.services import GATEWAY
from services.gateway.desk import Desk
from services.gateway.tail import Tails
from tests.simulation.hosts import Host
from tests.simulation.log import Store

if TYPE_CHECKING:
    from tests.simulation.world import World

Heard = Callable[[Msg], Awaitable[None]]
Subscription = tuple[str, Heard]


class Wire:
    """Stands where a process's connection to NATS stands, for all that is live."""

    def __init__(self, host: Host) -> None:
        self._host, self._world = host, host.world
        self.on_reconnect: list[Callable[[], None]] = []
        self.on_messages_dropped: list[Callable[[], None]] = []
        self._subscriptions: dict[str, list[Heard]] = {}
        self._down_until = 0.0

    async def subscribe(self, subject: str, heard: Heard) -> Subscription:
        """See Connection."""
        await self._host.step()
        self._subscriptions.setdefault(subject, []).append(heard)
        return subject, heard

    async def unsubscribe(self, subscription: Subscription) -> None:
        """See Connection."""
        subject, heard = subscription
        self._subscriptions[subject].remove(heard)

    def disconnect(self, seconds: float) -> None:
        """The connection breaks, and what is live meanwhile is lost; then it is there again."""
        self._down_until = self._world.time() + seconds
        asyncio.get_running_loop().call_at(self._down_until, self._reconnect)

    def republish(self, subject: str, recorded: Recorded[Event]) -> None:
        """The server sends a stored event on to whoever listens to the subject: at most once, in principle."""
        listeners = self._subscriptions.get(subject)
        if not listeners or self._world.time() < self._down_until:
            return
        mix = self._world.mix
        for heard in tuple(listeners):
            if self._world.random.random() >= mix.lose_live:  # also when the faults are over: it was never promised
                self._carry(heard, recorded, late=self._world.happens(mix.delay_live))
            if self._world.happens(mix.double_live):
                self._carry(heard, recorded, late=True)

    def _carry(self, heard: Heard, recorded: Recorded[Event], *, late: bool) -> None:
        if late:
            delay = self._world.random.choice((0.01, 0.5, 5.0))
            asyncio.get_running_loop().call_later(delay, self._arrive, heard, recorded)
        else:
            self._arrive(heard, recorded)

    def _arrive(self, heard: Heard, recorded: Recorded[Event]) -> None:
        if self._host.alive:
            self._host.run(self._hear(heard, _message(self._world.log.entry(recorded))))

    async def _hear(self, heard: Heard, message: Msg) -> None:
        await self._host.gate()
        await heard(message)

    def _reconnect(self) -> None:
        if self._host.alive:
            for tell in self.on_reconnect:
                tell()


class Gateway(Host):
    """One life of one gateway."""

    def __init__(self, world: "World", number: int) -> None:
        super().__init__(world, f"gateway-{number}")
        self.number, self.wire = number, Wire(self)
        store = Store(world, self, GATEWAY)
        self.desk = Desk(store, researches=True)
        self.tails = Tails(cast(Connection, self.wire), store)


def _message(entry: Entry) -> Msg:
    headers = {**entry.headers, "Nats-Sequence": str(entry.position)}
    return Msg(cast(NatsClient, None), f"live.{entry.subject}", data=entry.body, headers=headers)
