"""A TCP proxy on the way of one process to one server: it tells the moments that it sees, and can spoil the way."""

import asyncio
import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from chaos.wire.moments import SAID, Board, Moment
from chaos.wire.nats import Seen

PIECE = 64 * 1024
BEGINNING = 100
"""Bytes of a message in which its subject begins."""

LOCALHOST = "127.0.0.1"


class Talk(Protocol):
    """What understands the bytes of one connection."""

    def said(self, data: bytes) -> Seen:
        """What the process says, in pieces."""
        ...

    def told(self, data: bytes) -> Seen:
        """What the process is told, in pieces."""
        ...

    def unanswered(self) -> list[dict[str, Any]]:
        """The appends without an answer, once the connection has ended."""
        ...


@dataclass
class Way:
    """How the way is at the moment. As it is made here, it is a good one."""

    latency_s: float = 0
    """Added to each piece that the process is told."""
    bytes_per_s: float | None = None
    is_deaf: bool = False
    """What the process is told is lost, as if the cable worked one way only."""
    is_dumb: bool = False
    """What the process says is lost."""
    is_closed: bool = False
    """Connections are refused."""
    answers: int | None = None
    """Every HTTP request is answered with this status, and goes no further."""
    loses: bytes | None = None
    """What the process is told is lost where this stands in its beginning, and nobody is told of that."""


@dataclass(eq=False)
class Proxy:
    """Listens for the connections of one process to one server."""

    process: str
    upstream: Callable[[], tuple[str, int]]
    talk: Callable[[str], Talk]
    board: Board
    on_unanswered: Callable[[str, dict[str, Any]], None] = lambda _process, _append: None
    on_arrived: Callable[[Moment], None] = lambda _: None
    """Given what the process was told, once that has left for it, whole and unharmed."""

    def __post_init__(self) -> None:
        self.way = Way()
        self.lines: set[Line] = set()
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()

    async def listen(self) -> int:
        """-> the port"""
        self._server = await asyncio.start_server(self._take, LOCALHOST, 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self.port

    async def close(self) -> None:
        """Ends every connection, and listens no more."""
        if self._server:
            self._server.close()
        self.cut()
        self.resume()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def cut(self) -> None:
        """Breaks every connection, with a reset."""
        for line in [*self.lines]:
            line.cut()

    def pause(self) -> None:
        """Nothing goes through until `resume`."""
        self._open.clear()

    def resume(self) -> None:
        """What was held goes on."""
        self._open.set()

    def heal(self) -> None:
        """A good way again."""
        self.way = Way()
        self.resume()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        try:
            if self.way.is_closed:
                reset(writer)
            elif self.way.answers is not None:
                await answer(reader, writer, self.way.answers)
            else:
                await self._relay(reader, writer)
        finally:
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.upstream())
        except OSError:  # the server is away: so is the way to it
            reset(writer)
            return
        talk = self.talk(self.process)
        line = Line(self, talk, (reader, writer), (far_reader, far_writer))
        self.lines.add(line)
        try:
            await line.run()
        finally:
            self.lines.discard(line)
            far_writer.close()
            for append in talk.unanswered():
                self.on_unanswered(self.process, append)

    async def until_open(self) -> None:
        """Waits while the way is paused."""
        await self._open.wait()


class Line:
    """One connection through a proxy."""

    def __init__(
        self,
        proxy: Proxy,
        talk: Talk,
        near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._proxy, self._talk, self._near, self._far = proxy, talk, near, far
        self.cut_after: int | None = None
        self.says_wrong: int | None = None
        self.hears_wrong: int | None = None
        self._is_cut = False

    async def run(self) -> None:
        """Passes bytes on until one side has ended; then the other is ended as well."""
        pumps = [
            asyncio.create_task(self._pump(self._near[0], self._far[1], self._talk.said, is_said=True)),
            asyncio.create_task(self._pump(self._far[0], self._near[1], self._talk.told, is_said=False)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    def cut(self) -> None:
        """Breaks it at once, with a reset to both."""
        self._is_cut = True
        reset(self._near[1])
        reset(self._far[1])

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        understood: Callable[[bytes], Seen],
        *,
        is_said: bool,
    ) -> None:
        with suppress(OSError):
            async for data in pieces(reader):
                arrived = list[Moment]()
                for piece, moment in understood(data):
                    await self._proxy.until_open()
                    await self._delay(len(piece), is_said=is_said)
                    if not await self._pass_on(piece, moment, writer, is_said=is_said):
                        return
                    if moment and not is_said and not self._is_lost(piece, is_said=False):
                        arrived.append(moment)
                await writer.drain()
                for moment in arrived:
                    self._proxy.on_arrived(moment)

    async def _pass_on(
        self, piece: bytes, moment: Moment | None, writer: asyncio.StreamWriter, *, is_said: bool
    ) -> bool:
        """-> whether the connection still stands"""
        if moment and moment.point not in SAID:
            self._proxy.board.tell(moment, self)
        if self._is_cut:
            return False
        piece = self._spoilt(piece, is_said=is_said)
        if is_said and self.cut_after is not None:
            piece, self.cut_after = piece[: self.cut_after], self.cut_after - len(piece)
        if not self._is_lost(piece, is_said=is_said):
            writer.write(piece)
        if is_said and self.cut_after is not None and self.cut_after <= 0:
            with suppress(OSError):
                await writer.drain()
            self.cut()
        if moment and moment.point in SAID:
            self._proxy.board.tell(moment, self)
        return not self._is_cut

    def _is_lost(self, piece: bytes, *, is_said: bool) -> bool:
        way = self._proxy.way
        return way.is_dumb if is_said else way.is_deaf or (way.loses is not None and way.loses in piece[:BEGINNING])

    def _spoilt(self, piece: bytes, *, is_said: bool) -> bytes:
        """The piece as it goes on: with one wrong bit, where it is to be wrong."""
        at = self.says_wrong if is_said else self.hears_wrong
        if at is None:
            return piece
        if is_said:
            self.says_wrong = None
        else:
            self.hears_wrong = None
        return with_wrong_bit(piece, at)

    async def _delay(self, size: int, *, is_said: bool) -> None:
        way = self._proxy.way
        seconds = (0 if is_said else way.latency_s) + (size / way.bytes_per_s if way.bytes_per_s else 0)
        if seconds:
            await asyncio.sleep(seconds)


def with_wrong_bit(data: bytes, at: int) -> bytes:
    """The bytes with one bit of this one changed, or of the last one."""
    at = min(at, len(data) - 1)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


async def pieces(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """What comes, until it ends."""
    while data := await reader.read(PIECE):
        yield data


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: int) -> None:
    """Answers one HTTP request in the server's place, as one that has trouble does."""
    with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = next(
            (line.partition(":")[2] for line in head.split("\r\n") if line.startswith("content-length:")), "0"
        )
        await reader.readexactly(int(length))
        body = json.dumps({"error": {"message": "chaos", "code": "chaos"}}).encode()
        writer.write(
            f"HTTP/1.1 {status} Chaos\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
        )
        await writer.drain()


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection as a broken one: the other side sees a reset, not an orderly end."""
    with suppress(OSError):
        taken: socket.socket | None = writer.get_extra_info("socket")
        if taken is not None:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def until(look: Callable[[], Awaitable[bool]], within_s: float, *, every_s: float = 0.05) -> bool:
    """Looks again and again. -> whether it was seen in time"""
    give_up_at = time.monotonic() + within_s
    while not await look():
        if time.monotonic() > give_up_at:
            return False
        await asyncio.sleep(every_s)
    return True
