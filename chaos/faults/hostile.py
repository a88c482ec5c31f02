"""Clients of the websocket that misbehave, each in its way; and whether the gateway lets go of each within its bound.

They are kept while other faults go on; what became of each is written down with the time that it took.
"""

import asyncio
import base64
import json
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from chaos.clients import read
from chaos.faults.killed import POINT_WITHIN_S
from chaos.ground import Ground
from chaos.plan import Step
from chaos.wire.proxy import until

KEPT_S = 10.0
"""So long behind its bound a socket is still looked at: then it is known how late it was closed."""

ARRIVAL_S, FIRST_FRAME_S, UNREAD_S, LINGER_S, GOODBYE_S = 20.0, 30.0, 30.0, 10.0, 10.0
"""The gateway's bounds, told a second time: for a whole request; the first frame; what lies unread; a `resume` behind
the end of a run; and for the client's own word when a socket is closed."""

AT_ONCE_S = 5.0
"""What is plainly wrong is not borne at all; but the machine is full."""

LOOKS_AFTER_S = 4.0
"""So long behind its bound somebody reads again who does not read; it takes a while until there is something."""

FRAMES = 10_000
UNREAD_FRAMES, FRAMES_AT_ONCE = 100_000, 500
RECEIVES_BYTES = 4_096
"""What the kernel may take in for a client that never reads; so what the gateway says soon does not leave any more."""

BYTE_EVERY_S = 1.0
SERVED_S = 10.0
"""So many frames are served before the end that they wait for."""

