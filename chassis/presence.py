"""Presence: a process says on core NATS that it is there, how it is, and goodbye when it goes.

Nobody answers and nothing waits for it. What is lost is said again a few seconds later.
"""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from nats.aio.msg import Msg

from chassis.connection import Connection, Disconnected, NoAnswer
from chassis.event_store import utc_now
from chassis.health import Health
from contracts import subjects
from contracts.presence import EVERY_S, NAME_LENGTH_MAX, PARTS_MAX, SENTENCE_LENGTH_MAX, Presence, printable

LOOK_S = 1.0
"""How often a process looks whether its health has changed, to say so before its time."""

GOODBYE_S = 1.0
"""How long a process that goes waits for the server to take its last words in."""

STARTED_AT = utc_now()
"""When this process began: it reads this file among the first."""


class Load(NamedTuple):
    """How many deliveries a stage's process can hold, and how many it holds."""

    slots: int
    busy: int


@asynccontextmanager
async def announced(
    connection: Connection,
    service: str,
    health: Health,
    *,
    worker: str,
    load: Callable[[], Load] | None = None,
    every_s: float = EVERY_S,
    look_s: float = LOOK_S,
) -> AsyncGenerator[None]:
    """Says at once and then every few seconds that this process is there, for as long as the block runs; then goodbye.

    Sooner where its health has changed, or where a gateway calls the roll. `load`: of a stage's process.
    """
    called = asyncio.Event()

    async def hear_call(_: Msg) -> None:
        called.set()

    async def say(report: dict[str, str], *, leaving: bool = False) -> None:
        told = present(worker, report, load() if load else None, leaving=leaving)
        with suppress(Disconnected):
            await connection.publish(subjects.presence(service), told.model_dump_json().encode())

    async def go_on() -> None:
        said, said_at = dict[str, str](), -every_s
        while True:
            report, now = health.report(), time.monotonic()
            if called.is_set() or report != said or now - said_at >= every_s:
                called.clear()
                await say(report)
                said, said_at = report, now
            with suppress(TimeoutError):
                async with asyncio.timeout(min(look_s, every_s)):
                    await called.wait()

    calls = await connection.subscribe(subjects.ROLL_CALL, hear_call)
    saying = asyncio.create_task(go_on())
    try:
        yield
    finally:
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)
        await connection.unsubscribe(calls)
        await say(health.report(), leaving=True)
        with suppress(NoAnswer, TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await connection.flush()


def present(worker: str, report: dict[str, str], load: Load | None, *, leaving: bool) -> Presence:
    """The presence with this health report, which may hold any words: they are cut to what may be told."""
    return Presence(
        worker=_name(worker),
        host=_name(socket.gethostname()),
        started_at=STARTED_AT,
        parts={
            _name(part): printable(what, SENTENCE_LENGTH_MAX) or "?" for part, what in list(report.items())[:PARTS_MAX]
        },
        slots=load.slots if load else None,
        busy=load.busy if load else None,
        leaving=leaving,
    )


def _name(text: str) -> str:
    return printable(text, NAME_LENGTH_MAX) or "?"
