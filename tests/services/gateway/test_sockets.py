"""Sockets and their places, with clients of our own making: in virtual time, on a log in memory."""

import asyncio
import json
from typing import Any, cast

import pytest
from fastapi import WebSocket, WebSocketDisconnect
from starlette.types import Message

from chassis.connection import Connection
from chassis.event_store import History, StoreUnavailable
from chassis.memory_store import MemoryLog, MemoryStore
from contracts.envelope import Recorded
from contracts.events import Event, WorkflowResumed
from contracts.services import GATEWAY
from contracts.subjects import WorkflowKey
from services.gateway.content import serve_content
from services.gateway.desk import Desk
from services.gateway.full_dialect import LINGER_S
from services.gateway.sockets import Places, Socket
from services.gateway.tail import Tails
from tests.services.gateway.newsroom import CANCELLED, asked, service_of
from tests.services.gateway.test_tail_losses import KEY, Wire, passing
from tests.simulation.virtual_time import run_virtually

PINGS = 500
ATTACH = {"type": "attach", "workflow_id": KEY.workflow_id}


class Client:
    """A client that sends all that it has to say at once, and then leaves, or stays and listens."""

    def __init__(self, *frames: object, stays: bool = False) -> None:
        self._arriving: list[Message] = [
            {"type": "websocket.connect"},
            *({"type": "websocket.receive", "text": json.dumps(frame)} for frame in frames),
        ]
        self._stays = stays
        self.told: list[dict[str, Any]] = []
        self.closed: int | None = None
        self.socket = WebSocket({"type": "websocket"}, self._receive, self._send)

    async def _receive(self) -> Message:
        if self._arriving:
            return self._arriving.pop(0)
        if self._stays:
            await asyncio.get_running_loop().create_future()
        return {"type": "websocket.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "websocket.send":
            self.told.append(json.loads(message["text"]))
        if message["type"] == "websocket.close":
            self.closed = message["code"]

    def heard(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.told if frame["type"] == kind]


class Hesitant(Desk):
    """Takes longer for a resume than a socket waits for one."""

    async def resume(self, workflow_id: str, reason: str | None) -> Recorded[Event]:
        await passing(2 * LINGER_S)
        return await super().resume(workflow_id, reason)


class AwayAfterwards(MemoryStore):
    """A log that answers once, and then not for a minute."""

    reads = 0

    async def read(self, key: WorkflowKey, *, reach: int = 0) -> History:
        self.reads += 1
        if self.reads > 1 and asyncio.get_running_loop().time() < 60:
            raise StoreUnavailable
        return await super().read(key, reach=reach)


async def serve(
    client: Client, *events: Event, desk: type[Desk] = Desk, store: type[MemoryStore] = MemoryStore
) -> None:
    """Serves this client on a log of these events."""
    log = MemoryLog()
    for number, event in enumerate(events):
        log.append(service_of(event), log.histories(KEY)[-1], event, id=f"e{number}")
    read = store(log, GATEWAY)
    tails = Tails(cast(Connection, Wire()), read)
    await serve_content(client.socket, Places(1), desk(read, researches=True), tails)


def test_client_that_sends_much_at_once_leaves_others_their_turn() -> None:
    async def story() -> None:
        client, turns = Client(ATTACH, *[{"type": "ping"}] * PINGS), 0
        serving = asyncio.create_task(serve(client, asked()))
        while not serving.done():
            turns += 1
            await passing(0)
        assert len(client.heard("pong")) == PINGS
        assert turns > PINGS / 4  # `passing` takes two of the loop's turns

    run_virtually(story())


class TestTheEnd:
    def test_socket_does_not_close_over_a_resume_that_is_being_recorded(self) -> None:
        client = Client({**ATTACH, "after_revision": 2}, {"type": "resume"}, stays=True)
        run_virtually(self._hear(client, serve(client, asked(), CANCELLED, desk=Hesitant)))
        assert [frame["revision"] for frame in client.heard("accepted")] == [3]
        assert client.closed is None

    def test_socket_does_not_close_before_what_is_known_was_told(self) -> None:
        client = Client({**ATTACH, "after_revision": 2}, stays=True)
        history = (asked(), CANCELLED, WorkflowResumed(run=2))
        run_virtually(self._hear(client, serve(client, *history, store=AwayAfterwards)))
        assert [frame["revision"] for frame in client.heard("event")] == [3]
        assert client.closed is None

    async def _hear(self, client: Client, serving: Any) -> None:
        """Serves it for two minutes, or less where it is closed."""
        task = asyncio.create_task(serving)
        await asyncio.wait([task], timeout=120)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_socket_that_the_server_has_closed_by_itself_counts_as_gone() -> None:
    async def send(message: Message) -> None:
        if message["type"] == "websocket.send":
            raise RuntimeError("Unexpected ASGI message 'websocket.send', after sending 'websocket.close'.")

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    socket = WebSocket({"type": "websocket"}, receive, send)
    await socket.accept()
    with pytest.raises(WebSocketDisconnect):
        await Socket(socket).say("{}")


def test_who_was_sent_away_takes_no_place() -> None:
    places = Places(1)
    with places.place() as first:
        second = places.place()
        assert (first, second.__enter__()) == (True, False)
    with places.place() as third:
        assert third
    second.__exit__(None, None, None)
