"""Bugs of the gateway: the tail, the frames, the request id, and the places."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, contextmanager
from typing import Any

from uuid_utils import uuid7

import services.gateway.desk
import services.gateway.tail
from chaos.planted.bug import Patch
from contracts.deltas import Delta
from contracts.requests import ContentRequest
from contracts.subjects import WorkflowKey
from services.gateway.desk import OWNER
from services.gateway.sockets import Places, Socket
from services.gateway.tail import Tails

EACH = 50
FOR_EVER_S = 1e9


def tell_live_first(patch: Patch) -> None:
    """Tells what is live before it reads the history."""

    def hearing(heard: Any) -> Any:
        async def hears(self: Any) -> AsyncGenerator[Any]:
            live = await self._next(0)
            if live is not None and not isinstance(live, Delta) and self._note(live):
                yield live
            async for one in heard(self):
                yield one

        return hears

    def waiting(next_one: Any) -> Any:
        async def waits(self: Any, look_at: float) -> Any:
            return await next_one(self, look_at or asyncio.get_running_loop().time() + 1)

        return waits

    follower = services.gateway.tail._Follower  # pyright: ignore[reportPrivateUsage]
    patch.replace(follower, "heard", hearing)
    patch.replace(follower, "_next", waiting)


def never_look_again(patch: Patch) -> None:
    """Relies on what is live: reads the history no second time, neither after silence nor after a reconnect."""
    patch.replace(services.gateway.tail, "QUIET_S", lambda quiet: (FOR_EVER_S,) * len(quiet))
    patch.replace(Tails, "_doubt", lambda _: _nothing)


def _nothing(_: Tails) -> None:
    """Nobody is told to look."""


def drop_frames(patch: Patch) -> None:
    """Forgets every fiftieth event that it should tell."""
    events = itertools.count(1)

    def saying(say: Any) -> Any:
        async def says(self: Socket, text: str) -> None:
            if not text.startswith('{"type":"event"') or next(events) % EACH:
                await say(self, text)

        return says

    patch.replace(Socket, "say", saying)


def ignore_request_ids(patch: Patch) -> None:
    """Starts a new workflow for each request, whatever id it has."""
    patch.replace(services.gateway.desk, "_key", lambda _: _new_key)


def _new_key(_: ContentRequest) -> WorkflowKey:
    return WorkflowKey(OWNER, str(uuid7()))


def keep_places(patch: Patch) -> None:
    """Gives no place back when its stream has ended."""
    taken = ExitStack()  # which nobody ends

    def placing(place: Any) -> Any:
        @contextmanager
        def places(self: Places) -> Generator[bool]:
            yield taken.enter_context(place(self))

        return places

    patch.replace(Places, "place", placing)
