"""The log as each server that keeps a copy of it has it: read by itself, under that server's name.

A direct get is answered by whichever server it meets. A consumer that is kept on one server alone is fed from that
server's own copy, and whoever makes it is told which one that is. It cannot be chosen: so consumers are made, and a
second one on the same server taken away again, until each server has its own. (Measured with nats-server 2.15.1: 3 ms
each, five or six of them for three servers.) What a damaged copy cannot give it passes over without a word.
"""

import asyncio
import json
import random
import time
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from chassis.connection import STATUS, Connection, NoAnswer
from chassis.event_store import StoreUnavailable
from chassis.jetstream_log import ADDED_BY_SERVER, BATCH, BATCH_BYTES_MAX, Entry, LogState
from chassis.jetstream_store import STREAM
from chassis.standing import log_standing

NAMES = tuple(f"copy-{number}" for number in range(1, 13))
"""Of the consumers. They are few and known, so that who makes them needs no right over those of the stages; and enough
for four who read three copies at the same time."""

CREATE, RESET, NEXT, DELETE = (
    f"$JS.API.CONSUMER.{verb}.{STREAM}." for verb in ("CREATE", "RESET", "MSG.NEXT", "DELETE")
)
NEEDED = tuple(verb + name for verb in (CREATE, RESET, NEXT, DELETE) for name in NAMES)
"""What one has to be allowed to publish on."""

KEPT_S = 30.0
"""A consumer that nobody asks is taken away by its server after so long, should we die."""

ANSWER_S, ANSWER_AGAIN_S = 4.0, 1.0
"""A server that has just started took 3 s to make a consumer. Where one was silent so long, it is frozen."""

TRIES_MAX = 40
"""To have one on each server: chance leaves out one of three in less than one of a million cases."""

SILENCES_MAX = 8
"""A frozen server is chosen as well, and does not answer. The others have theirs before that in 99 of 100 cases."""

PAUSE_S, PATIENCE_S, CATCH_UP_S = 0.2, 5.0, 30.0
"""A copy that ends too early is asked again; for how long while nothing comes, and how long while it grows."""

NAME_TAKEN = 10148
NOTHING_LEFT = ("404", "408")
ANSWERED = ("Batch Completed", "Message Size Exceeds MaxBytes")


class NoCopyRead(StoreUnavailable):
    """No server gives its own copy of the log, though there are copies."""

    def __init__(self) -> None:
        super().__init__(
            "no server gives its own copy of the log; may its NATS user do what deploy/nats-server.conf says?"
        )


class CopyLost(Exception):
    """The consumer that read a copy is gone, or its server does not answer."""


@dataclass(frozen=True)
class Stretch:
    """Some neighbouring positions, up to this one, as each server's copy gives them: by server, in order."""

    upto: int
    copies: Mapping[str, list[Entry]]


