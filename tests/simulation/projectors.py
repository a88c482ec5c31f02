"""The projectors: the real loop, reading and writing, over a log that is read with gaps and a simulated Postgres."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast
from unittest.mock import patch

import services.projector.projector as module
from chassis.connection import Connection
from chassis.jetstream_log import BATCH, Entry, LogState
from contracts.envelope import Recorded
from contracts.events import Event
from contracts.subjects import WorkflowKey
from services.projector.projector import Projector
from services.projector.verify.books import Unfit, counter_differences, quarantine_differences
from services.projector.verify.comparing import archive_differences, row_differences
from services.projector.verify.slow_fold.history import Row
from services.projector.verify.slow_fold.rows import rows_of
from tests.simulation.accounts import Account
from tests.simulation.gateways import Wire
from tests.simulation.hosts import Host
from tests.simulation.postgres import Database, Session
from tests.simulation.rules import Broken, BrokenWorkflow

if TYPE_CHECKING:
    from tests.simulation.world import World

EPOCH = "the only log"
NEWER = b'"version":99'


class ReadLog:
    """The whole log, as one projector reads it: a replica may lag, or answer with a hole."""

    def __init__(self, host: Host) -> None:
        self._host, self._world = host, host.world

    async def epoch(self) -> str:
        """See JetStreamLog."""
        await self._host.gate()
        return EPOCH

    async def state(self) -> LogState:
        """See JetStreamLog."""
        await self._host.gate()
        count = self._world.log.position
        return LogState(min(1, count), count, count)

    async def end(self) -> int:
        """See JetStreamLog."""
        return (await self.state()).last

    async def read(self, after: int, most: int = BATCH) -> list[Entry]:
        """See JetStreamLog."""
        await self._host.step()
        entries = as_projected(self._world, self._world.log.recorded[after : after + most])
        if entries and self._world.happens(self._world.mix.cut_read):
            cut = self._world.random.randrange(len(entries))
            return entries[:cut] + entries[cut + 1 :] * self._world.random.randint(0, 1)
        return entries


class Absent:
    """In the place of the guard and of the refolder, whose log and database are real ones in tests of their own."""

    def __init__(self, *_: object) -> None: ...

    def refuse_doubt(self) -> None:
        """See Guard."""

    async def watch(self, _: object) -> None:
        """See Guard."""

    async def serve(self) -> None:
        """See Refolder."""


class ProjectorProcess(Host):
    """One life of one projector."""

    def __init__(self, world: "World", number: int) -> None:
        super().__init__(world, f"projector-{number}")
        self.number, self.wire = number, Wire(self)
        self._sessions: list[Session] = []
        with patch.multiple(module, JetStreamLog=lambda _: ReadLog(self), Guard=Absent, Refolder=Absent):  # pyright: ignore
            projector = Projector(cast(Connection, self.wire), self.name)
        self.run(projector.run())

    async def connect(self) -> Session:
        """A connection of this process to the database."""
        await self.step()
        self._sessions.append(Session(self.world.database, self))
        return self._sessions[-1]

    def die(self) -> None:
        """See Host. What it had not committed is gone."""
        super().die()
        for session in self._sessions:
            session.break_off()

    def freeze(self, until: float) -> None:
        """See Host."""
        super().freeze(until)
        for session in self._sessions:
            session.break_off_if_silent()


def as_projected(world: "World", stored: Sequence[Recorded[Event]]) -> list[Entry]:
    """The entries as a projector of today's version finds them: some were written by newer code."""
    entries = map(world.log.entry, stored)
    return [_newer(entry) if entry.position in world.newer else entry for entry in entries]


def _newer(entry: Entry) -> Entry:
    return replace(entry, body=entry.body.replace(b'"version":1', NEWER, 1))


# ---------------------------------------------------------------- the end


def check_tables(world: "World") -> None:
    """Raises Broken where tables, archive or books are not what an independent fold of the log gives."""
    database, entries = world.database, as_projected(world, world.log.recorded)
    if database.position != world.log.position:
        raise Broken(f"the checkpoint is at {database.position}, the log ends at {world.log.position}")
    for difference in counter_differences(database.books()):
        raise Broken(f"the books: {difference}")
    for entry in entries:
        if differences := archive_differences(entry, database.archive.get(entry.position, {})):
            raise Broken(f"the archive at {entry.position}: {differences}")
    found = _rows_by_workflow(database)
    for account in world.accounts.values():
        _check_workflow(world, account, found.get(account.key, {}))


def _check_workflow(world: "World", account: Account, found: Mapping[str, list[Row]]) -> None:
    """Its rows are those of the history up to the first event that cannot be read, from which on it is held."""
    recorded = account.history.recorded
    unread = next((one.position for one in recorded if one.position in world.newer), None)
    read = [one for one in recorded if unread is None or one.position < unread]
    unfit = (unread and Unfit(unread, "it is of a newer version")) or None
    entries = as_projected(world, recorded) if unread else []
    for difference in quarantine_differences(entries, unfit, world.database.quarantine.get(account.key)):
        raise BrokenWorkflow(account.key, difference)
    for table, rows in rows_of(read).items():
        there = found.get(table, [])
        for name, difference in row_differences(table, rows, there) if rows != there else ():
            raise BrokenWorkflow(account.key, f"table {table}{name}: {difference}")


def _rows_by_workflow(database: Database) -> dict[WorkflowKey, dict[str, list[Row]]]:
    by_workflow: dict[WorkflowKey, dict[str, list[Row]]] = {}
    for table, rows in database.tables.items():
        for row in rows.values():
            key = WorkflowKey(row["owner"], row["workflow_id"])
            by_workflow.setdefault(key, {}).setdefault(table, []).append(row)
    return by_workflow
