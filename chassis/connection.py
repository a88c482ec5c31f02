"""The connection to NATS: asking for one answer or for many, publishing, and listening.

A thin layer over nats-py's core client. It differs where that was measured to fall short: many answers to one request;
a refused permission fails the call that waits instead of timing it out; a broken connection fails what waits at once.
"""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

import structlog
from nats.aio.client import Client, Srv
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import NoServersError, ProtocolError, SlowConsumerError, StaleConnectionError, UnexpectedEOF

from chassis.event_store import NotAllowed
from chassis.health import Queue
from chassis.telemetry import Seldom

log = structlog.get_logger("nats")

PING_S, PINGS_LOST_MAX = 2.0, 2
"""A server that stands still, or a network that is gone, is noticed after four to six seconds of silence."""

RECONNECT_WAIT_S = 0.25
"""Between two tries to reach the server again; nats-py tries for ever with a negative maximum."""

CONNECT_TIMEOUT_S, TRY_ANOTHER_AFTER_S = 5.0, 1.0
"""For a server to say hello; where there are others, a frozen or unreachable one is not waited for that long."""

UNSERVED_S, UNSERVED_MAX_S, FORGOTTEN_S = 4.0, 60.0, 15.0
"""A server of a cluster that has not served for so long may be frozen, or cut off from the others: another one is
tried. Where that does not help, each further try comes after twice the time. What failed longer ago than the last of
these, and was followed by no other failure, is forgotten."""

PENDING_BYTES_MAX = 16 * 1024**2

API = "$JS.API."
BROKEN = (OSError, NoServersError, StaleConnectionError, UnexpectedEOF)
"""How the client tells that there is no way to the server: one outage has many of these."""

AWAY = "away"
"""The one cause under which the log is told of an outage, whatever each try ended with."""

STATUS = "Status"
"""The header in which the server says how a request went; an answer with data has none."""


class NoAnswer(Exception):
    """No answer came in time, or the connection broke while one was awaited."""


class NobodyThere(NoAnswer):
    """Nobody listens on that subject: the request had no effect."""


class Disconnected(NobodyThere):
    """There is no connection at the moment: nothing was sent."""


@dataclass(eq=False)
class _Question:
    """A request that waits for its answers."""

    subject: str
    answers: "asyncio.Queue[Msg | Exception]"


class _Client(Client):
    """nats-py's client, whose reading ends for good at a message that it cannot take apart: whoever may send something
    could make a process deaf until its pings are missed."""

    @property
    def unheard_bytes(self) -> int:
        """What waits for the subscription that is furthest behind."""
        return max((subscription.pending_bytes for subscription in self._subs.values()), default=0)

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Msg:
        """A subject that is no text is told as one that nobody uses."""
        return super()._build_message(sid, _readable(subject), _readable(reply), data, headers)

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        try:
            return await super()._process_headers(headers)  # pyright: ignore[reportUnknownMemberType]
        except UnicodeDecodeError:  # in what stands where the server's own words would
            readable = (headers or b"").decode("ascii", errors="replace").encode("ascii", errors="replace")
            return await super()._process_headers(readable)  # pyright: ignore[reportUnknownMemberType]
        except (IndexError, ValueError):  # the message then has none, which its reader finds out
            return None

    async def _connect_to_server(self, s: Srv) -> None:
        if self._transport is not None:  # to a server that took us in and never said hello; it would be left open
            self._transport.close()
        await super()._connect_to_server(s)

    async def _read_loop(self) -> None:
        await super()._read_loop()
        this = self._reading_task  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if self.is_connected and this is asyncio.current_task():  # nothing else has noticed that it ended
            log.error("connection made anew", why="something came that cannot be read")
            await self._process_op_err(ProtocolError())


