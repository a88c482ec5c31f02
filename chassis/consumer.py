"""The puller: keeps a process's free slots supplied with deliveries from its stage's durable consumer.

Each slot asks for one message at a time, so a process never holds more than it works on. A pull that the server forgot
(a restart, a lost request) shows as silence and is made again.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog
from nats.aio.msg import Msg

from chassis.connection import STATUS, Connection, Disconnected
from chassis.jetstream_store import STREAM
from chassis.keeper import Keeper
from chassis.telemetry import Seldom
from contracts.envelope import ID
from contracts.subjects import BadToken, EventSubject, WorkflowKey, parse

EXPIRES_S, HEARTBEAT_S = 30.0, 5.0
"""A pull is held open for 30 s; meanwhile the server says every 5 s that it still is."""

SILENCE_S = 2 * HEARTBEAT_S + 1
"""Two missed heartbeats: the server does not know of this pull any more."""

REFUSED_PAUSE_S = 0.5
"""After a refusal (the consumer is gone, a server shuts down) the next pull waits a little."""

HEARTBEAT, REFUSALS = "100", ("409", "503")

REFUSED = "refused"
"""The one cause under which the log is told of it, in whatever words the server refuses."""

log = structlog.get_logger("consumer")


@dataclass(frozen=True)
class PulledDelivery:
    """One message of the consumer, in this process's hands. See chassis.runner.Delivery."""

    connection: Connection
    message: Msg
    subject: EventSubject

    @property
    def key(self) -> WorkflowKey:
        """The workflow."""
        return self.subject.key

    @property
    def revision(self) -> int:
        """The place of the event in the workflow's history."""
        return self.subject.revision

    @property
    def event(self) -> str:
        """The event's type."""
        return self.subject.event

    @property
    def event_id(self) -> str:
        """The event's id."""
        return (self.message.headers or {}).get(ID, "")

    async def in_progress(self) -> None:
        """Start ack_wait anew."""
        await self._say(b"+WPI")

    async def ack(self) -> None:
        """Nothing of this message is left to do."""
        await self._say(b"+ACK")

    async def nak(self, delay: timedelta) -> None:
        """Deliver this message again after a while."""
        await self._say(b"-NAK " + json.dumps({"delay": int(delay.total_seconds() * 1e9)}).encode())

    async def _say(self, word: bytes) -> None:
        with suppress(Disconnected):  # then the message comes again, which is always safe
            await self.connection.publish(self.message.reply, word)


Handle = Callable[[PulledDelivery], Awaitable[None]]


class Consumer:
    """The slots of one process. `handle` does what a delivery brings; `slots` is how many may run at once.

    `keeper`: looks after the consumer where it is refused. `busy`: how many of the slots hold a delivery now.
    """

    def __init__(
        self, connection: Connection, stage: str, handle: Handle, *, slots: int, keeper: Keeper | None = None
    ) -> None:
        self.connection, self.stage, self.handle, self._keeper = connection, stage, handle, keeper
        self.stopping = asyncio.Event()
        self.trouble: str | None = None
        self.busy = 0
        self._slots = [_Slot(self) for _ in range(slots)]
        self._seldom = Seldom()

    async def run(self) -> None:
        """Pulls and handles until `drain` is called, then returns when the last delivery has ended."""
        self.connection.on_reconnect.append(self.look_around)
        await asyncio.gather(*(slot.run() for slot in self._slots))

    def drain(self) -> None:
        """Asks for nothing more; what is held is finished."""
        self.stopping.set()
        self.look_around()

    async def refused(self, why: str) -> None:
        """The server does not serve this consumer at the moment; said in the health and, now and then, in the log."""
        self.trouble = f"the consumer {self.stage} is refused: {why}"
        self.connection.unserved()
        if self.connection.is_up and self._seldom.allows(REFUSED, time.monotonic()):  # else that is what is told
            log.warning("pull refused", stage=self.stage, why=why)
        if self._keeper:
            await self._keeper.look()

    def served(self) -> None:
        """The server knows of this consumer."""
        self.trouble = None
        if self._seldom.ends(REFUSED):
            log.info("pulls again", stage=self.stage)

    def look_around(self) -> None:
        """Every pull is made again: the server may have lost it."""
        for slot in self._slots:
            slot.wake()


