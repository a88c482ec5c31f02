"""The live tail: one workflow's events as they are recorded, each once, in order of revision, from wherever one begins.

The log republishes each event to whoever listens, at most once. So the tail listens first, then reads the history, and
holds every live event against the revision it expects: one it has seen is dropped, a hole is filled from the history.
What can be lost without a trace (the last event before a silence, messages around a reconnect) is read again.

Deltas come between the events, for those who watch: each character of an unfinished text once, in order. What is lost
of them comes again with the whole text that the stage sends every two seconds.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from chassis.connection import Connection
from chassis.event_store import EventStore, HistoryShort, StoreUnavailable
from chassis.health import Queue
from chassis.telemetry import Seldom
from contracts import subjects
from contracts.deltas import Delta, TextsHeard
from contracts.envelope import Recorded, UnreadableEvent, decode
from contracts.events import Event
from contracts.subjects import WorkflowKey

QUIET_S = (1.0, 10.0, 20.0, 40.0, 80.0, 120.0)
"""After so much silence the history is read again: at first soon after listening began, then ever less often."""

RECONNECT_JITTER_S = 1.0
"""Followers do not all read at once when the connection is back."""

WAITING_MAX = 256
"""Live events that wait for one follower. More are dropped: it finds them in the history."""

DELTAS_WAITING_MAX = 32
"""Of what waits, so many may be pieces of text: a client that reads slowly gets fewer and longer ones."""

STORE_PAUSE_S = 0.5

Heard = Recorded[Event] | Delta

log = structlog.get_logger("tail")


class Tails:
    """The tails of one process. Followers of one workflow share its subscription."""

    def __init__(self, connection: Connection, store: EventStore) -> None:
        self._connection, self._store = connection, store
        self._tails: dict[WorkflowKey, _Tail] = {}
        self._seldom = Seldom()
        connection.on_reconnect.append(self._doubt)
        connection.on_messages_dropped.append(self._doubt)

    @asynccontextmanager
    async def follow(self, key: WorkflowKey, *, after: int = 0) -> AsyncGenerator[AsyncIterator[Recorded[Event]]]:
        """The workflow's events behind revision `after`, as they come, without an end. Survives any loss of the log."""
        async with self._followed(_Follower(self._store, key, after)) as follower:
            yield (heard async for heard in follower.heard() if not isinstance(heard, Delta))

    @asynccontextmanager
    async def watch(self, key: WorkflowKey, *, after: int = 0) -> AsyncGenerator[AsyncIterator[Heard]]:
        """The same events, and between them the texts that are being written. A lost piece may keep a text waiting."""
        async with self._followed(_Follower(self._store, key, after, deltas=True)) as follower:
            yield follower.heard()

    @asynccontextmanager
    async def _followed(self, follower: "_Follower") -> AsyncGenerator["_Follower"]:
        tail = self._tails.setdefault(follower.key, _Tail(self._connection, follower.key, self._seldom))
        tail.followers.append(follower)
        try:
            await tail.listen()
            yield follower
        finally:
            tail.followers.remove(follower)
            if not tail.followers and self._tails.get(follower.key) is tail:
                del self._tails[follower.key]
                await tail.leave()

    def waiting(self) -> Queue:
        """What waits for the follower who is furthest behind; a doubt may come on top of all that is live."""
        followers = (follower for tail in self._tails.values() for follower in tail.followers)
        return Queue(max((follower.waiting for follower in followers), default=0), WAITING_MAX + 1)

    def _doubt(self) -> None:
        """Messages may have been lost: everybody reads again, a little apart."""
        loop = asyncio.get_running_loop()
        for tail in self._tails.values():
            for follower in tail.followers:
                loop.call_later(random.uniform(0, RECONNECT_JITTER_S), follower.doubt)  # noqa: S311


class _Tail:
    """One workflow's subscription, and those who follow it."""

    def __init__(self, connection: Connection, key: WorkflowKey, seldom: Seldom) -> None:
        self._connection, self._key, self._seldom = connection, key, seldom
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
        try:
            heard = _delta(message) if subjects.is_delta(message.subject) else _event(message)
        except (UnreadableEvent, KeyError, ValueError) as wrong:  # the history will tell
            if self._seldom.allows(type(wrong).__name__, time.monotonic()):
                why = str(wrong) if isinstance(wrong, UnreadableEvent) else type(wrong).__name__  # never a text
                log.warning("unreadable live message", subject=message.subject[:200], why=why)
            return
        for follower in self.followers:
            follower.offer(heard)


class _Follower:
    """One reader of one workflow: how far it has come, and what waits for it."""

    def __init__(self, store: EventStore, key: WorkflowKey, after: int, *, deltas: bool = False) -> None:
        self._store, self.key, self._after, self._deltas = store, key, after, deltas
        self._seen: int = 0
        self._texts = TextsHeard()
        self._waiting: asyncio.Queue[Heard | None] = asyncio.Queue()

    @property
    def waiting(self) -> int:
        """How much that is live has not been looked at."""
        return self._waiting.qsize()

    def offer(self, heard: Heard) -> None:
        """What is live. Where too much waits, it is left out: the hole will be noticed."""
        most = WAITING_MAX if not isinstance(heard, Delta) else DELTAS_WAITING_MAX if self._deltas else 0
        if self._waiting.qsize() < most:
            self._waiting.put_nowait(heard)

    def doubt(self) -> None:
        """Something may have been lost."""
        if self._waiting.qsize() <= WAITING_MAX:
            self._waiting.put_nowait(None)

    async def heard(self) -> AsyncGenerator[Heard]:
        """Every revision behind the one it began at, once, in order; between them the news of unfinished texts."""
        now = asyncio.get_running_loop().time
        reach, silence = self._after, 0
        while True:
            for recorded in await self._read(reach):
                if self._note(recorded):
                    yield recorded
            look_at = now() + QUIET_S[silence]  # texts that go on do not hide that an event was lost
            while True:
                live = await self._next(look_at)
                if isinstance(live, Delta):
                    if (news := self._texts.news(live)) is not None:
                        yield news
                    continue
                if live is None or live.revision > self._seen + 1:
                    break
                if live.revision == self._seen + 1:
                    silence = 1
                    if self._note(live):
                        yield live
                    look_at = now() + QUIET_S[silence]
            reach = live.revision if live else 0
            silence = min(silence + 1, len(QUIET_S) - 1)

    def _note(self, recorded: Recorded[Event]) -> bool:
        """Takes it in. -> whether it is to be told; what was before shows all the same which texts are not."""
        self._seen = recorded.revision
        self._texts.note(recorded)
        return recorded.revision > self._after

    async def _next(self, look_at: float) -> Heard | None:
        """What is live next; None after a doubt, or when it is time to look."""
        try:
            async with asyncio.timeout_at(look_at):
                return await self._waiting.get()
        except TimeoutError:
            return None

    async def _read(self, reach: int) -> tuple[Recorded[Event], ...]:
        """What the history has beyond the last event seen."""
        while True:
            try:
                history = await self._store.read(self.key, reach=reach)
            except HistoryShort:
                reach = 0  # what the log has is what can be told
            except StoreUnavailable:
                await asyncio.sleep(STORE_PAUSE_S)
            else:
                return history.recorded[self._seen :]


def _event(message: Msg) -> Recorded[Event]:
    """The event that was republished. Raises UnreadableEvent, KeyError, ValueError."""
    headers = message.headers or {}
    return decode(message.subject, headers, message.data, position=int(headers["Nats-Sequence"]))


def _delta(message: Msg) -> Delta:
    """The piece of text. Raises ValueError."""
    return Delta.model_validate_json(message.data)
