"""Postgres as the projector meets it: transactions that hold or vanish whole, one lock, connections that break.

It knows the projector's own statements and no others. What a transaction writes is kept aside until it commits; no
statement of the projector reads what its own transaction wrote.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from contracts.subjects import WorkflowKey
from services.projector import archive, generation, writing
from services.projector.generation import SHAPE
from services.projector.projector import SILENCE_S
from services.projector.tables import TABLES
from services.projector.verify.books import Books, Hold

if TYPE_CHECKING:
    from tests.simulation.hosts import Host
    from tests.simulation.world import World

Row = dict[str, Any]
TABLE = {table.name: table for table in TABLES}
SELECT = re.compile(r"SELECT .* FROM read_1\.(\w+) WHERE \(owner, workflow_id\) IN")
INSERT = re.compile(r"INSERT INTO read_1\.(\w+) \(")
ARCHIVE_END = "SELECT coalesce(max(position), 0) FROM archive.events"
LOCK_CHECKPOINT = "SELECT position FROM projection.checkpoints WHERE generation = $1 AND epoch = $2 FOR UPDATE"
BEGIN_WITH = "UPDATE projection.checkpoints SET epoch = $2 WHERE generation = $1 AND position = 0"
LOCK_LIVE = "SELECT generation FROM projection.live FOR SHARE"


class ConnectionBroke(ConnectionError):
    """The connection to Postgres broke."""


@dataclass
class Database:
    """What is committed. One generation of tables, made by the set-up."""

    world: "World"
    epoch: str = ""
    position: int = 0
    applied: int = 0
    held: int = 0
    quarantine: dict[WorkflowKey, Hold] = field(default_factory=dict[WorkflowKey, Hold])
    archive: dict[int, Row] = field(default_factory=dict[int, Row])
    tables: dict[str, dict[tuple[object, ...], Row]] = field(
        default_factory=lambda: {table.name: {} for table in TABLES}
    )
    locked_by: "Session | None" = None
    waiting: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])

    def books(self) -> Books:
        """The projector's books, as `verify` reads them."""
        return Books(1, self.epoch, self.position, self.applied, self.held, self.quarantine)

    def release(self, session: "Session") -> None:
        """The session holds the checkpoint no more; who waits has to look again."""
        if self.locked_by is session:
            self.locked_by, waiting, self.waiting = None, self.waiting, []
            for one in waiting:
                if not one.done():
                    one.set_result(None)

    # ------------------------------------------------------------ what is written

    def move(self, generation: int, position: int, applied: int, held: int) -> None:
        """The checkpoint goes on."""
        if position <= self.position:
            self.world.breaks(f"the checkpoint went from {self.position} back to {position}")
        self.position, self.applied, self.held = position, self.applied + applied, self.held + held
        self.world.say(None, "checkpoint at", position)

    def upsert(self, name: str, columns: Sequence[Sequence[Any]]) -> None:
        """Rows by column, as `unnest` takes them."""
        table, kinds = TABLE[name], TABLE[name].columns
        values = (_stored(column, kind) for column, kind in zip(columns, kinds.values(), strict=True))
        for one in zip(*values, strict=True):
            row = dict(zip(kinds, one, strict=True))
            self.tables[name][tuple(row[column] for column in table.key)] = row

    def hold(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """More events of workflows that are held."""
        for _, owner, workflow_id, position, subject, error, events in rows:
            key = WorkflowKey(owner, workflow_id)
            was = self.quarantine.get(key, Hold(position, subject, error, 0))
            self.quarantine[key] = Hold(was.position, was.subject, was.error, was.events + events)

    def keep(self, columns: Sequence[str], records: Iterable[Sequence[Any]]) -> None:
        """More of the archive. A position that is there already breaks its primary key."""
        for record in records:
            row = dict(zip(columns, record, strict=True))
            if row["position"] in self.archive:
                self.world.breaks(f"position {row['position']} was archived twice")
            self.archive[row["position"]] = row


class Session:
    """One connection of one projector."""

    def __init__(self, database: Database, host: "Host") -> None:
        self.database, self.host = database, host
        self._writes: list[Callable[[], None]] | None = None  # of the open transaction
        self._broken = False

    @property
    def is_in_transaction(self) -> bool:
        """Is a transaction open?"""
        return self._writes is not None

    def break_off(self) -> None:
        """The connection ends, and with it what it had not committed."""
        self._broken, self._writes = True, None
        self.database.release(self)

    def break_off_if_silent(self) -> None:
        """A frozen projector in the middle of a transaction is taken for dead after a while, and its locks with it."""
        if self.is_in_transaction:
            asyncio.get_running_loop().call_later(SILENCE_S, self._break_off_if_frozen)

    def _break_off_if_frozen(self) -> None:
        if self.is_in_transaction and self.host.is_frozen:
            self.break_off()

    def is_closed(self) -> bool:
        """See asyncpg."""
        return self._broken

    def terminate(self) -> None:
        """See asyncpg."""
        self.break_off()

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None]:
        """See asyncpg."""
        await self._reach()
        self._writes = []
        try:
            yield
        except BaseException:
            self._writes = None
            self.database.release(self)
            raise
        await self.commit()

    async def commit(self) -> None:
        """All that was written holds from here on. The reply may be lost, and so may the request."""
        world = self.database.world
        await self.host.step()
        await asyncio.sleep(world.random.uniform(0.1, 2))
        await self._reach()
        is_lost = world.happens(world.mix.lose_commit)
        writes, self._writes = self._writes or [], None
        if not is_lost or world.random.random() < 0.5:
            for write in writes:
                write()
        self.database.release(self)
        if is_lost:
            self.break_off()
            raise ConnectionBroke

    # ------------------------------------------------------------ statements

    async def execute(self, sql: str, *arguments: Any) -> None:
        """See asyncpg."""
        await self._reach()
        if sql == writing.MOVE:
            self.write(lambda: self.database.move(*arguments))
        elif sql == BEGIN_WITH:
            self.database.epoch = arguments[1]
        elif (found := INSERT.match(sql)) is not None:
            self.write(lambda: self.database.upsert(found[1], arguments))
        else:
            raise _unknown(sql)

    async def executemany(self, sql: str, arguments: Iterable[tuple[Any, ...]]) -> None:
        """See asyncpg."""
        await self._reach()
        if sql != writing.HOLD:
            raise _unknown(sql)
        self.write(lambda: self.database.hold(arguments))

    async def copy_records_to_table(
        self, name: str, *, schema_name: str, columns: Sequence[str], records: Iterable[Sequence[Any]]
    ) -> None:
        """See asyncpg."""
        await self._reach()
        if (schema_name, name) != ("archive", "events"):
            raise _unknown(f"COPY {schema_name}.{name}")
        self.write(lambda: self.database.keep(columns, records))

    async def fetchrow(self, sql: str) -> Row | None:
        """See asyncpg."""
        await self._reach()
        if sql != generation.LIVE:
            raise _unknown(sql)
        database = self.database
        return {"generation": 1, "shape": SHAPE, "epoch": database.epoch, "position": database.position}

    async def fetchval(self, sql: str, *arguments: Any) -> Any:
        """See asyncpg."""
        await self._reach()
        if sql == LOCK_LIVE:
            return 1
        if sql == LOCK_CHECKPOINT:
            await self._lock()
            return self.database.position if arguments == (1, self.database.epoch) else None
        if sql.startswith(ARCHIVE_END):
            return max(self.database.archive, default=0)
        raise _unknown(sql)

    async def fetch(self, sql: str, *arguments: Any) -> list[Row]:
        """See asyncpg."""
        await self._reach()
        if sql == archive.OF_POSITIONS:
            _, first, last = arguments
            kept = self.database.archive
            return [kept[position] for position in range(first, last + 1) if position in kept]
        if sql == writing.HELD:
            return self._holds(arguments[1], arguments[2])
        if (found := SELECT.match(sql)) is not None:
            rows = self.database.tables[found[1]]
            return [rows[key] for key in zip(*arguments, strict=True) if key in rows]
        raise _unknown(sql)

    def write(self, write: Callable[[], None]) -> None:
        """Does it when the transaction commits; at once where there is none."""
        if self._writes is None:
            write()
        else:
            self._writes.append(write)

    def _holds(self, owners: Sequence[str], workflow_ids: Sequence[str]) -> list[Row]:
        return [
            {
                "owner": key.owner,
                "workflow_id": key.workflow_id,
                **{name: getattr(held, name) for name in ("position", "subject", "error")},
            }
            for key in map(WorkflowKey, owners, workflow_ids)
            if (held := self.database.quarantine.get(key)) is not None
        ]

    async def _lock(self) -> None:
        while self.database.locked_by not in (None, self):
            free = asyncio.get_running_loop().create_future()
            self.database.waiting.append(free)
            await free
            await self._reach()
        self.database.locked_by = self

    async def _reach(self) -> None:
        if not self.host.alive or self.host.is_frozen:
            await self.host.gate()
        if self._broken:
            raise ConnectionBroke


def _stored(values: Sequence[Any], kind: str) -> Sequence[Any]:
    """A column as it will be read: jsonb goes in as text."""
    return [value and json.loads(value) for value in values] if kind == "jsonb" else values


def _unknown(sql: str) -> LookupError:
    return LookupError(f"the simulated Postgres does not know this statement: {sql}")
