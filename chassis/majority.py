"""The majority: whether a log of several copies can take anything in, which it can while most of its servers hear each
other.

A process may be connected to one of a minority: that one takes connections and tells what it knows, but stores nothing.
So the log's leader is asked now and then how it stands with the other copies: of most of them, itself included, it has
to have heard lately. Else the connection is told that its server does not serve, and tries another one.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import structlog

from chassis.connection import Connection, Disconnected, NoAnswer
from chassis.event_store import NotAllowed
from chassis.telemetry import Seldom

LOOK_S, TIMEOUT_S = 2.0, 1.5
"""Between two looks, and for one of them. One costs the server some 0.1 ms."""

HEARD_WITHIN_S = 3.0
"""A leader hears from each copy once a second. One that is cut off takes itself for the leader for much longer."""

LACKED_S = 6.0
"""A log that changes its leader has none meanwhile, mostly for 4 to 6 s: that is not told. What lasts is told after 6
to 11 s: a look may come 2 s later, and a leader that is left alone counts who was heard within the last 3 s."""

NOT_AVAILABLE, NOT_LEADER = 10008, 10009
"""JetStream's codes where its servers do not find together, or the copies of one stream do not."""

NO_MAJORITY = "the log has no majority of its servers: nothing can be stored"
NO_CONNECTION = "there is no connection to NATS"

log = structlog.get_logger("nats")


class Majority:
    """Watches for one process. `asks`: where JetStream tells of the log, or of a stage's consumer, which is kept in as
    many copies; the process needs the right to ask there.
    """

    def __init__(self, connection: Connection, asks: str) -> None:
        self._connection, self._asks = connection, asks
        self._lacked_since: float | None = None
        self._is_lacking = False
        self._seldom = Seldom()
        self.on_return: list[Callable[[], None]] = []
        """Called when there is a majority again: what was asked of the log meanwhile may be lost."""

    def trouble(self) -> str | None:
        """Why the log cannot be used at the moment, in a sentence, or None. See chassis.health.Check."""
        return self.lacking() if self._connection.is_up else NO_CONNECTION

    def lacking(self) -> str | None:
        """The same, of the majority alone: a connection that breaks is mostly there again at once."""
        return NO_MAJORITY if self._is_lacking else None

    @asynccontextmanager
    async def watched(self) -> AsyncGenerator[None]:
        """Watches for as long as the block runs; a server that is alone needs no watching."""
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.gather(self.look(), asyncio.sleep(LOOK_S))

    async def look(self) -> None:
        """Looks once, where there are several servers. Raises nothing."""
        if not self._connection.has_cluster:
            return
        began = time.monotonic()
        try:
            answer = await self._connection.ask(self._asks, b"", timeout_s=TIMEOUT_S)
            is_there = has_majority(cast(dict[str, Any], json.loads(answer.data)))
            if not is_there:
                self._connection.unserved()
        except Disconnected:  # which is told in its own words, and says nothing of the servers
            return
        except NoAnswer:  # which the connection knows already
            is_there = False
        except NotAllowed as wrong:
            if self._seldom.allows(str(wrong), began):
                log.error("the majority cannot be watched", why=str(wrong))
            return
        self._note(is_there=is_there, since=began)

    def _note(self, *, is_there: bool, since: float) -> None:
        if is_there:
            if self._lacked_since is not None:
                self._lacked_since, self._is_lacking = None, False
                self._connection.served()
                for tell in self.on_return:
                    tell()
            if self._seldom.ends(NO_MAJORITY):
                log.info("the log has a majority of its servers again")
            return
        now = time.monotonic()
        self._lacked_since = since if self._lacked_since is None else self._lacked_since
        self._is_lacking = self._is_lacking or now - self._lacked_since >= LACKED_S
        if self._is_lacking and self._seldom.allows(NO_MAJORITY, now):
            log.warning("the log has no majority of its servers", why="nothing can be stored")


def has_majority(told: dict[str, Any]) -> bool:
    """Do most copies hear each other, as JetStream tells it of a stream or a consumer?

    What it refuses to tell for any other reason is another trouble, which is not this one's to tell.
    """
    if "error" in told:
        return told["error"].get("err_code") not in (NOT_AVAILABLE, NOT_LEADER)
    cluster = cast(dict[str, Any], told.get("cluster") or {})
    if not cluster.get("raft_group"):  # one copy, or a server that is alone
        return True
    others = cast(list[dict[str, Any]], cluster.get("replicas") or [])
    # One that this leader has never heard is told as heard 0 s ago.
    heard = [other for other in others if not other.get("offline") and 0 < other["active"] < HEARD_WITHIN_S * 1e9]
    return bool(cluster.get("leader")) and 2 * (1 + len(heard)) > 1 + len(others)
