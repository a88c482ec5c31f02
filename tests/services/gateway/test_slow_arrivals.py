"""Requests that never come whole: closed within bounds, while others are served."""

import asyncio

import pytest

from services.gateway import protocols
from tests.services.gateway.newsroom import PATIENCE_S, Newsroom

pytestmark = pytest.mark.asyncio(loop_scope="module")

HALVES = {
    "nothing": b"",
    "half a line": b"GET /content HT",
    "half a handshake": b"GET /content HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
    "half a body": b'POST /workflows HTTP/1.1\r\nHost: here\r\nContent-Length: 60\r\n\r\n{"topic": ',
}


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "ARRIVAL_S", 0.3)


async def until_hung_up(reader: asyncio.StreamReader) -> None:
    """Reads until the gateway has closed the connection."""
    async with asyncio.timeout(PATIENCE_S):
        try:
            while await reader.read(65_536):
                pass
        except ConnectionResetError:
            return


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
async def test_request_that_does_not_come_whole_is_hung_up_on(room: Newsroom, half: bytes) -> None:
    host, _, port = room.place.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(half)
    assert (await room.http.get("/health/live")).status_code == 200
    await until_hung_up(reader)
    writer.close()


async def test_second_request_that_does_not_come_whole_is_hung_up_on_as_well(room: Newsroom) -> None:
    host, _, port = room.place.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n")
    await reader.readuntil(b'"status":"ok"')
    writer.write(b"GET /health")
    await until_hung_up(reader)
    writer.close()


async def test_one_byte_after_the_other_is_hung_up_on_as_well(room: Newsroom) -> None:
    host, _, port = room.place.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /workflows HTTP/1.1\r\nHost: here\r\nContent-Length: 60000\r\n\r\n")
    gone = asyncio.create_task(until_hung_up(reader))
    while not gone.done():
        writer.write(b" ")
        await asyncio.sleep(0.03)  # between two looks, and two bytes
    await gone
    writer.close()


async def test_stream_and_socket_that_came_whole_stay(room: Newsroom) -> None:
    key = await room.requested()
    async with (
        room.http.stream("GET", f"/workflows/{key.workflow_id}/events?format=sse") as stream,
        room.socket() as client,
    ):
        lines = stream.aiter_lines()
        await client.say({"type": "attach", "workflow_id": key.workflow_id})
        await client.hear()
        host, _, port = room.place.partition(":")
        late, writer = await asyncio.open_connection(host, int(port))
        await until_hung_up(late)  # so much time has passed now
        writer.close()
        await client.say({"type": "ping", "id": "still here"})
        assert (await client.hear())["payload"] == "still here"
        assert (await anext(lines)).startswith("id: 1")
