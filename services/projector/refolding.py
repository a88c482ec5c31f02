"""Refolding: a held workflow is folded again from its first event, in order, and let go where that can be done now.

history + today's code ──fold──> rows ──one transaction──> its rows anew, its quarantine gone or told anew, the counters

Each projector does so for all of them when it starts, as it may know an event that older code did not; and for one when
somebody asks for it.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import structlog
from nats.aio.msg import Msg
from pydantic import ValidationError

from chassis.connection import Connection as Nats
from chassis.connection import NoAnswer
from chassis.database import DatabaseUnavailable, DataRefused, named_failures, open_connection
from chassis.event_store import StoreUnavailable
from chassis.jetstream_log import Entry, JetStreamLog
from contracts.refolds import REFOLD_BYTES_MAX, Outcome, RefoldAsked, Refolded
from contracts.services import PROJECTOR
from contracts.subjects import REFOLD, TOKEN, WorkflowKey
from contracts.workflow import EVENTS_MAX
from services.projector import archive, generation
from services.projector.archive import LogInDoubt
from services.projector.batch import Batch, Held, Step, fold, steps
from services.projector.generation import SHAPE, Checkpoint
from services.projector.log.guard import Guard
from services.projector.log.restore.archived import Archive
from services.projector.tables import TABLES
from services.projector.writing import held_of, hold, remove_rows, rows_so_far, write_rows

if TYPE_CHECKING:
    from chassis.database import Connection

TRIES_MAX = 5
"""For a history that grew, or a replica that lagged, between its being read and its being written."""

PAUSE_S = 0.2
"""Between two tries."""

LATER_S = 5.0
"""Between two tries of a start at which the log or the database was away, or in doubt."""

COMMAND_S = 20.0

AWAY = (DatabaseUnavailable, DataRefused, StoreUnavailable, NoAnswer, LogInDoubt)

WHERE = """
    SELECT generation, shape, epoch, position FROM projection.checkpoints
    WHERE generation = $1 FOR UPDATE
"""

COUNT_ANEW = """
    UPDATE projection.checkpoints SET applied = applied + $2, held = held - $2 WHERE generation = $1
"""

HELD_ALL = "SELECT owner, workflow_id FROM projection.quarantine WHERE generation = $1 ORDER BY position"

LET_GO = "DELETE FROM projection.quarantine WHERE generation = $1 AND owner = $2 AND workflow_id = $3"

HELD_SINCE = """
    UPDATE projection.quarantine SET held_at = $4 WHERE generation = $1 AND owner = $2 AND workflow_id = $3
"""

HELD_NOW = """
    SELECT position, subject, error, events, held_at FROM projection.quarantine
    WHERE generation = $1 AND owner = $2 AND workflow_id = $3
