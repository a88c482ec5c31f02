"""One restore, from the first look to a log that is open again.

close ──> plan ──> set aside what the archive lacks (committed) ──> fill ──> plan again … until nothing is left ──> open

Each round compares the whole log, so that what one left undone the next one does, whatever cut it short: this one, or
one that was killed before. Nothing is taken away before all that is only there is kept in Postgres, and the log is not
opened before each of its events was read back and had the hash that was archived.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import structlog

from chassis.connection import Connection as Nats
from chassis.database import named_failures
from chassis.event_store import StoreUnavailable
from chassis.jetstream_log import JetStreamLog, LogNotSetUp, LogState
from chassis.settings import Settings
from services.projector import generation
from services.projector.log.restore.archived import Archive
from services.projector.log.restore.closed_log import ClosedLog, NotAsSent
from services.projector.log.restore.plan import Plan, plan_of
from services.projector.progress import Told

if TYPE_CHECKING:
    from chassis.database import Connection

RESTORE_LOCK = 7_305_003
"""Of Postgres' advisory locks: one restore at a time."""

ROUNDS_MAX = 10
"""One fills the log and the next finds it filled; the others are for servers that go away under way."""

PAUSE_S = 1.0

Shows = Callable[[str], AbstractContextManager[Told]]
"""Shows people how far something has come (services/projector/progress.py)."""

log = structlog.get_logger("restore")


class CannotRestore(Exception):
    """The log cannot be restored at the moment; the message says why, and what was done."""


class Restoration:
    """Plans a restore, and does it. `of`: the id of the log that is to be restored, where this one has another."""

    def __init__(
        self, nats: Nats, connection: "Connection", settings: Settings, shows: Shows, *, of: str | None = None
    ) -> None:
        self._open_log, self._closed_log = JetStreamLog(nats), ClosedLog(nats, settings)
        self._connection, self._shows, self._of = connection, shows, of
        self._archive: Archive | None = None

    async def plan(self) -> Plan:
        """What there is to do. Changes nothing.

        Raises CannotRestore, ArchiveUnfit, TooManyNewer, Refused, StoreUnavailable, DatabaseUnavailable.
        """
        with named_failures():
            return await self._plan(await self._state())

    async def run(self) -> Plan:
        """Restores the log. -> the plan that was carried out. Raises as `plan` does."""
        with named_failures():
            if not await self._connection.fetchval("SELECT pg_try_advisory_lock($1)", RESTORE_LOCK):
                raise CannotRestore("another restore is at work")
            archive = await self._found_archive()
            anew = await self._is_damaged_copy()
            first: Plan | None = None
            for number in range(1, ROUNDS_MAX + 1):
                try:
                    plan = await self._round(anew=anew)
                    first, is_ready, anew = first or plan, plan.is_filled and not anew, False
                    if is_ready:
                        if self._of is not None:
                            await self._closed_log.give_epoch(archive.epoch)
                        await self._closed_log.open()
                        return first
                except (NotAsSent, StoreUnavailable) as wrong:
                    if number == ROUNDS_MAX:
                        raise CannotRestore(f"the log is closed and not whole yet: {wrong}") from wrong
                    log.warning("begins another round", why=str(wrong))
                    await asyncio.sleep(PAUSE_S)
            raise CannotRestore("the log is closed and not whole yet: its archive does not come to rest")

    async def _state(self) -> LogState:
        """How the log stands; one that was taken away is as good as empty, and closed."""
        try:
            return await self._open_log.state()
        except LogNotSetUp:
            return LogState(0, 0, 0, is_closed=True)

    async def _is_damaged_copy(self) -> bool:
        """Is one of several copies damaged? A closed log shows its leader's alone, so this is asked before."""
        state = await self._state()
        return state.copies > 1 and not state.is_closed and (await self._plan(state)).is_damaged

    async def _round(self, *, anew: bool) -> Plan:
        """Brings the log to what it has to be; `anew`: all of its copies. -> what was to be done; nothing, where it is
        that already
        """
        await self._closed_log.close()
        await self._wait_for_batches()
        plan = await self._plan(await self._closed_log.state())
        await (await self._found_archive()).set_aside(plan.newer)
        anew = anew or not plan.keeps_stream
        if anew:
            await self._closed_log.make_anew()
        if anew or not plan.is_filled:
            await self._fill(plan, after=0 if anew else plan.intact)
        return plan

    async def _wait_for_batches(self) -> None:
        """Until every projector has archived what it had read before the log was closed."""
        async with self._connection.transaction():
            await generation.locked_live(self._connection, change_over=True)

    async def _fill(self, plan: Plan, *, after: int) -> None:
        archive = await self._found_archive()
        with self._shows("Bringing events back") as told:
            async for entries in archive.entries(after, plan.end):
                await self._closed_log.append(entries)
                told(entries[-1].position, plan.last)
            await self._closed_log.append([one for one in plan.tail if one.position > after])
            told(plan.last, plan.last)

    async def _plan(self, state: LogState) -> Plan:
        archive = await self._found_archive()
        readable = self._closed_log if state.is_closed else self._open_log
        with self._shows("Proving the archive") as proving, self._shows("Comparing the log") as comparing:
            return await plan_of(readable, state, archive, self._connection, (proving, comparing))

    async def _found_archive(self) -> Archive:
        """The archive of this log, or of the one that was asked for. Raises CannotRestore."""
        if self._archive is None:
            own = await self._open_log.epoch()
            archive = Archive(self._connection, self._of or own)
            others = await archive.others()
            if not await self._connection.fetchval(
                "SELECT EXISTS (SELECT FROM archive.events WHERE epoch = $1)", archive.epoch
            ):
                raise CannotRestore(_nothing_archived(archive.epoch, others))
            self._archive = archive
        return self._archive


def _nothing_archived(epoch: str, others: Mapping[str, int]) -> str:
    known = "; ".join(f"{last:,} of the log {other}" for other, last in others.items())
    if not known:
        return f"the archive holds no event of the log {epoch}, nor of any other"
    return (
        f"the archive holds no event of the log {epoch}. It holds {known}. To bring one of those back in this one's "
        "place, name it with `--of`"
    )
