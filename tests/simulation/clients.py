"""The clients: each follows one workflow over any gateway, and must see every revision once, in order."""

import asyncio
from typing import TYPE_CHECKING

from contracts.envelope import Recorded
from contracts.events import Event
from contracts.subjects import WorkflowKey
from tests.simulation.gateways import Gateway
from tests.simulation.rules import Broken

if TYPE_CHECKING:
    from tests.simulation.world import World


class Client:
    """Attaches, is cut off, and attaches again behind the last revision that it saw; after a cut to any gateway."""

    def __init__(self, world: "World", key: WorkflowKey) -> None:
        self.world, self.key = world, key
        self.seen: list[Recorded[Event]] = []
        self._socket: asyncio.Task[None] | None = None
        self._life = asyncio.create_task(self._live())

    def cut(self) -> None:
        """Its socket breaks."""
        if self._socket is not None:
            self._socket.cancel()

    def leave(self) -> None:
        """It needs no more."""
        self._life.cancel()
        self.cut()

    @property
    def has_seen_all(self) -> bool:
        """Has it come to the end of the history?"""
        return len(self.seen) == self.world.accounts[self.key].history.revision

    def check_end(self) -> None:
        """Raises Broken where it did not see exactly what the log holds."""
        held = [(one.id, one.position) for one in self.world.accounts[self.key].history.recorded]
        if (seen := [(one.id, one.position) for one in self.seen]) != held:
            raise Broken(f"a client saw {len(seen)} events of {len(held)}")

    async def _live(self) -> None:
        while True:
            gateway = self.world.random.choice(self.world.gateways)
            self._socket = gateway.run(self._follow(gateway))
            await asyncio.wait([self._socket, gateway.gone], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(self.world.random.uniform(0, 3))

    async def _follow(self, gateway: Gateway) -> None:
        self.world.say(self.key, "client attaches to", gateway.name, "behind", len(self.seen))
        async with gateway.tails.follow(self.key, after=len(self.seen)) as events:
            async for recorded in events:
                self.seen.append(recorded)
                self.world.say(self.key, "client sees", recorded.revision)
                if recorded.revision != len(self.seen):
                    self.world.breaks(f"a client saw {recorded.revision} where {len(self.seen)} was next", self.key)
                    return