"""

log = structlog.get_logger("projector")


class NotYet(Exception):
    """The history that was read is not the one that the tables count: it grew meanwhile, or a replica lags."""


class Refolder:
    """Folds held workflows again, over a connection to Postgres of its own."""

    def __init__(self, nats: Nats, postgres_url: str, guard: Guard) -> None:
        self._nats, self._log, self._postgres_url, self._guard = nats, JetStreamLog(nats), postgres_url, guard

    async def serve(self) -> None:
        """Folds all that is held again, once, and then whatever is asked for, until it is cancelled."""
        await self._nats.subscribe(REFOLD, self._heard, queue=PROJECTOR)
        while True:
            try:
                await self.refold_all()
                break
            except AWAY as away:
                log.debug("cannot fold again yet", why=str(away))
                await asyncio.sleep(LATER_S)
        await asyncio.Event().wait()

    async def refold_all(self) -> Counter[Outcome]:
        """Folds every held workflow again, in the order in which they came to be held. -> what came of them"""
        outcomes = Counter[Outcome]()
        connection = await self._connect()
        try:
            with named_failures():
                live = await generation.live(connection)
                held = await connection.fetch(HELD_ALL, live.generation) if live else []
                for row in held:
                    done = await self._refold(connection, WorkflowKey(row["owner"], row["workflow_id"]))
                    outcomes[done.outcome] += 1
        finally:
            connection.terminate()
        if outcomes:
            log.info("folded held workflows again", **{outcome.value: number for outcome, number in outcomes.items()})
        return outcomes

    async def refold(self, key: WorkflowKey) -> Refolded:
        """Folds one workflow again, where it is held. Whatever is in the way is told, not raised."""
        try:
            connection = await self._connect()
            try:
                with named_failures():
                    return await self._refold(connection, key)
            finally:
                connection.terminate()
        except AWAY as away:
            return Refolded(outcome=Outcome.UNABLE, why=str(away))

    async def _heard(self, message: Msg) -> None:
        try:
            asked = RefoldAsked.model_validate_json(message.data if len(message.data) <= REFOLD_BYTES_MAX else b"")
        except ValidationError:
            return  # whoever may ask asks properly
        done = await self.refold(asked.key)
        try:
            await self._nats.publish(message.reply, done.model_dump_json().encode())
        except NoAnswer as gone:
            log.debug("could not answer", why=str(gone))

    async def _connect(self) -> "Connection":
        return await open_connection(
            self._postgres_url, name="refold", command_timeout_s=COMMAND_S, transaction_s=COMMAND_S
        )

    async def _refold(self, connection: "Connection", key: WorkflowKey) -> Refolded:
        self._guard.refuse_doubt()
        live = await generation.live(connection)
        hold = await connection.fetchrow(HELD_NOW, live.generation, *key) if live else None
        if live is None or hold is None:
            is_known = live is not None and bool(await rows_so_far(connection, live, [key]))
            return Refolded(outcome=Outcome.NOT_HELD if is_known else Outcome.UNKNOWN)
        if live.shape != SHAPE:
            return Refolded(outcome=Outcome.UNABLE, why="the read tables were made by another version of Pressroom")
        if not all(TOKEN.fullmatch(name) for name in key):  # no code can read an event of such a name
            return Refolded(outcome=Outcome.HELD, why=hold["error"], position=hold["position"], events=hold["events"])
        for _ in range(TRIES_MAX):
            try:
                taken = steps(await self._history(connection, live, key))
                async with connection.transaction():
                    return await _folded_again(connection, live, key, taken)
            except NotYet:
                await asyncio.sleep(PAUSE_S)
        return Refolded(outcome=Outcome.UNABLE, why="its history grows faster than it is read, or a replica lags")

    async def _history(self, connection: "Connection", live: Checkpoint, key: WorkflowKey) -> list[Entry]:
        """Every entry of the workflow, in order, each as it was archived. Raises LogInDoubt for one that is not.

        One that is too long for one request comes from the archive.
        """
        row = (await rows_so_far(connection, live, [key])).get(key)
        hold = await connection.fetchval(
            "SELECT events FROM projection.quarantine WHERE generation = $1 AND owner = $2 AND workflow_id = $3",
            live.generation,
            *key,
        )
        if (row.revision if row else 0) + (hold or 0) > EVENTS_MAX:
            return (await Archive(connection, live.epoch).histories([key])).get(key, [])
        entries = sorted(await self._log.history(key), key=lambda one: one.position)
        await archive.refuse_unlike(connection, live.epoch, entries)
        return entries


async def _folded_again(
    connection: "Connection", live: Checkpoint, key: WorkflowKey, taken: Sequence[Step]
) -> Refolded:
    """Writes what the history means now, in the transaction that is open, with the checkpoint locked."""
    if await generation.locked_live(connection) != live.generation:
        raise NotYet
    checkpoint = Checkpoint(**dict((await connection.fetch(WHERE, live.generation))[0]))
    before = (await held_of(connection, checkpoint, [key])).get(key)
    if before is None:
        return Refolded(outcome=Outcome.NOT_HELD)
    row = (await rows_so_far(connection, checkpoint, [key])).get(key)
    taken = [step for step in taken if step.entry.position <= checkpoint.position]
    told = dict((await connection.fetch(HELD_NOW, checkpoint.generation, *key))[0])
    applied = row.revision if row else 0
    if len(taken) != applied + told["events"]:
        raise NotYet
    await remove_rows(connection, checkpoint, key)
    batch = await _written(connection, checkpoint, key, taken)
    await connection.execute(LET_GO, checkpoint.generation, *key)
    await hold(connection, checkpoint, batch.held)
    await connection.execute(HELD_SINCE, checkpoint.generation, *key, told["held_at"])
    await connection.execute(COUNT_ANEW, checkpoint.generation, batch.applied - applied)
    return _told(key, batch.held.get(key))


async def _written(connection: "Connection", checkpoint: Checkpoint, key: WorkflowKey, taken: Sequence[Step]) -> Batch:
    """Folds the whole history at once; where the database refuses one of its events, up to that one."""
    batch = fold(taken, TABLES, {}, {}, {})
    try:
        await _write(connection, checkpoint, batch)
    except DataRefused:
        refused = await _first_refused(connection, checkpoint, key, taken)
        batch = fold(taken, TABLES, {}, {}, refused)
        await _write(connection, checkpoint, batch)
    return batch


async def _first_refused(
    connection: "Connection", checkpoint: Checkpoint, key: WorkflowKey, taken: Sequence[Step]
) -> dict[int, str]:
    """The first event that the database can not store, with its reason: found by writing one after the other."""
    so_far: dict[WorkflowKey, Any] = {}
    for step in taken:
        batch = fold([step], TABLES, so_far, {}, {})
        try:
            await _write(connection, checkpoint, batch)
        except DataRefused as refusal:
            return {step.entry.position: str(refusal)}
        changed = [row for table in TABLES if table.is_changed for row in batch.rows.get(table.name, {}).values()]
        if changed:
            so_far[key] = changed[-1]
    return {}


async def _write(connection: "Connection", checkpoint: Checkpoint, batch: Batch) -> None:
    """In a part of the transaction that can be taken back by itself. Raises DataRefused."""
    with named_failures():
        async with connection.transaction():
            await write_rows(connection, checkpoint, batch)


def _told(key: WorkflowKey, held: Held | None) -> Refolded:
    if held is None:
        log.info("workflow folded again", workflow_id=key.workflow_id)
        return Refolded(outcome=Outcome.FOLDED)
    log.info("workflow held still", workflow_id=key.workflow_id, position=held.position, why=held.error)
    return Refolded(outcome=Outcome.HELD, why=held.error, position=held.position, events=held.events)
