"""The projector's loop: read on from the checkpoint, apply in batches, wait for more.

log ──behind the checkpoint──> batch ──one transaction──> rows + archive + checkpoint
"""

import asyncio
import time
from typing import TYPE_CHECKING

import structlog
from nats.aio.msg import Msg

from chassis.connection import Connection as Nats
from chassis.database import DatabaseUnavailable, DataRefused, named_failures, open_connection
from chassis.event_store import StoreUnavailable
from chassis.health import Queue
from chassis.jetstream_log import BATCH, JetStreamLog
from chassis.telemetry import Seldom
from contracts import subjects
from services.projector import archive, generation
from services.projector.archive import LogInDoubt
from services.projector.generation import SHAPE, Checkpoint, WrongShape
from services.projector.log.guard import Guard
from services.projector.reading import FaithfulReader, OtherLog, refuse_lost
from services.projector.refolding import Refolder
from services.projector.writing import Overtaken, apply

if TYPE_CHECKING:
    from chassis.database import Connection

QUIET_S = 1.0
"""The log is looked at again after so much silence: its live messages, which say that there is more, may be lost."""

PAUSE_S = 0.5
"""Between two tries while the log or the database is away, or in doubt."""

COMMAND_S = 30.0
"""How long one statement, and one batch, may take; a rebuild that changes over holds a batch up for less."""

SILENCE_S = 5.0
"""After so long in the middle of a batch Postgres takes a projector for dead, paused or cut off: others may go on."""

FIRST_GENERATION_LOCK = 7_305_001
"""Of Postgres' advisory locks: two projectors that start at once make the first tables only once."""

BATCH_S = 10.0
"""A batch takes milliseconds, and seconds on a slow Postgres. One that has not ended by then is told."""

HELD_UP_BY = (DatabaseUnavailable, DataRefused, StoreUnavailable, LogInDoubt, WrongShape)
"""What is waited for, however long it lasts."""

BEGINNING = "beginning"

log = structlog.get_logger("projector")


class Projector:
    """Keeps the live tables true."""

    def __init__(self, nats: Nats, postgres_url: str) -> None:
        self._nats, self._log, self._postgres_url = nats, JetStreamLog(nats), postgres_url
        self._news = asyncio.Event()
        self.guard = Guard(self._log, postgres_url)
        self.refolder = Refolder(nats, postgres_url, self.guard)
        self._seldom = Seldom()
        self._trouble: str | None = "the tables have not been reached yet"
        self._batch_since: float | None = None
        self._batch_length = 0

    @property
    def trouble(self) -> str | None:
        """What holds it up at the moment, or None."""
        if self._trouble is None and self._batch_since and time.monotonic() - self._batch_since > BATCH_S:
            return f"a batch takes longer than {BATCH_S:g} s: the log or Postgres is too slow, or does not answer"
        return self._trouble

    def batch(self) -> Queue:
        """How many events it has read and not yet applied."""
        return Queue(self._batch_length, BATCH)

    async def run(self) -> None:
        """Projects until it is cancelled; whatever is away is waited for."""
        self._seldom.allows(BEGINNING, time.monotonic())
        async with asyncio.TaskGroup() as group:
            group.create_task(self.guard.watch(self._news.set))
            group.create_task(self.refolder.serve())
            group.create_task(self._run())

    async def _run(self) -> None:
        await self._nats.subscribe(subjects.LIVE_EVENTS, self._heard)
        self._nats.on_reconnect.append(self._news.set)
        while True:
            try:
                await self._project()
            except HELD_UP_BY as wrong:
                self._held_up(wrong)
                await asyncio.sleep(PAUSE_S)

    async def _heard(self, _: Msg) -> None:
        self._news.set()

    async def _project(self) -> None:
        """Projects over one connection to Postgres, until something is in the way."""
        self.guard.refuse_doubt()
        connection = await connect(self._postgres_url)
        try:
            with named_failures():
                while True:
                    await self._project_from(connection, await self._checked_checkpoint(connection))
        finally:
            connection.terminate()

    async def _project_from(self, connection: "Connection", checkpoint: Checkpoint) -> None:
        """Applies batch after batch; returns when the checkpoint has to be read again."""
        last = await archive.digest_at(connection, checkpoint.epoch, checkpoint.position)
        reader, is_there_more = FaithfulReader(self._log, checkpoint, last), True
        try:
            while True:
                self._news.clear()
                self.guard.refuse_doubt()
                self._batch_since = time.monotonic()
                entries = await reader.read() if is_there_more else []
                self._batch_length = len(entries)
                if entries:
                    checkpoint = await apply(connection, checkpoint, entries, while_live=True)
                    reader.applied(entries)
                self._batch_since, self._batch_length = None, 0
                self._goes_on(checkpoint)
                is_there_more = bool(entries) or await self._news_come(checkpoint)
                if connection.is_closed():  # else a projector with nothing to do would not notice
                    raise DatabaseUnavailable("the connection to Postgres broke")
        except Overtaken as overtaken:
            log.debug("overtaken", why=str(overtaken))

    async def _checked_checkpoint(self, connection: "Connection") -> Checkpoint:
        """The live checkpoint, made where there is none. Raises WrongShape, LogInDoubt."""
        epoch = await self._log.epoch()
        checkpoint = await generation.live(connection) or await _first_checkpoint(connection, epoch)
        if checkpoint.shape != SHAPE:
            raise WrongShape(
                "the read tables were made by another version of Pressroom; `./run rebuild` makes them anew"
            )
        if checkpoint.position == 0 and await archive.end(connection, checkpoint.epoch) == 0:
            checkpoint = await generation.begin_with(connection, checkpoint, epoch)  # nothing came from another log
        if checkpoint.epoch != epoch:
            raise OtherLog(epoch, checkpoint.epoch)
        await refuse_lost(self._log, checkpoint.position)
        return checkpoint

    async def _news_come(self, checkpoint: Checkpoint) -> bool:
        """Waits a while. -> Is there something to read, or to be looked into?

        Where all is quiet, no event is read: what is read all the time stands in the server's memory, and damage to its
        store would stay hidden from the guard.
        """
        try:
            await asyncio.wait_for(self._news.wait(), QUIET_S)
        except TimeoutError:
            return await self._log.end() != checkpoint.position
        return True

    def _goes_on(self, checkpoint: Checkpoint) -> None:
        self._trouble = None
        ended = [self._seldom.ends(cause) for cause in (BEGINNING, *(kind.__name__ for kind in HELD_UP_BY))]
        if any(ended):
            log.info("projecting", schema=checkpoint.schema, position=checkpoint.position)

    def _held_up(self, wrong: Exception) -> None:
        self._trouble = str(wrong)
        if self._seldom.allows(type(wrong).__name__, time.monotonic()):
            log.error("projection held up", why=str(wrong))


async def connect(postgres_url: str) -> "Connection":
    """A projector's connection to the tables. Raises DatabaseUnavailable, DatabaseNotSetUp."""
    return await open_connection(
        postgres_url, name="projector", command_timeout_s=COMMAND_S, silence_s=SILENCE_S, transaction_s=COMMAND_S
    )


async def _first_checkpoint(connection: "Connection", epoch: str) -> Checkpoint:
    """Makes the first generation, unless another projector was first."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", FIRST_GENERATION_LOCK)
        there = await generation.live(connection)
        if there is None:
            there = await generation.make(connection, 1, epoch)
            await generation.go_live(connection, 1)
            log.info("made the read tables", schema=there.schema)
        return there