class LogCopies:
    """Reads the log from each of these servers. Make it with `log_copies`.

    `away`: the servers whose copies are not read any more, each with the position up to which that was done: they are
    down, do not answer, or are only catching up with the others.
    """

    def __init__(self, connection: Connection, servers: Iterable[str], line: "_Line") -> None:
        self._connection, self._line = connection, line
        self._servers = sorted(servers)
        self._copies: dict[str, _Copy] = {}
        self._ended = set[str]()  # the servers whose copies end too early, and do not grow
        self.away: dict[str, int] = {}

    async def read(self, after: int, end: int) -> Stretch:
        """What stands behind this position, up to `end` at most; each copy is to hold all of it.

        Raises StoreUnavailable where no server gives its copy.
        """
        try:
            return await self._read(after, min(end, after + BATCH))
        except NoAnswer as silent:
            raise StoreUnavailable(str(silent)) from silent

    async def close(self) -> None:
        """Leaves nothing behind."""
        fresh = [copy for copy in self._copies.values() if copy.is_fresh]
        await asyncio.gather(*(copy.close() for copy in self._copies.values()))
        self._copies.clear()
        await asyncio.gather(*(_done(self._line.ask(DELETE + one.name, patience_s=ANSWER_AGAIN_S)) for one in fresh))

    async def _read(self, after: int, end: int) -> Stretch:
        if await self._fetch(after, end):
            self._leave(await self._fetch(after, end), after)
        upto = min([end, *(copy.reach(end) for copy in self._copies.values())])
        await self._wait(after, upto)
        if not self._copies or upto <= after:
            raise NoCopyRead
        return Stretch(upto, {server: copy.take(upto) for server, copy in sorted(self._copies.items())})

    async def _fetch(self, after: int, end: int) -> set[str]:
        """Has each copy bring what it has up to there. -> the servers whose consumers were lost over it"""
        await self._stand_at(after)
        lost = {one for one in self._servers if one not in self._copies and one not in self.away}
        copies = list(self._copies.values())
        ended = await asyncio.gather(*(_done(copy.fetch(end)) for copy in copies))
        for copy, is_there in zip(copies, ended, strict=True):
            if not is_there:
                lost.add(copy.server)
                await self._drop(copy.server)
        return lost

    async def _wait(self, after: int, upto: int) -> None:
        """A copy that ends too early may only lag: it is waited for."""
        short = [one for one in self._copies.values() if one.ends_before(upto) and one.server not in self._ended]
        whole = await asyncio.gather(*(self._catches_up(copy, upto) for copy in short))
        self._leave({copy.server for copy, is_told in zip(short, whole, strict=True) if not is_told}, after)
        for server in self.away:
            await self._drop(server)

    async def _catches_up(self, copy: "_Copy", upto: int) -> bool:
        """-> whether all that it has, and ever will have, is read; else it does not come to that."""
        began = grown = time.monotonic()
        while copy.ends_before(upto):
            await asyncio.sleep(PAUSE_S)
            before, now = copy.passed, time.monotonic()
            if now - began > CATCH_UP_S or not await _done(copy.fetch(upto)):
                return False
            if copy.passed > before:
                grown = now
            elif now - grown > PATIENCE_S and copy.server in await self._current():
                self._ended.add(copy.server)
                return True
        return True

    async def _current(self) -> set[str]:
        """The servers that have all that was ever stored, as far as the one that leads them knows."""
        standing = await log_standing(self._connection, timeout_s=ANSWER_S)
        return {one.server for one in standing.replicas if one.is_there and one.is_current and not one.lag}

    def _leave(self, servers: set[str], after: int) -> None:
        self.away |= dict.fromkeys(sorted(servers), after)

    # ------------------------------------------------------------ a consumer on each server

    async def _stand_at(self, after: int) -> None:
        """Has a consumer on each server, which goes on behind this position."""
        for server, copy in list(self._copies.items()):
            if not copy.is_fresh:
                await self._drop(server)
        await self._cover({one for one in self._servers if one not in self._copies and one not in self.away}, after)
        moved = [copy for copy in self._copies.values() if copy.taken != after]
        for copy, is_there in zip(moved, await asyncio.gather(*(_done(one.move(after)) for one in moved)), strict=True):
            if not is_there:
                await self._drop(copy.server)

    async def _cover(self, wanted: set[str], after: int) -> None:
        """Makes consumers until each of these servers has one."""
        tries = silences = 0
        while wanted and tries < TRIES_MAX and silences < SILENCES_MAX:
            tries += 1
            try:
                made = await self._make(ANSWER_AGAIN_S if silences else ANSWER_S)
            except CopyLost:
                silences += 1
                continue
            if made and made.server in wanted:
                await made.open()
                self._copies[made.server] = made
                wanted.remove(made.server)
            elif made:
                await _done(self._line.ask(DELETE + made.name))
        self._leave(wanted, after)

    async def _make(self, patience_s: float) -> "_Copy | None":
        """A consumer on one of the servers; None where somebody else has one of this name.

        Raises CopyLost where the server that was to keep it does not answer.
        """
        used = {copy.name for copy in self._copies.values()}
        name = random.choice([name for name in NAMES if name not in used])  # noqa: S311 - no secret
        try:
            told = await self._line.ask(CREATE + name, _consumer(name), patience_s=patience_s)
        except CopyLost:
            await self._line.say(DELETE + name)
            raise
        if _refusal(told).get("err_code") == NAME_TAKEN:
            return None
        cluster = cast(dict[str, Any], told.get("cluster") or {})
        if _refusal(told) or "leader" not in cluster:
            why = _refusal(told).get("description", "it is not told which server has it")
            raise StoreUnavailable(f"a copy of the log cannot be read by itself: {why}")
        return _Copy(self._connection, str(cluster["leader"]), name)

    async def _drop(self, server: str) -> None:
        copy = self._copies.pop(server, None)
        if copy:
            await copy.close()
            if copy.is_fresh:  # else its server has taken it away, and the name may be somebody else's
                await self._line.say(DELETE + copy.name)


@asynccontextmanager
async def log_copies(connection: Connection, state: LogState) -> AsyncGenerator[LogCopies]:
    """Reads each copy of the log that stands so, by itself, for as long as this lasts."""
    line = _Line(connection)
    await line.open()
    copies = LogCopies(connection, state.servers, line)
    try:
        yield copies
    finally:
        try:
            await copies.close()
        except NoAnswer:  # its servers do the same after a while
            pass
        finally:
            await line.close()


