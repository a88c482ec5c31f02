"""Clients that misbehave: their bounds are the gateway's, and whether they were let go is seen from outside."""

import asyncio
import socket
import struct
from contextlib import suppress
from types import SimpleNamespace
from typing import cast

import pytest

from chaos.faults import hostile
from chaos.faults.hostile import BAD, Bad, NobodyThere, close_code, frame, say_garbage, until_closed
from chaos.ground import Ground
from services.gateway import content, full_dialect, protocols, sockets

SHAKEN = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


def test_bounds_are_those_of_the_gateway() -> None:
    theirs = (protocols.ARRIVAL_S, content.FIRST_FRAME_S, sockets.UNREAD_S, full_dialect.LINGER_S)
    assert theirs == (hostile.ARRIVAL_S, hostile.FIRST_FRAME_S, hostile.UNREAD_S, hostile.LINGER_S)
    assert all(bad.bound_s >= hostile.AT_ONCE_S for bad in BAD.values())


@pytest.mark.parametrize(("rest", "code"), [(b"..\x88\x02\x03\xef", "1007"), (b"", ""), (b"\x88", ""), (b"text", "")])
def test_code_of_the_close_is_read_from_the_last_words(rest: bytes, code: str) -> None:
    assert close_code(rest) == code


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frame_of_any_size_tells_its_size(size: int) -> None:
    made = frame(bytes(size))
    short = made[1] & 0x7F
    head, told = {126: (4, "!H"), 127: (10, "!Q")}.get(short, (2, ""))
    assert (struct.unpack(told, made[2:head])[0] if told else short) == size == len(made) - head - 4


async def ended(goodbye: bytes | None, bad: Bad) -> str | None:
    """How it ends where the server answers a client that misbehaves with this; None: not at all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SHAKEN)
        await reader.read(100)
        if goodbye is not None:
            writer.write(goodbye)
            writer.close()

    served: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ground = cast(Ground, SimpleNamespace(address=f"http://127.0.0.1:{port}"))
    try:
        return await until_closed(ground, bad)
    finally:
        server.close()
        for writer in served:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def test_socket_that_is_closed_tells_the_code() -> None:
    assert await ended(b"\x88\x02\x03\xef", Bad(say_garbage, 5.0)) == "closed 1007"


async def test_socket_that_is_dropped_is_closed_as_well() -> None:
    assert await ended(b"", Bad(say_garbage, 5.0)) in ("closed", "ConnectionResetError")


async def test_socket_that_nobody_closes_is_still_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostile, "KEPT_S", 0.1)
    assert await ended(None, Bad(say_garbage, 0.1)) is None


async def test_connection_that_nobody_takes_is_no_socket_that_was_closed() -> None:
    with socket.socket() as bound:  # and does not listen
        bound.bind(("127.0.0.1", 0))
        ground = cast(Ground, SimpleNamespace(address=f"http://127.0.0.1:{bound.getsockname()[1]}"))
        with pytest.raises(NobodyThere):
            await until_closed(ground, Bad(say_garbage, 5.0))


async def test_client_that_does_not_read_is_not_let_go_by_a_server_that_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hostile, "LOOKS_AFTER_S", 0.1)
    assert await ended(b"\x88\x02\x03\xe8", Bad(say_garbage, 0.1, reads=False)) is None
