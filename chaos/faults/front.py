"""The front: the gateway killed with sockets open, requests that are repeated, clients that misbehave."""

import asyncio
import base64
import json
import os
import struct
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import urlsplit

from chaos.clients import ONLOOKER, Client, Watcher, read
from chaos.faults.killed import POINT_WITHIN_S, in_words
from chaos.ground import Ground
from chaos.plan import Step
from chaos.wire.moments import Cuttable, Moment, Point, Trap
from chaos.wire.proxy import until
from contracts.services import GATEWAY
from contracts.subjects import REPUBLISH_TO
from local.services import Way

PARALLEL = 5
WATCHERS, LATEST = 60, 6
BACK_WITHIN_S = 10.0
BAD_FOR_S = 4.0
LOST_FOR_S = 6.0
LIVE = REPUBLISH_TO.partition(">")[0].encode()


async def kill_gateway(step: Step, ground: Ground) -> None:
    """With requests under way. Everybody attaches again behind the last revision that they were told."""
    killed: list[int | None] = []

    def act(moment: Moment, _: Cuttable) -> None:
        killed.append(ground.kill(moment.process))

    watchers = [
        Watcher(ground, workflow_id, name=f"watcher-{step.number}-{number}")
        for number, workflow_id in enumerate((ground.known_workflows[-LATEST:] * WATCHERS)[:WATCHERS], start=1)
    ]
    watching = [asyncio.create_task(watcher.live()) for watcher in watchers]
    try:
        trap = Trap(GATEWAY, Point.STORED, act, nth=step.choices["nth"])
        for number in range(step.choices["nth"] + 1):
            ground.follow(client_of(ground, f"gateway-{step.number}-{number}"))
        moment = await ground.board.spring(trap, POINT_WITHIN_S)
        if moment is None:
            ground.skipped(step, "the point did not come")
            return
        before = [watcher.attached for watcher in watchers]
        ground.fired(
            step, f"{moment.process} killed with {len(watchers)} watchers, {in_words(moment)}", at=moment.process
        )
        await ground.back(moment.process, killed[0])

        async def all_back() -> bool:
            return all(one.is_done or one.attached > then for one, then in zip(watchers, before, strict=True))

        await until(all_back, BACK_WITHIN_S)
        back = sum(one.is_done or one.attached > then for one, then in zip(watchers, before, strict=True))
        ground.healed(step, f"{back} of {len(watchers)} watchers are back", at=moment.process)
    finally:
        ground.onlookers |= {*watching}


async def repeat_requests(step: Step, ground: Ground) -> None:
    """The same request five times at once, then once more; the first one of the run; then another one under its id."""
    client = client_of(ground, f"repeats-{step.number}")
    ground.fired(step, f"{PARALLEL} times at once")
    answers = await asyncio.gather(*(client.send("request", "/workflows", client.body()) for _ in range(PARALLEL)))
    again = await client.send("request", "/workflows", client.body())
    oldest = Client(ground, ground.plan.wishes[0], name=f"repeats-{step.number}-oldest")
    long_after = await oldest.send("request", "/workflows", oldest.body())
    other = await client.send("request", "/workflows", {**client.body(), "topic": "something else"})
    told = [str(answer.status_code) if answer is not None else "nothing" for answer in (*answers, again, long_after)]
    ground.healed(
        step, f"told {', '.join(told)}; with another body {other.status_code if other is not None else 'nothing'}"
    )
    ground.follow(client)


def client_of(ground: Ground, name: str) -> Client:
    """A client of a fault's own, whose workflow is one of all."""
    wish = replace(ONLOOKER, topic=f"Chaos {ground.plan.seed}-{name}: asked for by a fault", platforms=("x",))
    return Client(ground, replace(wish, over_http=True), name=name, key=f"chaos-{ground.plan.seed}-{name}")


async def misbehave(step: Step, ground: Ground) -> None:
    """Each for a few seconds at most."""
    place = urlsplit(ground.address)
    ground.fired(step, ", ".join(BAD))
    ends = await asyncio.gather(*(_bad(ground, one, place.hostname or "", place.port or 0) for one in BAD.values()))
    status = await read(ground, "/health/live")
    told = ", ".join(f"{name}: {end}" for name, end in zip(BAD, ends, strict=True))
    ground.healed(step, f"{told}; meanwhile the gateway answered {status}")


async def _bad(ground: Ground, behave: "Behave", host: str, port: int) -> str:
    try:
        async with asyncio.timeout(BAD_FOR_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                await behave(ground, reader, writer)
                rest = await reader.read()
            finally:
                writer.transport.abort()
    except TimeoutError:
        return "still open"
    except OSError as wrong:
        return type(wrong).__name__
    return f"closed {close_code(rest)}".strip()


def close_code(rest: bytes) -> str:
    """The code of the close frame in the end of what a server said, if there is one."""
    at = rest.rfind(b"\x88")
    return str(struct.unpack_from("!H", rest, at + 2)[0]) if 0 <= at <= len(rest) - 4 else ""


Behave = Callable[[Ground, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


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


async def start_half(_: Ground, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Half a handshake."""
    writer.write(b"GET /content HTTP/1.1\r\nHost: chaos\r\nUpgr")
    await writer.drain()


async def say_garbage(_: Ground, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A text that is not UTF-8."""
    await shake_hands(reader, writer)
    writer.write(frame(b"\xff\xfe\xfd"))
    await writer.drain()


async def say_too_much(_: Ground, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A frame of more than a megabyte."""
    await shake_hands(reader, writer)
    writer.write(frame(b"x" * (1024**2 + 1)))
    await writer.drain()


async def say_often(ground: Ground, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ten thousand frames, as fast as they go."""
    await shake_hands(reader, writer)
    writer.write(frame(attach(ground)))
    writer.write(frame(json.dumps({"type": "ping", "id": "x"}).encode()) * 10_000)
    await writer.drain()


async def never_read(ground: Ground, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Attaches, and reads nothing of what comes."""
    await shake_hands(reader, writer)
    writer.write(frame(attach(ground)))
    await asyncio.sleep(BAD_FOR_S)


async def say_slowly(ground: Ground, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One byte after the other."""
    await shake_hands(reader, writer)
    for byte in frame(attach(ground)):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.2)


def attach(ground: Ground) -> bytes:
    """The first frame of who looks on at the first workflow."""
    return json.dumps({"type": "attach", "workflow_id": ground.known_workflows[0]}).encode()


BAD: dict[str, Behave] = {
    "half a handshake": start_half,
    "no UTF-8": say_garbage,
    "a huge frame": say_too_much,
    "many frames": say_often,
    "never reads": never_read,
    "a byte at a time": say_slowly,
}


async def lose_live(step: Step, ground: Ground) -> None:
    """Republishing is at most once: nothing else tells of it, and the connection stands."""
    proxies = ground.all_proxies(GATEWAY, Way.LOG)
    for proxy in proxies:
        proxy.way.loses = LIVE
    ground.fired(step, "live messages are lost")
    try:
        await asyncio.sleep(LOST_FOR_S)
    finally:
        for proxy in proxies:
            proxy.way.loses = None
    ground.healed(step, "they arrive again")


STRIKES = {
    "gateway-killed": kill_gateway,
    "repeats": repeat_requests,
    "hostile-sockets": misbehave,
    "live-lost": lose_live,
}