class Connection:
    """One connection of one user. `closed` is done when it has ended for good, with no way to reconnect."""

    def __init__(self, user: str) -> None:
        self._user = user
        self._servers: list[str] = []
        self._client = _Client()
        self._questions: dict[str, _Question] = {}
        self._asked = 0
        self._seldom = Seldom()
        self._inbox, self._closing = "", False
        self._unserved_since: float | None = None
        self._unserved_at = 0.0
        self._unserved_s = UNSERVED_S
        self._moving: asyncio.Task[None] | None = None
        self._broken_by = "it does not answer"
        self.on_reconnect: list[Callable[[], None]] = []
        self.on_messages_dropped: list[Callable[[], None]] = []
        self._refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, url: str, *, user: str, password: str, name: str) -> "Connection":
        """A connection that stands. See `reach`."""
        connection = cls(user)
        try:
            await connection.reach(url, password=password, name=name)
        except asyncio.CancelledError:  # whoever waited has lost patience
            await connection.close()
            raise
        return connection

    async def reach(self, url: str, *, password: str, name: str) -> None:
        """Connects, waiting as long as it takes for a server to be there. Raises NotAllowed for a wrong password.

        `url`: of the server, or of every server of a cluster, with commas in between: any one of them will do.
        Meanwhile, whatever is asked of this connection raises Disconnected.
        """
        self._servers = [server.strip() for server in url.split(",")]
        random.shuffle(self._servers)  # so that not everybody is on the first one
        connecting = asyncio.create_task(self._connect(password, name))
        try:
            await asyncio.wait({connecting, self._refused}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not connecting.done():  # nats-py would go on trying for ever
                connecting.cancel()
                await asyncio.gather(connecting, return_exceptions=True)
        if self._refused.done():
            await self.close()
            raise NotAllowed(f"the user {self._user!r} or its password is not known to the NATS server at {url}")
        await connecting

    @property
    def has_cluster(self) -> bool:
        """Are there several servers, of which another takes over what one that dies has led?"""
        return len(self._servers) > 1

    @property
    def is_up(self) -> bool:
        """Is a server connected at this moment?"""
        return self._client.is_connected

    async def ask(
        self, subject: str, payload: bytes, *, headers: dict[str, str] | None = None, timeout_s: float
    ) -> Msg:
        """Sends a request. -> its one answer. Raises NoAnswer, NobodyThere, Disconnected, NotAllowed."""
        answers = await self.ask_all(subject, payload, headers=headers, timeout_s=timeout_s, until=lambda _: True)
        return answers[0]

    async def ask_all(
        self,
        subject: str,
        payload: bytes,
        *,
        until: Callable[[Msg], bool],
        headers: dict[str, str] | None = None,
        timeout_s: float,
    ) -> list[Msg]:
        """Sends a request. -> its answers up to the one that ends them, that one included. Raises as `ask` does."""
        self._asked += 1
        token, question = str(self._asked), _Question(subject, asyncio.Queue())
        self._questions[token] = question
        answers: list[Msg] = []
        try:
            async with asyncio.timeout(timeout_s):
                await self.publish(subject, payload, reply=f"{self._inbox}.{token}", headers=headers)
                while not answers or not until(answers[-1]):
                    answers.append(_good(await question.answers.get(), subject))
        except TimeoutError as late:
            self.unserved()
            raise NoAnswer(f"no answer within {timeout_s:g} s") from late
        except NobodyThere:
            self.unserved()
            raise
        finally:
            del self._questions[token]
        if not subject.startswith(API):  # a server that is cut off still answers from what it knew
            self.served()
        return answers

    def served(self) -> None:
        """The server, with the others, has done what it is there for."""
        self._unserved_since, self._unserved_s = None, UNSERVED_S

    def unserved(self) -> None:
        """The server has not done what it is there for; after a while of that another one is tried."""
        now = time.monotonic()
        if self._unserved_since is None or now - self._unserved_at > FORGOTTEN_S:
            self._unserved_since = now
        self._unserved_at = now
        if self.has_cluster and self.is_up and now - self._unserved_since >= self._unserved_s:
            self._unserved_since, self._unserved_s = now, min(2 * self._unserved_s, UNSERVED_MAX_S)
            log.warning("trying another server", why="this one does not serve")
            self._moving = asyncio.create_task(self._client.force_reconnect())

    async def publish(
        self, subject: str, payload: bytes = b"", *, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Sends a message and does not look back. Raises Disconnected."""
        if not self.is_up:  # nats-py would keep it and send it at some later time
            raise Disconnected("not connected to NATS")
        try:
            await self._client.publish(subject, payload, reply=reply, headers=dict(headers) if headers else None)
        except (NatsError, OSError) as wrong:
            raise Disconnected(str(wrong)) from wrong

    async def subscribe(
        self, subject: str, heard: Callable[[Msg], Awaitable[None]], *, queue: str = ""
    ) -> Subscription:
        """Listens to a subject; the subscription outlives reconnects. End it with `unsubscribe`.

        `queue`: of all who name the same one, a single one hears each message.
        """
        return await self._client.subscribe(  # pyright: ignore[reportUnknownMemberType]  (an unused future's type)
            subject, queue=queue, cb=heard, pending_bytes_limit=PENDING_BYTES_MAX
        )

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Listens no more; a connection that has ended needs no telling."""
        with suppress(NatsError, OSError):
            await subscription.unsubscribe()

    def unheard(self) -> Queue:
        """The bytes that have come, and wait for the listener who is furthest behind."""
        return Queue(self._client.unheard_bytes, PENDING_BYTES_MAX)

    def new_inbox(self) -> str:
        """A subject of one's own that nobody else listens to."""
        return self._client.new_inbox()

    async def flush(self) -> None:
        """Waits until the server has taken in all that was sent. Raises NoAnswer."""
        try:
            for _ in range(2):  # nats-py's first ping may overtake what was sent before it, its second one cannot
                await self._client.flush(timeout=5)
        except (NatsError, OSError) as wrong:
            raise NoAnswer(str(wrong)) from wrong

    async def close(self) -> None:
        """Ends the connection; a second call does nothing."""
        self._closing = True
        if not self._client.is_closed:
            await self._client.close()

    # ------------------------------------------------------------ what the client tells

    async def _connect(self, password: str, name: str) -> None:
        await self._client.connect(
            list(self._servers),
            user=self._user,
            password=password,
            name=name,
            inbox_prefix=inbox_of(self._user),
            error_cb=self._heard_error,
            disconnected_cb=self._heard_disconnect,
            reconnected_cb=self._heard_reconnect,
            closed_cb=self._heard_close,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_S,  # pyright: ignore[reportArgumentType]  (it sleeps for that long)
            connect_timeout=TRY_ANOTHER_AFTER_S if self.has_cluster else CONNECT_TIMEOUT_S,  # pyright: ignore[reportArgumentType]  (as above)
            ping_interval=PING_S,  # pyright: ignore[reportArgumentType]  (as above)
            max_outstanding_pings=PINGS_LOST_MAX,
            allow_reconnect=True,
            dont_randomize=True,  # `reach` has: so the next one is always another one
        )
        self._inbox = self._client.new_inbox()
        await self.subscribe(f"{self._inbox}.*", self._heard_answer)
        await self.flush()
        self._tell_back()

    async def _heard_answer(self, message: Msg) -> None:
        question = self._questions.get(message.subject.rpartition(".")[2])
        if question:
            question.answers.put_nowait(message)

    async def _heard_error(self, error: Exception) -> None:
        refused = re.search(r'permissions violation for (?:publish|subscription) to "([^"]*)"', str(error), re.I)
        if refused:
            self._fail(NotAllowed(f"{self._user} may not use {refused[1]}"), only=refused[1])
        if not self._inbox and "authorization violation" in str(error).lower():
            if not self._refused.done():  # which `open` tells
                self._refused.set_result(None)
            return
        if isinstance(error, BROKEN):
            self._broken_by = str(error) or "it does not answer"
            if not self._client.is_connected:  # at the end of a connection that stood, a word of its own follows
                self._tell_away()
            return
        if isinstance(error, SlowConsumerError):
            for tell in self.on_messages_dropped:
                tell()
        if self._seldom.allows(str(error), time.monotonic()):
            log.error("nats error", error=str(error) or type(error).__name__)

    async def _heard_disconnect(self) -> None:
        self._fail(NoAnswer("the connection to NATS broke"))
        self._tell_away()

    async def _heard_reconnect(self) -> None:
        self._tell_back()
        for tell in self.on_reconnect:
            tell()

    async def _heard_close(self) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def _tell_away(self) -> None:
        if not self._closing and self._seldom.allows(AWAY, time.monotonic()):
            log.warning("no connection to NATS", why=self._broken_by)

    def _tell_back(self) -> None:
        self._broken_by = "it does not answer"
        if self._seldom.ends(AWAY):
            log.info("connected to NATS again")

    def _fail(self, why: Exception, *, only: str | None = None) -> None:
        """Fails the questions that wait: all of them, or those on one subject."""
        for question in self._questions.values():
            if only is None or question.subject.lower() == only.lower():
                question.answers.put_nowait(why)


def inbox_of(user: str) -> str:
    """The prefix under which this user, and nobody else, may listen for answers."""
    return f"_INBOX_{user}"


def _readable(text: bytes) -> bytes:
    """The same where it is UTF-8."""
    return text.decode(errors="replace").encode()


def _good(answer: Msg | Exception, subject: str) -> Msg:
    if isinstance(answer, Exception):
        _raise(answer)
    # A stored message may carry any header; what the server itself says has no sequence.
    if answer.headers and answer.headers.get(STATUS) == "503" and "Nats-Sequence" not in answer.headers:
        raise NobodyThere(f"nobody listens on {subject}")
    return answer


def _raise(why: Exception) -> NoReturn:
    raise why
