"""The people: they ask for workflows (some five times at once, or again later), cancel them and resume them."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from chassis.event_store import StoreUnavailable
from contracts.platforms import Platform
from contracts.requests import ContentRequest
from contracts.workflow import RequestConflict, RuleBroken
from services.gateway.desk import Desk, Taken
from tests.simulation.clients import Client

if TYPE_CHECKING:
    from tests.simulation.world import World

T = TypeVar("T")

ASKING_ENDS_S = 25.0
"""Workflows are asked for in the first 25 seconds."""


@dataclass
class Person:
    """Asks for one workflow, and does with it what people do."""

    world: "World"
    number: int
    answers: list[Taken] = field(default_factory=list[Taken])

    async def live(self) -> None:
        """From the first request to the last command."""
        chance = self.world.random
        await asyncio.sleep(chance.uniform(0, ASKING_ENDS_S))
        request = self._request()
        at_once = chance.choice((1, 1, 1, 2, 5)) if request.client_request_id else 1
        await asyncio.gather(*(self._ask(request) for _ in range(at_once)))
        if not self.answers:
            return
        if request.client_request_id:
            await self._ask_again(request)
        if chance.random() < self.world.mix.watch:
            self.world.clients.append(Client(self.world, self.answers[0].key))
        await self._command()

    def _request(self) -> ContentRequest:
        chance = self.world.random
        return ContentRequest(
            topic=f"Tea {self.number}",
            research=chance.random() < 0.5,
            platforms=tuple(chance.sample(list(Platform), chance.choice((1, 1, 1, 2)))),
            client_request_id=f"wish-{self.number}" if chance.random() < 0.7 else None,
        )

    async def _ask(self, request: ContentRequest) -> None:
        """Asks until there is an answer; without an id of one's own only once, as it might become two workflows."""
        while True:
            taken = await self._at_some_gateway(lambda desk: desk.start(request))
            if taken is not None:
                self.world.say(taken.key, "taken in", taken.position)
                self.answers.append(taken)
                if taken != self.answers[0]:
                    self.world.breaks(f"one request became {self.answers[0]} and {taken}", taken.key)
                return
            if request.client_request_id is None:
                return

    async def _ask_again(self, request: ContentRequest) -> None:
        """Some ask again later; and some use an id twice that was meant for once."""
        chance = self.world.random
        if chance.random() < 0.1:
            await asyncio.sleep(chance.uniform(0, 20))
            await self._ask(request)
        if chance.random() < 0.1:
            other = request.model_copy(update={"topic": "Coffee"})
            try:
                taken = await self._at_some_gateway(lambda desk: desk.start(other))
            except RequestConflict:
                return
            if taken is not None:
                self.world.breaks("another request under the same id was taken in", taken.key)

    async def _command(self) -> None:
        """Cancels and resumes, at any time, fitting or not."""
        chance, workflow_id = self.world.random, self.answers[0].key.workflow_id
        commands = ["cancel"] * chance.choice((0, 0, 0, 1, 2)) + ["resume"] * chance.choice((0, 0, 0, 1, 2))
        for command in chance.sample(commands, len(commands)):
            await asyncio.sleep(chance.uniform(0, 15))
            with suppress(RuleBroken):  # it comes too late, or a replica that lags does not know of the workflow yet
                await self._at_some_gateway(lambda desk, command=command: getattr(desk, command)(workflow_id, None))

    async def _at_some_gateway(self, ask: Callable[[Desk], Coroutine[Any, Any, T]]) -> T | None:
        """The answer; None when the gateway died over it, or does not know what became of it."""
        gateway = self.world.random.choice(self.world.gateways)
        (answer,) = await asyncio.gather(gateway.try_to(ask(gateway.desk)), return_exceptions=True)
        match answer:
            case RuleBroken():
                raise answer
            case StoreUnavailable() | asyncio.CancelledError():
                return None
            case BaseException():
                raise answer
            case _:
                return answer