class _Slot:
    """One place for one delivery."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer, self._connection = consumer, consumer.connection
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()

    async def run(self) -> None:
        while not self._consumer.stopping.is_set():
            try:
                delivery = await self._pull()
            except Disconnected:
                await asyncio.sleep(REFUSED_PAUSE_S)
                continue
            if delivery:
                await self._work(delivery)

    def wake(self) -> None:
        """Makes a waiting slot look around: the pull has to be made again, or no more."""
        self._arrived.put_nowait(None)

    async def _pull(self) -> PulledDelivery | None:
        """Asks for one message. -> it, or None when it is time to ask again. Raises Disconnected.

        Each pull has an inbox of its own. The server forgets a pull whose inbox nobody listens to any more, so one that
        was given up (its answer may only be late) is never left behind to take a message that nobody works on.
        """
        self._arrived = arrived = asyncio.Queue[Msg | None]()

        async def arrive(message: Msg) -> None:
            arrived.put_nowait(message)

        inbox = self._connection.new_inbox()
        subscription = await self._connection.subscribe(inbox, arrive)
        try:
            await self._ask(inbox)
            message = await self._answer()
        finally:
            await self._connection.unsubscribe(subscription)
        return await self._accept(message) if message else None

    async def _ask(self, inbox: str) -> None:
        wanted = {"batch": 1, "expires": int(EXPIRES_S * 1e9), "idle_heartbeat": int(HEARTBEAT_S * 1e9)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{self._consumer.stage}"
        await self._connection.publish(subject, json.dumps(wanted).encode(), reply=inbox)

    async def _answer(self) -> Msg | None:
        """The message that the pull brings; None when there is none, or when it has to be made again."""
        while not self._consumer.stopping.is_set():
            try:
                message = await asyncio.wait_for(self._arrived.get(), SILENCE_S)
            except TimeoutError:
                await self._consumer.refused("the server does not answer")
                return None
            if message is None:
                return None
            status = _status(message)
            if status in REFUSALS:
                await self._consumer.refused(f"{status} {(message.headers or {}).get('Description', '')}".strip())
                await asyncio.sleep(REFUSED_PAUSE_S)
                return None
            self._consumer.served()
            if not status:
                return message
            if status != HEARTBEAT:  # the pull has expired
                return None
        return None

    async def _accept(self, message: Msg) -> PulledDelivery | None:
        try:
            return PulledDelivery(self._connection, message, parse(message.subject))
        except BadToken as wrong:
            log.error("not an event", stage=self._consumer.stage, why=str(wrong))
            with suppress(Disconnected):
                await self._connection.publish(message.reply, b"+ACK")  # it can never make anything due
            return None

    async def _work(self, delivery: PulledDelivery) -> None:
        self._consumer.busy += 1
        try:
            await self._consumer.handle(delivery)
        except Exception as wrong:
            # Whatever went wrong here (an event from newer code, a damaged history) must not stop the other workflows.
            # The delivery stays unsettled and comes again.
            log.error(
                "delivery left unsettled",
                stage=self._consumer.stage,
                workflow_id=delivery.key.workflow_id,
                event_type=delivery.event,
                why=f"{type(wrong).__name__}: {wrong}",
            )
        finally:
            self._consumer.busy -= 1


def _status(message: Msg) -> str:
    """What the server says in the place of an event. An event has a place for its ack, and may carry any header."""
    if message.reply.startswith("$JS.ACK."):
        return ""
    return (message.headers or {}).get(STATUS, "")
