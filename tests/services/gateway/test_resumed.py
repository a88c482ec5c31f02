"""A websocket that is cut anywhere, and attached again behind its last revision, tells what an uncut one tells.

In virtual time, on a log in memory, with live messages that are lost, doubled or late.
"""

import asyncio
import json
import random
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import pytest
from fastapi import WebSocket, WebSocketDisconnect
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from nats.aio.msg import Msg

from chassis.memory_store import MemoryStore
from contracts.events import WorkflowCancelled
from contracts.websocket import CloseCode
from services.gateway import full_dialect
from services.gateway.desk import Desk
from services.gateway.full_dialect import converse
from services.gateway.sockets import Socket
from tests.services.gateway.test_tail_losses import A_DAY_S, FATES, KEY, World, fates, message, passing, world
from tests.simulation.virtual_time import run_virtually


@pytest.fixture(scope="module", autouse=True)
def no_heartbeats() -> Generator[None]:
    """They are not told here; and time that is a mere number can stand still just before one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(full_dialect, "HEARTBEAT_S", A_DAY_S)
        yield


class Line:
    """The line to one client. It breaks with the frame behind the last that gets through; None: it holds."""

    def __init__(self, gets_through: int | None) -> None:
        self._gets_through = gets_through
        self.events: list[dict[str, Any]] = []
        self.closed_with: int | None = None
        self._broken = asyncio.get_running_loop().create_future()

    async def receive(self) -> Mapping[str, Any]:
        """The client says nothing more; that it has gone is heard."""
        await self._broken
        return {"type": "websocket.disconnect", "code": 1006}

    async def send_text(self, text: str) -> None:
        """A frame on its way."""
        frame = json.loads(text)
        if frame["type"] != "event":
            return
        if len(self.events) == self._gets_through:
            if not self._broken.done():
                self._broken.set_result(None)
            raise WebSocketDisconnect(1006)
        self.events.append(frame)

    async def close(self, code: int, _: str | None = None) -> None:
        """The server's goodbye."""
        self.closed_with = code


async def client(there: World, cuts: Sequence[int]) -> list[dict[str, Any]]:
    """What a client is told that loses its line after so many frames, again and again, and comes back each time."""
    told: list[dict[str, Any]] = []
    desk = Desk(MemoryStore(there.log, "gateway"), researches=True)
    async with asyncio.timeout(A_DAY_S):
        for cut in (*cuts, None):
            line = Line(cut)
            last = told[-1]["revision"] if told else 0
            fields = {"type": "attach", "workflow_id": KEY.workflow_id, "after_revision": last}
            with suppress(WebSocketDisconnect):
                await converse(Socket(cast(WebSocket, line)), fields, desk, there.tails)
            told += line.events
            if line.closed_with == CloseCode.DONE:
                break
    return told


async def carry(there: World, fate: str) -> None:
    """The next event, and what becomes of its live message."""
    await deliver(there, await there.record(), fate)


async def deliver(there: World, live_message: Msg, fate: str) -> None:
    """Carries a message that was just recorded, as often and as late as its fate has it."""
    assert live_message.headers
    live_message.headers["Nats-Sequence"] = str(there.log.position)
    for delay in FATES[fate]:
        await passing(delay)
        await there.wire.carry(live_message)


async def live_through(story: list[tuple[str, float]], cuts: Sequence[int], seed: int) -> None:
    """A workflow lives and is called off; one client is cut again and again, and one never."""
    there = world(random.Random(seed))
    await there.record()
    watching = [asyncio.create_task(client(there, given)) for given in (cuts, ())]
    carrying: list[asyncio.Task[None]] = []
    for fate, pause in story:
        carrying.append(asyncio.create_task(carry(there, fate)))
        await passing(pause)
    await asyncio.gather(*carrying)
    history = there.log.histories(KEY)[-1]
    end = there.log.append("gateway", history, WorkflowCancelled(run=1), id="end")
    await deliver(there, message(end), story[-1][0])
    cut, whole = await asyncio.gather(*watching)
    assert [frame["revision"] for frame in whole] == [*range(1, history.revision + 2)]
    assert cut == whole
    assert there.wire.subscriptions == []


@given(fates, st.lists(st.integers(0, 4), max_size=8), st.integers(0, 2**32))
@examples(max_examples=200, deadline=None)
def test_resumed_websocket_tells_what_a_whole_one_tells(
    story: list[tuple[str, float]], cuts: list[int], seed: int
) -> None:
    run_virtually(live_through(story, cuts, seed))
