"""The live tail: one workflow's events as they are recorded, each once, in order of revision, from wherever one begins.

The log republishes each event to whoever listens, at most once. So the tail listens first, then reads the history, and
holds every live event against the revision it expects: one it has seen is dropped, a hole is filled from the history.
What can be lost without a trace (the last event before a silence, messages around a reconnect) is read again.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from chassis.connection import Connection
from chassis.event_store import EventStore, HistoryShort, StoreUnavailable
from contracts import subjects
from contracts.envelope import Recorded, UnreadableEvent, decode
from contracts.events import Event
from contracts.subjects import WorkflowKey

QUIET_S = (1.0, 10.0, 20.0, 40.0, 80.0, 120.0)
"""After so much silence the history is read again: at first soon after listening began, then ever less often."""

RECONNECT_JITTER_S = 1.0
"""Followers do not all read at once when the connection is back."""

WAITING_MAX = 256
"""Live events that wait for one follower. More are dropped: it finds them in the history."""

STORE_PAUSE_S = 0.5

log = structlog.get_logger("tail")


class Tails:
    """The tails of one process. Followers of one workflow share its subscription."""

    def __init__(self, connection: Connection, store: EventStore) -> None:
        self._connection, self._store = connection, store
        self._tails: dict[WorkflowKey, _Tail] = {}
        connection.on_reconnect.append(self._doubt)
        connection.on_messages_dropped.append(self._doubt)

    @asynccontextmanager
    async def follow(self, key: WorkflowKey, *, after: int = 0) -> AsyncGenerator[AsyncIterator[Recorded[Event]]]:
        """The workflow's events behind revision `after`, as they come, without an end. Survives any loss of the log."""
        tail = self._tails.setdefault(key, _Tail(self._connection, key))
        follower = _Follower(self._store, key, after)
        tail.followers.append(follower)
        try:
            await tail.listen()
            yield follower.events()
        finally:
            tail.followers.remove(follower)
            if not tail.followers and self._tails.get(key) is tail:
                del self._tails[key]
                await tail.leave()

    def _doubt(self) -> None:
        """Messages may have been lost: everybody reads again, a little apart."""
        loop = asyncio.get_running_loop()
        for tail in self._tails.values():
            for follower in tail.followers:
                loop.call_later(random.uniform(0, RECONNECT_JITTER_S), follower.doubt)  # noqa: S311


class _Tail:
    """One workflow's subscription, and those who follow it."""

    def __init__(self, connection: Connection, key: WorkflowKey) -> None:
        self._connection, self._key = connection, key
        self._subscribing: asyncio.Task[Subscription] | None = None
        self.followers: list[_Follower] = []

    async def listen(self) -> None:
        """Listens, once for all followers."""
        if self._subscribing is None:
            self._subscribing = asyncio.create_task(self._connection.subscribe(subjects.live(self._key), self._heard))
        await asyncio.shield(self._subscribing)

    async def leave(self) -> None:
        """Listens no more."""
        if self._subscribing is not None:
            await self._connection.unsubscribe(await self._subscribing)

    async def _heard(self, message: Msg) -> None:
        if subjects.is_delta(message.subject):
            return
        headers = message.headers or {}
        try:
            recorded = decode(message.subject, headers, message.data, position=int(headers["Nats-Sequence"]))
        except (UnreadableEvent, KeyError, ValueError) as wrong:
            log.warning("unreadable live event", why=str(wrong))
            return
        for follower in self.followers:
            follower.offer(recorded)


class _Follower:
    """One reader of one workflow: how far it has come, and what waits for it."""

    def __init__(self, store: EventStore, key: WorkflowKey, after: int) -> None:
        self._store, self._key = store, key
        self._seen: int = after
        self._waiting: asyncio.Queue[Recorded[Event] | None] = asyncio.Queue()

    def offer(self, recorded: Recorded[Event]) -> None:
        """A live event. Where too many wait, it is left out: the hole will be noticed."""
        if self._waiting.qsize() < WAITING_MAX:
            self._waiting.put_nowait(recorded)

    def doubt(self) -> None:
        """Something may have been lost."""
        if self._waiting.qsize() <= WAITING_MAX:
            self._waiting.put_nowait(None)

    async def events(self) -> AsyncGenerator[Recorded[Event]]:
        """Every revision behind the one it began at, once, in order."""
        reach, silence = 0, 0
        while True:
            for recorded in await self._read(reach):
                self._seen = recorded.revision
                yield recorded
            while True:
                live = await self._next(QUIET_S[silence])
                if live is None or live.revision > self._seen + 1:
                    break
                if live.revision == self._seen + 1:
                    silence, self._seen = 1, live.revision
                    yield live
            reach = live.revision if live else 0
            silence = min(silence + 1, len(QUIET_S) - 1)

    async def _next(self, quiet_s: float) -> Recorded[Event] | None:
        """The next live event; None after a silence or a doubt."""
        try:
            return await asyncio.wait_for(self._waiting.get(), quiet_s)
        except TimeoutError:
            return None

    async def _read(self, reach: int) -> tuple[Recorded[Event], ...]:
        """What the history has beyond the last event seen."""
        while True:
            try:
                history = await self._store.read(self._key, reach=reach)
            except HistoryShort:
                reach = 0  # what the log has is what can be told
            except StoreUnavailable:
                await asyncio.sleep(STORE_PAUSE_S)
            else:
                return history.recorded[self._seen :]