class _Line:
    """A subject of one's own, on which answers come. What a consumer delivers carries the subject of the event."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._inbox = connection, connection.new_inbox()
        self._arrived: asyncio.Queue[Msg] = asyncio.Queue()
        self._subscription: Subscription | None = None
        self._asked = 0

    async def open(self) -> None:
        self._subscription = await self._connection.subscribe(f"{self._inbox}.*", self._heard)

    async def close(self) -> None:
        if self._subscription:
            await self._connection.unsubscribe(self._subscription)

    async def say(self, subject: str, request: Mapping[str, Any] | None = None) -> str:
        """Sends a request and does not wait. -> the subject of its answer. Raises Disconnected."""
        self._asked += 1
        reply = f"{self._inbox}.{self._asked}"
        await self._connection.publish(subject, json.dumps(request or {}).encode(), reply=reply)
        return reply

    async def ask(
        self, subject: str, request: Mapping[str, Any] | None = None, *, patience_s: float = ANSWER_S
    ) -> dict[str, Any]:
        """What JetStream answers. Raises CopyLost, Disconnected."""
        *_, answer = await self.ask_all(subject, request, patience_s=patience_s)
        if (answer.headers or {}).get(STATUS):
            raise CopyLost
        return cast(dict[str, Any], json.loads(answer.data))

    async def ask_all(
        self, subject: str, request: Mapping[str, Any] | None = None, *, patience_s: float = ANSWER_S
    ) -> list[Msg]:
        """What is delivered, and behind it the answer to this request, which ends it. Raises as `ask` does.

        Late answers to earlier requests are passed over.
        """
        reply = await self.say(subject, request)
        came = list[Msg]()
        try:
            while not came or came[-1].subject != reply:
                async with asyncio.timeout(patience_s):
                    message = await self._arrived.get()
                if message.subject == reply or not message.subject.startswith(self._inbox):
                    came.append(message)
        except TimeoutError as late:
            raise CopyLost from late
        return came

    async def _heard(self, message: Msg) -> None:
        self._arrived.put_nowait(message)


class _Copy:
    """The copy on one server, read forward from behind `taken`. `passed`: up to where its consumer has come."""

    def __init__(self, connection: Connection, server: str, name: str) -> None:
        self.server, self.name = server, name
        self.taken = self.passed = 0
        self._line = _Line(connection)
        self._held: deque[Entry] = deque()
        self._delivered, self._is_at_end = 0, False
        self._asked_at = time.monotonic()

    @property
    def is_fresh(self) -> bool:
        """Does its consumer certainly still exist?"""
        return time.monotonic() - self._asked_at < KEPT_S / 2

    async def open(self) -> None:
        await self._line.open()

    async def close(self) -> None:
        await self._line.close()

    async def move(self, after: int) -> None:
        """Goes on behind this position. Raises as `fetch` does."""
        self._asked_at = time.monotonic()
        if _refusal(await self._line.ask(RESET + self.name, {"seq": after + 1})):
            raise CopyLost
        self.taken = self.passed = after
        self._held.clear()
        self._delivered, self._is_at_end = 0, False

    async def fetch(self, end: int) -> None:
        """Brings what it has up to there, once: or less, where that would be more bytes than an answer may have.

        Raises CopyLost, Disconnected.
        """
        if self.passed >= end:
            return
        if not self.is_fresh:
            raise CopyLost
        self._asked_at = time.monotonic()
        wanted = {"batch": end - self.passed, "max_bytes": BATCH_BYTES_MAX, "no_wait": True}
        *found, status = await self._line.ask_all(NEXT + self.name, wanted)
        for message in found:
            self._hold(message)
        told = status.headers or {}
        self._is_at_end = told.get(STATUS) in NOTHING_LEFT
        if not self._is_at_end and not any(word in told.get("Description", "") for word in ANSWERED):
            raise CopyLost

    def reach(self, end: int) -> int:
        """Up to where, if not to this position, it has brought all that it has."""
        return end if self._is_at_end else min(end, self.passed)

    def ends_before(self, position: int) -> bool:
        """Has it nothing there, or behind, at the moment?"""
        return self._is_at_end and self.passed < position

    def take(self, upto: int) -> list[Entry]:
        """What it brought up to this position."""
        self.taken = upto
        entries = list[Entry]()
        while self._held and self._held[0].position <= upto:
            entries.append(self._held.popleft())
        return entries

    def _hold(self, message: Msg) -> None:
        # $JS.ACK[.domain.account].stream.consumer.deliveries.position.number.time.left
        position, number = map(int, message.reply.split(".")[-4:-2])
        self._delivered += 1
        if number != self._delivered or position <= self.passed:  # it is another consumer of this name
            raise CopyLost
        self.passed = position
        own = {name: value for name, value in (message.headers or {}).items() if name not in ADDED_BY_SERVER}
        self._held.append(Entry(position, message.subject, own, message.data))


async def _done(step: Coroutine[Any, Any, object]) -> bool:
    """-> whether the consumer is there still"""
    try:
        await step
    except CopyLost:
        return False
    return True


def _refusal(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Empty where JetStream did what was asked."""
    return cast(Mapping[str, Any], answer.get("error") or {})


def _consumer(name: str) -> dict[str, Any]:
    """What makes a consumer of this name on one server, unless there is one: its description is like no other's."""
    return {
        "stream_name": STREAM,
        "action": "create",
        "config": {
            "name": name,
            "description": f"Reads one server's copy of the log ({uuid.uuid4().hex})",
            "deliver_policy": "all",
            "ack_policy": "none",
            "replay_policy": "instant",
            "num_replicas": 1,
            "mem_storage": True,
            "inactive_threshold": int(KEPT_S * 1e9),
        },
    }
