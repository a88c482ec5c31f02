"""The log's clock, by which every process goes, so that it matters little how wrong the clock of one machine is.

When a retry comes due is said by one process and read by another. So each asks the log's server now and then what time
it has. That time was read somewhere between the question and its answer (F. Cristian, "Probabilistic clock
synchronization", 1989): where its own time cannot have been the same, a process corrects it by the difference.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast

import structlog

from chassis.connection import Connection, NoAnswer
from chassis.event_store import Clock, NotAllowed, utc_now

LOOK_S, TIMEOUT_S = 30.0, 1.5
"""Between two looks, and for one of them."""

AGAIN_S = 0.5
"""Between two looks while nobody has answered yet."""

TOLERATED = timedelta(seconds=1)
"""Machines that keep their clocks right differ by milliseconds: so much changes nothing that anybody would notice."""

AGREED = timedelta()

log = structlog.get_logger("clock")


class LogClock:
    """Tells the time. Until it was told the log's, and while nobody answers, it goes by what it knows.

    `clock`: this machine's own.
    """

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock, self._ahead = clock, AGREED
        """How far the log's clock is ahead of this machine's."""
        self.answered = asyncio.Event()
        """Set once anybody has answered, be it to refuse. Before, nothing should be done that needs the time."""

    def __call__(self) -> datetime:
        """The time, in UTC."""
        return self._clock() + self._ahead

    def trouble(self) -> str | None:
        """What is wrong with this machine's clock, in a sentence, or None. See chassis.health.Check."""
        if self._ahead == AGREED:
            return None
        way = "behind" if self._ahead > AGREED else "ahead of"
        off_s = abs(self._ahead).total_seconds()
        return f"this machine's clock is {off_s:.0f} s {way} the log's, by which this process goes instead"

    @asynccontextmanager
    async def watched(self, connection: Connection, asks: str) -> AsyncGenerator[None]:
        """Asks before the block begins, and for as long as it runs.

        `asks`: where JetStream tells of the log, or of a stage's consumer, and with it the time; the process needs the
        right to ask there.
        """
        await self.look(connection, asks)
        watching = asyncio.create_task(self._watch(connection, asks))
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self, connection: Connection, asks: str) -> None:
        while True:
            await asyncio.sleep(LOOK_S if self.answered.is_set() else AGAIN_S)
            await self.look(connection, asks)

    async def look(self, connection: Connection, asks: str) -> None:
        """Asks once. Raises nothing: where nobody tells the time, that is told by others."""
        asked_at, began = self._clock(), time.monotonic()
        try:
            answer = await connection.ask(asks, b"", timeout_s=TIMEOUT_S)
        except NoAnswer:
            return
        except NotAllowed:
            self.answered.set()
            return
        took = timedelta(seconds=time.monotonic() - began)
        told = cast(dict[str, Any], json.loads(answer.data)).get("ts")
        if isinstance(told, str):  # none is in a refusal
            self.hear(datetime.fromisoformat(told), asked_at=asked_at, took=took)
        self.answered.set()

    def hear(self, told: datetime, *, asked_at: datetime, took: timedelta) -> None:
        """The log's clock said `told` at some time of the `took` that began at `asked_at` by this machine's clock."""
        least, most = told - (asked_at + took), told - asked_at
        if self._may_be(self._ahead, least, most):
            return
        self._ahead = AGREED if self._may_be(AGREED, least, most) else least + took / 2
        if why := self.trouble():
            log.warning("wrong clock", why=why)
        else:
            log.info("right clock", why="this machine's clock agrees with the log's again")

    @staticmethod
    def _may_be(ahead: timedelta, least: timedelta, most: timedelta) -> bool:
        return least - TOLERATED <= ahead <= most + TOLERATED
