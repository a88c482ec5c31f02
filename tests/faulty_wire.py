"""A wire between a client and a server that does what a test says: passes, delays, stands still, breaks.

Both ends are real; the test puts the wire's address in the place of the server's.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from tests.listening import listener
from tests.waiting import until

PIECE = 65_536


@dataclass(eq=False)
class _Line:
    """One connection through the wire: the client's end and the server's."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    is_last: bool = False
    """Is nothing more to be heard by the client?"""
    tasks: list["asyncio.Task[None]"] = field(default_factory=list["asyncio.Task[None]"])

    def cut(self) -> None:
        """Resets both ends, as a broken network or a killed process would."""
        for task in self.tasks:
            task.cancel()
        for end in (self.client, self.server):
            with suppress(OSError):
                # No lingering: the other side hears a reset, at once, and not the orderly end of a conversation.
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            end.transport.abort()


class Wire:
    """The wire. What it is told holds for all that goes over it from then on, connections that stand included."""

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self._lines: list[_Line] = []
        self._ends: list[asyncio.StreamWriter] = []  # of all connections that ever were
        self._taking_in: set[asyncio.Task[None] | None] = set()
        self._moves = asyncio.Event()
        self._moves.set()
        self._latency_s = 0.0
        self._refuses, self._refused = False, 0
        self._cut_at, self._cut_behind = b"", False
        self._cut_off = asyncio.Event()
        self._still_at, self._still_in = b"", 0
        self._said = asyncio.Event()
        self._serving: asyncio.Server | None = None
        self.place = ""
        """Host and port of the client's end."""

    def url(self, url: str) -> str:
        """The same URL, over this wire."""
        parts = urlsplit(url)
        login, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}{at}{self.place}"))

    # ------------------------------------------------------------ what a test may say

    def delay(self, seconds: float) -> None:
        """Each answer takes so much longer."""
        self._latency_s = seconds

    def stand_still(self) -> None:
        """Connections stand and are taken in, but nothing passes: a paused server, or a network that swallows."""
        self._moves.clear()

    def go_on(self) -> None:
        """What was held back passes now."""
        self._moves.set()

    def break_off(self) -> None:
        """Cuts what stands, and whatever is tried anew: a server that dies again and again."""
        self._refuses = True
        self.cut()

    def go_down(self) -> None:
        """Cuts what stands, and nobody takes new connections in: a server that is not there."""
        if self._serving:
            self._serving.close()
        self._serving = None
        self.cut()

    async def mend(self) -> None:
        """All is well from now on."""
        self._refuses, self._latency_s = False, 0.0
        self.go_on()
        await self.listen()

    async def listen(self) -> None:
        """Takes connections in."""
        if self._serving is None:
            listening = listener(int(self.place.rpartition(":")[2] or 0))
            self.place = "{}:{}".format(*listening.getsockname()[:2])
            self._serving = await asyncio.start_server(self._take_in, sock=listening)

    def cut(self) -> None:
        """Cuts every connection that stands; new ones pass."""
        for line in self._lines:
            line.cut()

    def cut_at(self, words: bytes, *, behind: bool) -> None:
        """Cuts once where the client says this: before the server hears it, or `behind`, before its answer is heard."""
        self._cut_at, self._cut_behind = words, behind
        self._cut_off.clear()

    def stand_still_at(self, words: bytes, *, times: int = 1) -> None:
        """Stands still when the client says this for so many a time: nobody hears it."""
        self._still_at, self._still_in = words, times
        self._said.clear()

    async def was_said(self) -> None:
        """Waits until the client has said that."""
        async with asyncio.timeout(60):
            await self._said.wait()

    async def was_tried(self, times: int) -> None:
        """Waits until it was tried in vain so often."""
        wanted = self._refused + times

        async def look() -> bool:
            return self._refused >= wanted

        await until(look, "it was tried in vain")

    async def was_cut(self) -> None:
        """Waits until the client has said that, and was cut off."""
        async with asyncio.timeout(60):
            await self._cut_off.wait()

    # ------------------------------------------------------------ what it does

    async def end(self) -> None:
        """All that is left of it is closed, and gone before the test ends."""
        self.go_on()
        self.go_down()
        tasks = [task for task in (*self._taking_in, *(task for line in self._lines for task in line.tasks)) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for end in self._ends:
            end.transport.abort()
        for end in self._ends:
            with suppress(OSError):
                await end.wait_closed()

    async def _take_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        self._taking_in.add(task)
        self._ends.append(writer)
        try:
            await self._connect(reader, writer)
        finally:
            self._taking_in.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The server's end for this client's."""
        if self._refuses:
            self._refused += 1
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._there)
        except OSError:
            writer.transport.abort()
            return
        self._ends.append(server_writer)
        if self._refuses or self._serving is None:  # it was cut meanwhile
            writer.transport.abort()
            server_writer.transport.abort()
            return
        line = _Line(writer, server_writer)
        self._lines.append(line)
        line.tasks = [
            asyncio.create_task(self._carry(reader, server_writer, line, is_answer=False)),
            asyncio.create_task(self._carry(server_reader, writer, line, is_answer=True)),
        ]

    async def _carry(
        self, source: asyncio.StreamReader, to: asyncio.StreamWriter, line: _Line, *, is_answer: bool
    ) -> None:
        with suppress(OSError):
            while piece := await source.read(PIECE):
                if is_answer and self._latency_s:
                    await asyncio.sleep(self._latency_s)
                if not is_answer:
                    self._hear(piece)
                await self._moves.wait()
                if not is_answer and self._is_to_be_cut(piece):
                    line.is_last = True
                if line.is_last and (is_answer or not self._cut_behind):
                    self._cut_off.set()
                    asyncio.get_running_loop().call_soon(line.cut)
                    return
                to.write(piece)
                await to.drain()
        to.close()

    def _hear(self, piece: bytes) -> None:
        if self._still_at:
            self._still_in -= piece.count(self._still_at)
            if self._still_in <= 0:
                self._still_at = b""
                self.stand_still()
                self._said.set()

    def _is_to_be_cut(self, piece: bytes) -> bool:
        if self._cut_at and self._cut_at in piece:
            self._cut_at = b""
            return True
        return False


@asynccontextmanager
async def wire(url: str) -> AsyncGenerator[Wire]:
    """A wire to the server of this URL, or at this host and port."""
    place = urlsplit(url if "//" in url else f"//{url}")
    assert place.hostname and place.port
    it = Wire(place.hostname, place.port)
    await it.listen()
    try:
        yield it
    finally:
        await it.end()