Behave = Callable[[Ground, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Bad:
    """A way to misbehave. `bound_s`: how long the gateway may bear it."""

    behave: Behave
    bound_s: float
    reads: bool = True
    needs_log: bool = False
    shakes_hands: bool = True


async def misbehave(step: Step, ground: Ground) -> None:
    """All of them at once. The next fault does not wait for their ends."""
    if not await until(lambda: _lives(ground), POINT_WITHIN_S, every_s=0.2):
        ground.skipped(step, "no gateway answers")
        return
    ground.fired(step, ", ".join(BAD))
    ground.aside.add(asyncio.create_task(_all_end(step, ground)))


async def _lives(ground: Ground) -> bool:
    return await read(ground, "/health/live") == 200


async def _all_end(step: Step, ground: Ground) -> None:
    ends = await asyncio.gather(*(_one(step, ground, name, bad) for name, bad in BAD.items()))
    status = await read(ground, "/health/live")
    told = ", ".join(f"{name}: {end}" for name, end in zip(BAD, ends, strict=True))
    ground.healed(step, f"{told}; then the gateway answered {status}")


async def _one(step: Step, ground: Ground, name: str, bad: Bad) -> str:
    """-> how it ended"""
    began = time.monotonic()
    try:
        end = await until_closed(ground, bad)
    except NobodyThere:
        return "nobody was there"
    took_s = time.monotonic() - began
    what = f"a socket is closed: {name}"
    note_bound(ground, step, what, bad.bound_s, took_s, needs_log=bad.needs_log, is_over=end is not None)
    return f"{end or 'still open'} after {took_s:.1f} s"


def note_bound(
    ground: Ground, step: Step, what: str, bound_s: float, took_s: float, *, needs_log: bool, is_over: bool
) -> None:
    """Writes down how long something took that has a stated bound. `needs_log`: nothing of it comes without the log."""
    told = {"what": what, "bound_s": bound_s, "took_s": round(took_s, 3), "needs_log": needs_log}
    phase = "ok" if is_over else "failed"
    ground.records.write("clients", client=f"{step.kind}-{step.number}", op="bound", phase=phase, data=told)


class NobodyThere(Exception):
    """No connection came about; so nothing can be said of its end."""


async def until_closed(ground: Ground, bad: Bad) -> str | None:
    """-> how the gateway has closed it; None where it did not. Raises NobodyThere."""
    line = await connected(ground, bad)
    try:
        async with asyncio.timeout(bad.bound_s + KEPT_S):
            reader, writer = await asyncio.open_connection(sock=line)
            try:
                if bad.shakes_hands:
                    await shake_hands(reader, writer)
                return await (_heard_to_the_end if bad.reads else _deaf_to_the_end)(ground, bad, reader, writer)
            finally:
                writer.transport.abort()
    except TimeoutError:
        return None
    except (OSError, EOFError) as wrong:
        return type(wrong).__name__
    finally:
        line.close()


async def connected(ground: Ground, bad: Bad) -> socket.socket:
    """A new connection to the gateway. Raises NobodyThere."""
    place = urlsplit(ground.address)
    line = socket.socket()
    line.setblocking(False)
    if not bad.reads:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVES_BYTES)
    try:
        async with asyncio.timeout(KEPT_S):
            await asyncio.get_running_loop().sock_connect(line, (place.hostname or "", place.port or 0))
    except OSError as wrong:  # a TimeoutError as well
        line.close()
        raise NobodyThere from wrong
    return line


async def _heard_to_the_end(
    ground: Ground, bad: Bad, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> str | None:
    behaving = asyncio.ensure_future(bad.behave(ground, writer))
    try:
        rest = b""
        while not reader.at_eof():
            rest = (rest + await reader.read(64 * 1024))[-200:]
    finally:
        behaving.cancel()
        await asyncio.gather(behaving, return_exceptions=True)
    return f"closed {close_code(rest)}".strip()


async def _deaf_to_the_end(
    ground: Ground, bad: Bad, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> str | None:
    """Whoever does not read learns of the end only when he reads again; what was let go then answers with a reset, and
    what was merely waiting for him goes on.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(bad.bound_s + LOOKS_AFTER_S):
            await bad.behave(ground, writer)
    both_ways(writer).resume_reading()
    await reader.read()
    return None


def both_ways(writer: asyncio.StreamWriter) -> asyncio.Transport:
    """The connection, which is read as well."""
    return cast(asyncio.Transport, writer.transport)


def close_code(rest: bytes) -> str:
    """The code of the close frame in the end of what a server said, if there is one."""
    at = rest.rfind(b"\x88")
    return str(struct.unpack_from("!H", rest, at + 2)[0]) if 0 <= at <= len(rest) - 4 else ""


async def shake_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Up to a socket that stands."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = ("GET /content HTTP/1.1", "Host: chaos", "Upgrade: websocket", "Connection: Upgrade")
    more = (f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", "")
    writer.write("\r\n".join((*lines, *more)).encode())
    await reader.readuntil(b"\r\n\r\n")


def frame(data: bytes, code: int = 1) -> bytes:
    """A masked frame; its mask is zero, so that the bytes stay what they are."""
    size = len(data)
    if size < 126:
        length = bytes([0x80 | size])
    else:
        length = bytes([0xFE]) + struct.pack("!H", size) if size <= 0xFFFF else bytes([0xFF]) + struct.pack("!Q", size)
    return bytes([0x80 | code]) + length + bytes(4) + data


async def start_half(_: Ground, writer: asyncio.StreamWriter) -> None:
    """Half a handshake."""
    writer.write(b"GET /content HTTP/1.1\r\nHost: chaos\r\nUpgr")
    await writer.drain()


async def say_garbage(_: Ground, writer: asyncio.StreamWriter) -> None:
    """A text that is not UTF-8."""
    writer.write(frame(b"\xff\xfe\xfd"))
    await writer.drain()


async def say_too_much(_: Ground, writer: asyncio.StreamWriter) -> None:
    """A frame of more than a megabyte."""
    writer.write(frame(b"x" * (1024**2 + 1)))
    await writer.drain()


async def say_often(ground: Ground, writer: asyncio.StreamWriter) -> None:
    """Ten thousand frames, as fast as they go, on a workflow that has ended."""
    writer.write(frame(attach(ground)) + PING * FRAMES)
    await writer.drain()


async def never_read(ground: Ground, writer: asyncio.StreamWriter) -> None:
    """Asks for far more answers than anybody keeps for him, and reads none."""
    both_ways(writer).pause_reading()
    writer.write(frame(attach(ground)))
    for _ in range(UNREAD_FRAMES // FRAMES_AT_ONCE):
        writer.write(PING * FRAMES_AT_ONCE)
        await writer.drain()
    await asyncio.Event().wait()


async def say_slowly(ground: Ground, writer: asyncio.StreamWriter) -> None:
    """One byte a second."""
    for byte in frame(attach(ground)):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(BYTE_EVERY_S)


def attach(ground: Ground) -> bytes:
    """The first frame of who looks on at the first workflow."""
    return json.dumps({"type": "attach", "workflow_id": ground.known_workflows[0]}).encode()


PING = frame(json.dumps({"type": "ping", "id": "x"}).encode())

BAD: dict[str, Bad] = {
    "half a handshake": Bad(start_half, ARRIVAL_S, shakes_hands=False),
    "no UTF-8": Bad(say_garbage, AT_ONCE_S),
    "a huge frame": Bad(say_too_much, AT_ONCE_S),
    "many frames": Bad(say_often, SERVED_S + LINGER_S + GOODBYE_S, needs_log=True),
    "never reads": Bad(never_read, UNREAD_S, reads=False, needs_log=True),
    "a byte a second": Bad(say_slowly, FIRST_FRAME_S + GOODBYE_S),
}
"""The bounds are the gateway's own, in front of a client that never says goodbye."""

STRIKES = {"hostile-sockets": misbehave}
