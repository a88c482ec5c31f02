"""Clients that do not read: they lose their socket, never the workflow, and hold up nobody."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from websockets.exceptions import ConnectionClosed

from contracts.envelope import Recorded
from contracts.events import BlogWritten, Event, WorkflowRequested
from contracts.old_dialect import Frame, OldDialect
from contracts.websocket import CloseCode
from services.gateway import event_stream, old_dialect, sockets
from services.gateway.sockets import Socket
from tests.services.gateway.newsroom import COMPLETED, PATIENCE_S, Client, Newsroom, Plant, newsroom
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

FLOOD = "flood"


class Floods(OldDialect):
    """Tells some topics in more words than any socket holds."""

    def frames(self, recorded: Recorded[Event]) -> Iterator[Frame]:
        if isinstance(recorded.event, WorkflowRequested) and recorded.event.topic == FLOOD:
            for _ in range(1_000):
                yield Frame(type="progress_event", payload="x" * 65_536)
        yield from super().frames(recorded)


@pytest.fixture
def flood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_dialect, "OldDialect", Floods)
    monkeypatch.setattr(sockets, "SEND_S", 0.3)


@asynccontextmanager
async def deaf_client(room: Newsroom, **request: str) -> AsyncGenerator[Client]:
    """Asks for a flood and does not read; its kernel takes in as little as it can be made to."""
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        host, _, port = room.place.partition(":")
        deaf.connect((host, int(port)))
        async with room.socket(sock=deaf, max_queue=1) as client:
            await client.say({"topic": FLOOD, **request})
            yield client
            client.socket.transport.abort()


async def is_served(room: Newsroom) -> bool:
    """Is there a place for one more client?"""
    async with room.socket() as client:
        with suppress(ConnectionClosed):  # where there is none, nobody waits for the request
            await client.say({"topic": "bees"})
        return (await client.hear())["type"] == "progress_event"


async def test_client_that_never_reads_loses_its_place(plant: Plant, flood: None) -> None:
    async with newsroom(plant, sockets_max=1) as room, deaf_client(room):
        await until(lambda: is_served(room), "its place is free again", within_s=10)


async def test_client_that_reads_on_when_it_is_sent_away_hears_that_it_may_come_again(
    room: Newsroom, flood: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    close, is_sent_away = Socket.close, asyncio.Event()

    async def patiently(self: Socket, code: int, reason: str | None = None) -> None:
        monkeypatch.setattr(sockets, "SEND_S", PATIENCE_S)
        is_sent_away.set()
        await close(self, code, reason)

    monkeypatch.setattr(Socket, "close", patiently)
    async with deaf_client(room) as client:
        await asyncio.wait_for(is_sent_away.wait(), PATIENCE_S)
        await client.hear_all()
        assert await client.closed() == CloseCode.TRY_AGAIN


async def test_client_that_never_reads_holds_up_nobody(room: Newsroom, flood: None) -> None:
    async with asyncio.timeout(3), deaf_client(room), deaf_client(room):
        assert await is_served(room)
        assert (await room.post({"topic": "bees"})).status_code == 202


async def test_stream_that_is_read_too_late_ends_and_can_be_continued(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "SEND_S", 0.3)
    async with newsroom(plant, sockets_max=1) as room:
        key = await room.requested()
        await room.record(key, BlogWritten(run=1, attempt=1, title="Long", markdown="x" * 900_000), COMPLETED)
        with socket.socket() as late:
            late.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            host, _, port = room.place.partition(":")
            late.connect((host, int(port)))
            reader, writer = await asyncio.open_connection(sock=late, limit=4_096)
            writer.write(f"GET /workflows/{key.workflow_id}/events?format=sse HTTP/1.1\r\nHost: here\r\n\r\n".encode())
            await reader.readline()
            await until(lambda: is_served(room), "its place is free again", within_s=10)
            read = bytearray()
            while not read.endswith(b"\r\n0\r\n\r\n"):
                read += await asyncio.wait_for(reader.read(65_536), PATIENCE_S) or pytest.fail("it ended in the middle")
            writer.close()
        assert b"\nid: 2\n" in read and b"\nid: 3\n" not in read


async def test_its_workflow_goes_on(room: Newsroom, flood: None) -> None:
    key = await room.requested(topic=FLOOD, client_request_id="deaf")
    async with deaf_client(room, client_request_id="deaf"):
        await room.record(key, COMPLETED)
    assert (await room.history(key)).state.phase == "completed"
