"""The faults: which processes die, freeze, fall silent or lose their connection, and when. Planned from the seed."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.consumers import ACK_WAIT_S, Consumer, Message, Status

if TYPE_CHECKING:
    from tests.simulation.processes import StageProcess
    from tests.simulation.world import World

ENDS_S = 40.0
"""Faults fall in the first 40 seconds; after that everything must come to its end."""


class Faults:
    """Does to a world what its mix says."""

    def __init__(self, world: "World") -> None:
        self._world, self._random = world, world.random

    def plan(self) -> None:
        """Sets a time for each."""
        for kind, count in self._world.mix.faults.items():
            for _ in range(count):
                self._at(self._random.uniform(0, ENDS_S), partial(self._strike, kind))

    def _strike(self, kind: str) -> None:
        self._world.say(None, "FAULT", kind)
        match kind:
            case "crash":
                self._crash()
            case "stall":
                process = self._busy_one()
                process.freeze(self._world.time() + self._random.uniform(ACK_WAIT_S, 4 * ACK_WAIT_S))
            case "mute":
                process = self._busy_one()
                lasts = self._random.uniform(ACK_WAIT_S, 3 * ACK_WAIT_S)
                process.muted_until = max(process.muted_until, self._world.time() + lasts)
            case "redeliver":
                consumer = self._some_consumer()
                self._deliver_again(consumer, [one for one in consumer.messages if one.status is Status.ACKED][-3:])
            case "recreate":
                consumer = self._some_consumer()
                self._deliver_again(consumer, consumer.messages)
            case "lose a gateway":
                self._lose_gateway()
            case "disconnect":
                self._random.choice(self._world.gateways).wire.disconnect(self._random.uniform(0.1, 5))
            case "cut":
                if self._world.clients:
                    self._random.choice(self._world.clients).cut()
            case "lose a projector":
                self._lose_projector()
            case _:
                projector = self._random.choice(self._world.projectors)
                projector.freeze(self._world.time() + self._random.uniform(1, 10))

    def _crash(self) -> None:
        world, process = self._world, self._busy_one()
        if process.alive:
            process.die()
            self._soon(lambda: world.start_process(process.stage, process.number))

    def _lose_gateway(self) -> None:
        """The other one takes its place in the eyes of its clients, until it is there again."""
        world = self._world
        gateway = self._random.choice(world.gateways)
        gateway.die()
        world.start_gateway(gateway.number)

    def _lose_projector(self) -> None:
        world = self._world
        projector = self._random.choice(world.projectors)
        if projector.alive:
            projector.die()
            self._soon(lambda: world.start_projector(projector.number))

    def _deliver_again(self, consumer: Consumer, messages: list[Message]) -> None:
        """Messages come again after their ack, or all of a consumer do because an operator deleted it."""
        for message in messages:
            message.account.excuse(consumer.stage)
            consumer.deliver_again(message)

    def _some_consumer(self) -> Consumer:
        return self._random.choice(list(self._world.consumers.values()))

    def _busy_one(self) -> "StageProcess":
        processes = self._world.processes
        return self._random.choice([process for process in processes if process.held] or processes)

    def _soon(self, do: Callable[[], object]) -> None:
        self._at(self._world.time() + self._random.uniform(0.2, 3), do)

    def _at(self, when: float, do: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_at(when, do)
